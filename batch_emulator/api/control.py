"""The control API, outside Batch's paths: faults asked for while the service runs.

    GET     /_emulator/faults       the rules, and how often each has struck
    PUT     /_emulator/faults       other rules; counts begin anew
    DELETE  /_emulator/faults       no rules
    POST    /_emulator/pools/{pool}/nodes/{node}/{event}    preempt, lose, break, filldisk, recover

It takes no signature, since those who need it use curl, where a key would stay in the shell's history. But it
answers this machine only, and no page of a browser: changes are to be sent as JSON, to a loopback address.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from batch_emulator.api.bodies.base import parse_json
from batch_emulator.api.browsers import forbidden, read_host
from batch_emulator.api.call import Call
from batch_emulator.errors import BatchError
from batch_emulator.faults.rules import Faults, Seconds
from batch_emulator.scheduler import node_faults
from batch_emulator.settings import is_loopback


class NodeEvent(BaseModel):
    """The body of a node event: what the node says is wrong, and when it comes back."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    errors: list[dict[str, Any]] = []
    recover_seconds: Seconds | None = None


def check_client(call: Call, peer: str | None) -> None:
    """403 for whoever is not on this machine, or could be a page in a browser."""
    if not is_loopback(peer or "") or not is_loopback(read_host(call.headers)):
        raise forbidden("The control API is for this machine, by a loopback address")
    is_json = call.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    if call.method in ("PUT", "POST") and not is_json:
        raise forbidden("Changes are to be sent with Content-Type: application/json")


def get_faults(call: Call) -> Response:
    injector = call.engine.world.faults
    struck = {to_camel(kind): counts for kind, counts in injector.struck().items()}
    return _json(_to_wire(injector.faults) | {"struck": struck})


def put_faults(call: Call) -> Response:
    wanted = parse_json(call.body)
    if isinstance(wanted, dict):
        wanted = {name: value for name, value in wanted.items() if name != "struck"}
    call.engine.world.faults.replace(_read(Faults, wanted))
    return get_faults(call)


def delete_faults(call: Call) -> Response:
    call.engine.world.faults.replace(Faults())
    return Response(status_code=204)


def strike_node(call: Call) -> Response:
    event = call.parameters["event"]
    if event not in node_faults.EVENTS:
        raise BatchError("InvalidUri", ("Reason", f"Nodes {', '.join(node_faults.EVENTS)}"))
    request = _read(NodeEvent, parse_json(call.body)).model_dump(by_alias=True)
    node = call.do(node_faults.strike_node, call.parameters["pool"], call.parameters["node"], event, request)
    return _json({"id": node.id, "state": node.state})


def _read(model: type[BaseModel], value: Any) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BatchError("InvalidRequestBody", ("Reason", f"{place}: {first['msg']}")) from None


def _to_wire(faults: Faults) -> dict[str, Any]:
    return faults.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"seed": faults.seed}


def _json(wire: dict[str, Any]) -> Response:
    return Response(orjson.dumps(wire, option=orjson.OPT_INDENT_2), media_type="application/json")


ROUTES = [
    ("GET", "/_emulator/faults", get_faults),
    ("PUT", "/_emulator/faults", put_faults),
    ("DELETE", "/_emulator/faults", delete_faults),
    ("POST", "/_emulator/pools/{pool}/nodes/{node}/{event}", strike_node),
]
