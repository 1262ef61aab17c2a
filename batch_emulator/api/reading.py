"""Reading request bodies as the API version that the client speaks defines them."""

from __future__ import annotations

from typing import Any, TypeVar

from batch_emulator.api.bodies.base import Body, parse_json, parse_object, unknown_property
from batch_emulator.api.call import Call
from batch_emulator.api.refusals import ALLOWED
from batch_emulator.api.versions import find_unknown

B = TypeVar("B", bound=Body)


def read_body(call: Call, model: type[B], kind: str = "") -> B:
    """The request's body; `kind` names what it describes in `versions.PROPERTIES`. 400 for what is wrong."""
    return read_object(call, model, parse_json(call.body), kind)


def read_object(call: Call, model: type[B], value: Any, kind: str) -> B:
    """One object of a body, as `read_body`."""
    name = find_unknown(kind, value, call.version)
    if name is not None:
        raise unknown_property(name)
    return parse_object(model, value, ALLOWED[call.engine.settings.containers])
