"""Operations on the machine of a node: its extensions, and the log of its agent."""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from batch_emulator.api.answers import json_answer
from batch_emulator.api.bodies.base import parse_body
from batch_emulator.api.bodies.nodes import LogUpload
from batch_emulator.api.call import Call
from batch_emulator.api.listing import list_page, start_key
from batch_emulator.api.odata import project
from batch_emulator.api.properties import read_select
from batch_emulator.errors import BatchError
from batch_emulator.node.log_upload import upload_text
from batch_emulator.resources.model import Node, Pool, Wire
from batch_emulator.ticks import format_ticks, parse_ticks

_LOG = "agent-debug.log"
_OWN = {
    "name": "batchNodeExtension",
    "publisher": "Microsoft.Azure.Extensions",
    "type": "CustomScript",
    "typeHandlerVersion": "2.0",
    "autoUpgradeMinorVersion": True,
}
_AFTER_UPGRADE = ("settings", "protectedSettings", "provisionAfterExtensions")
_RESULT = "Microsoft.Azure.Batch.Protocol.Entities.UploadBatchServiceLogsResult"


def list_extensions(call: Call) -> Response:
    numbered = ((f"{number:04d}", each) for number, each in enumerate(_extensions(call).values()))
    after = start_key(call) or ""
    candidates = [each for each in numbered if each[0] > after]
    return list_page(call, "extensions", candidates, dict, None)


def get_extension(call: Call) -> Response:
    found = _extensions(call).get(call.parameters["extension"])
    if found is None:
        raise BatchError("NodeExtensionNotFound")
    return json_answer(call, "extensions/@Element", project(found, read_select(call, "extensions")))


def _extensions(call: Call) -> dict[str, Wire]:
    """The extensions of the node's pool by name, as the node has them."""
    node = _node(call)
    pool = call.engine.world.pool(call.parameters["pool"])
    return {each["name"]: _render(_complete(each), node) for each in _specified(pool)}


def _complete(extension: Wire) -> Wire:
    """A node tells whether an extension upgrades itself also where its pool does not say. As recorded."""
    last = {name: extension[name] for name in _AFTER_UPGRADE if name in extension}
    first = {name: value for name, value in extension.items() if name not in last}
    return {**first, "enableAutomaticUpgrade": first.get("enableAutomaticUpgrade", False), **last}


def _specified(pool: Pool) -> list[Wire]:
    """Those of the pool, in its order, and the one that the service puts on every node."""
    return [*pool.spec.get("virtualMachineConfiguration", {}).get("extensions", []), _OWN]


def _render(extension: Wire, node: Node) -> Wire:
    """Extensions are not run here: one that is there has succeeded in being listed."""
    if node.booted is None:
        return {"provisioningState": "Creating", "instanceView": {}, "vmExtension": extension}
    status = {
        "code": "ProvisioningState/succeeded",
        "displayStatus": "Provisioning succeeded",
        "level": "Info",
        "message": "The local Batch service runs no extensions",
        "time": format_ticks(node.booted),
    }
    view = {"name": extension["name"], "statuses": [status]}
    return {"provisioningState": "Succeeded", "instanceView": view, "vmExtension": extension}


def upload_logs(call: Call) -> Response:
    """Begin to upload the node's log if any of it is of the time asked for; failures show in our log only."""
    body = parse_body(LogUpload, call.body).to_wire()
    node = _node(call)
    end = parse_ticks(body["endTime"]) if "endTime" in body else None
    text = call.engine.logs.read(node.id, parse_ticks(body["startTime"]), end)
    directory = _virtual_directory(call, node)
    if text:
        call.engine.do_later(upload_text(body["containerUrl"], f"{directory}/{_LOG}", text))
    return json_answer(
        call, _RESULT, {"virtualDirectoryName": directory, "numberOfFilesUploaded": int(bool(text))}
    )


def _virtual_directory(call: Call, node: Node) -> str:
    account = call.engine.settings.account
    number = hashlib.sha256(account.encode()).hexdigest()[:16].upper()
    pool = call.engine.world.pool(call.parameters["pool"])
    return f"{account}-{number}/{pool.id.lower()}/{node.id}/{call.request_id}"


def _node(call: Call) -> Node:
    return call.engine.world.node(call.parameters["pool"], call.parameters["node"])


_NODE = "/pools/{pool}/nodes/{node}"

ROUTES = [
    ("GET", f"{_NODE}/extensions", list_extensions),
    ("GET", _NODE + "/extensions/{extension}", get_extension),
    ("POST", f"{_NODE}/uploadbatchservicelogs", upload_logs),
]
