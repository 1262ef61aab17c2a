"""Operations on compute nodes and their user accounts."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import Response

from batch_emulator.api.answers import changed, created, element, json_answer, plain
from batch_emulator.api.bodies.nodes import (
    NodeDeallocate,
    NodeDisableScheduling,
    NodeReboot,
    NodeReimage,
    NodeUserAdd,
    NodeUserReplace,
)
from batch_emulator.api.call import Call, read_body
from batch_emulator.api.fields import NODES
from batch_emulator.api.listing import behind, list_page, read_filter, start_key
from batch_emulator.api.views.endpoints import render_login
from batch_emulator.api.views.nodes import render_node
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import key
from batch_emulator.scheduler import nodes


def list_nodes(call: Call) -> Response:
    pool = call.engine.world.pool(call.parameters["pool"])
    candidates = behind(call.store.nodes(key(pool.id)).by_id, start_key(call))

    def render(node):
        return render_node(node, pool, call.store, call.base_url, call.version)

    return list_page(call, "nodes", candidates, render, read_filter(call, NODES))


def get_node(call: Call) -> Response:
    node = _node(call)
    pool = call.engine.world.pool(call.parameters["pool"])
    return element(call, "nodes", None, render_node(node, pool, call.store, call.base_url, call.version))


def _node(call: Call):
    return call.engine.world.node(call.parameters["pool"], call.parameters["node"])


def _interrupt(call: Call, option: str, event: str) -> Response:
    call.do(nodes.interrupt_node, call.parameters["pool"], call.parameters["node"], option, event)
    return changed(call, None, 202)


def reboot_node(call: Call) -> Response:
    body = read_body(call, NodeReboot).to_wire()
    return _interrupt(call, body["nodeRebootOption"], "reboot")


def reimage_node(call: Call) -> Response:
    body = read_body(call, NodeReimage).to_wire()
    if call.version < _FIRST_WITH_REIMAGE:
        _require_cloud_service(call, "reimage")
    return _interrupt(call, body["nodeReimageOption"], "reimage")


def _require_cloud_service(call: Call, operation: str) -> None:
    """409 on a pool of virtual machines."""
    _node(call)
    if "cloudServiceConfiguration" not in call.engine.world.pool(call.parameters["pool"]).spec:
        reason = f"Operation {operation} can be invoked only on pools created with cloudServiceConfiguration"
        raise BatchError("OperationNotValidOnNode", ("Reason", reason))


def deallocate_node(call: Call) -> Response:
    body = read_body(call, NodeDeallocate).to_wire()
    return _interrupt(call, body["nodeDeallocateOption"], "deallocate")


def start_node(call: Call) -> Response:
    call.do(nodes.start_node, call.parameters["pool"], call.parameters["node"])
    return changed(call, None, 202)


def disable_scheduling(call: Call) -> Response:
    body = read_body(call, NodeDisableScheduling).to_wire()
    option = body["nodeDisableSchedulingOption"]
    call.do(nodes.disable_scheduling, call.parameters["pool"], call.parameters["node"], option)
    return changed(call, None)


def enable_scheduling(call: Call) -> Response:
    call.do(nodes.enable_scheduling, call.parameters["pool"], call.parameters["node"])
    return changed(call, None)


def add_user(call: Call) -> Response:
    body = read_body(call, NodeUserAdd).to_wire()
    call.do(_set_user, call.parameters, body, True)
    return created(call, None, f"{call.url}/{quote(body['name'], safe='')}")


def replace_user(call: Call) -> Response:
    body = read_body(call, NodeUserReplace).to_wire() | {"name": call.parameters["user"]}
    call.do(_set_user, call.parameters, body, False)
    return changed(call, None)


def _set_user(world, parameters, body, new: bool) -> None:
    nodes.set_user(world, parameters["pool"], parameters["node"], body, new=new)


def delete_user(call: Call) -> Response:
    call.do(nodes.delete_user, call.parameters["pool"], call.parameters["node"], call.parameters["user"])
    return plain(200)


def get_remote_login_settings(call: Call) -> Response:
    """An address as the service gives one; nothing listens there."""
    body = render_login(_node(call), call.engine.world.pool(call.parameters["pool"]))
    metadata = "Microsoft.Azure.Batch.Protocol.Entities.RemoteLoginSettings"
    return json_answer(call, metadata, body, headers={"DataServiceId": call.url})


def get_remote_desktop(call: Call) -> Response:
    """The file with which a Windows desktop connects; only cloud services had it, until February 2024."""
    if call.version >= _FIRST_WITH_REIMAGE:
        raise BatchError("InvalidUri")
    _require_cloud_service(call, "rdp")
    index = _node(call).number - 1
    text = f"full address:s:127.0.0.1\r\nLoadBalanceInfo:s:Cookie: mstshash=TVM#TVM_IN_{index}"
    return Response(text, headers={"Content-Type": "application/octet-stream"})


#: Since cloud services are gone, reimaging is for virtual machines.
_FIRST_WITH_REIMAGE = "2024-07"
_NODE = "/pools/{pool}/nodes/{node}"

ROUTES = [
    ("GET", "/pools/{pool}/nodes", list_nodes),
    ("GET", _NODE, get_node),
    ("POST", f"{_NODE}/reboot", reboot_node),
    ("POST", f"{_NODE}/reimage", reimage_node),
    ("POST", f"{_NODE}/deallocate", deallocate_node),
    ("POST", f"{_NODE}/start", start_node),
    ("POST", f"{_NODE}/disablescheduling", disable_scheduling),
    ("POST", f"{_NODE}/enablescheduling", enable_scheduling),
    ("POST", f"{_NODE}/users", add_user),
    ("PUT", _NODE + "/users/{user}", replace_user),
    ("DELETE", _NODE + "/users/{user}", delete_user),
    ("GET", f"{_NODE}/remoteloginsettings", get_remote_login_settings),
    ("GET", f"{_NODE}/rdp", get_remote_desktop),
]
