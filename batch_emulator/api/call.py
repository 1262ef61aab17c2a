"""One request, as the handlers see it, and its body as the API version that the client speaks defines it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from batch_emulator.api.bodies.base import Body, parse_json, parse_object, unknown_property
from batch_emulator.api.conditions import check_conditions
from batch_emulator.api.former_defaults import with_former_defaults
from batch_emulator.api.former_names import find_todays_name, in_todays_names
from batch_emulator.api.refusals import allowed_by
from batch_emulator.api.versions import find_unknown
from batch_emulator.engine.engine import Engine
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Resource
from batch_emulator.resources.store import Store
from batch_emulator.ticks import etag

B = TypeVar("B", bound=Body)


@dataclass(slots=True)
class Call:
    """A request that has been authenticated. `headers` are lower-cased; `query` is decoded, in order sent."""

    engine: Engine
    method: str
    path: str
    base_url: str
    parameters: dict[str, str]
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    request_id: str
    """The service's own, which its answer has."""

    @property
    def store(self) -> Store:
        return self.engine.store

    @property
    def version(self) -> str:
        """The API version that the client speaks."""
        return self.option("api-version") or ""

    def require_before(self, version: str, code: str = "InvalidUri") -> None:
        """400 InvalidUri, or this code, for an operation that went with this API version."""
        if self.version >= version:
            raise BatchError(code)

    @property
    def signed(self) -> bool:
        """Whether the request is signed with the account's key, rather than sent with a token."""
        return self.headers.get("authorization", "").lower().startswith("sharedkey")

    @property
    def url(self) -> str:
        """The request's URL without its query."""
        return self.base_url + self.path

    def option(self, name: str) -> str | None:
        """A query parameter; names do not tell case."""
        for found, value in self.query:
            if found.lower() == name.lower():
                return value
        return None

    def do(self, command: Callable[..., Any], *arguments: Any) -> Any:
        return self.engine.do(command, *arguments)

    def check(self, resource: Resource, *, reading: bool = False) -> None:
        """Hold the conditional headers against a resource: 412, or 304 for a read."""
        check_conditions(
            self.headers, etag=etag(resource.modified), last_modified=resource.modified, reading=reading
        )


def read_body(call: Call, model: type[B], kind: str = "") -> B:
    """The request's body; `kind` names what it describes in `versions.PROPERTIES`. 400 for what is wrong."""
    return read_object(call, model, parse_json(call.body), kind)


def read_object(call: Call, model: type[B], value: Any, kind: str) -> B:
    """One object of a body, as `read_body`."""
    name = find_unknown(kind, value, call.version) or find_todays_name(value, call.version)
    if name is not None:
        raise unknown_property(name)
    value = with_former_defaults(in_todays_names(value, call.version), call.version)
    return parse_object(model, value, allowed_by(call.engine.settings.containers))
