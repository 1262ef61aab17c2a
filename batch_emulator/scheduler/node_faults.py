"""What happens to nodes without anybody's wish: preempted, lost, broken, disk full; and how they come back.

Sources: documentation pages "Use Spot VMs with Batch workloads", "Check for pool and node errors" and "Azure
Batch node gets stuck in the Unusable state". The service requeues the tasks of a node that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Node, Wire, key
from batch_emulator.resources.transitions import NODE, FaultEvent, allows
from batch_emulator.scheduler import background, nodes
from batch_emulator.scheduler.world import CloseNode, Stop, World

_DISK_FULL: Wire = {
    "code": "DiskFull",
    "message": "There is not enough disk space on the node",
    "errorDetails": [
        {
            "name": "Message",
            "value": "The VM disk is full. Delete job, tasks, or file on the node to free up spaces and then "
            "restart the node.",
        }
    ],
}


def node_booted(world: World, node: Node) -> None:
    """Throw the dice for what will happen to the node until it boots again."""
    for fault in world.faults.meet_boot(node):
        what = (fault.event, list(fault.errors), fault.recover_seconds)
        world.after(fault.after_seconds, _strike, node.pool_key, node.id, node.boot_number, *what)


def _strike(
    world: World,
    pool_key: str,
    node_id: str,
    boot_number: int,
    event: FaultEvent,
    errors: list[Wire],
    recover_seconds: float | None,
) -> None:
    node = world.store.find_node(pool_key, node_id)
    if node and node.boot_number == boot_number and allows(NODE, node.state, event):
        _apply_event(world, node, event, errors=errors, recover_seconds=recover_seconds)


def _apply_event(
    world: World,
    node: Node,
    event: FaultEvent,
    *,
    errors: Sequence[Wire] = (),
    recover_seconds: float | None = None,
) -> None:
    """Let an event of `NODE` (`preempt`, `lose`, `break`) come over a node; its tasks are requeued.

    409 OperationInvalidForCurrentState where that cannot be, OperationNotValidOnNode for the preemption of a
    dedicated node. A node that was to leave its pool leaves it at once.
    """
    if event == "preempt" and node.dedicated:
        raise BatchError("OperationNotValidOnNode")
    if not allows(NODE, node.state, event):
        raise BatchError("OperationInvalidForCurrentState")
    is_leaving = node.leaving is not None
    node.pending = None
    nodes.evict(world, node, "requeue")
    world.store.move_node(node, event, world.now)
    node.boot_number += 1
    node.start_task = None
    node.errors = list(errors)
    node.disk_number += event == "preempt"
    background.interrupt(world, node, comes_back=event != "preempt" and recover_seconds is not None)
    _lose_machine(world, node, event)
    if is_leaving:
        node.pending = "leave"
        world.drained.append(node)
    elif event == "preempt":
        _replace_later(world, node)
    elif recover_seconds is not None:
        world.after(recover_seconds, nodes.boot, node.pool_key, node.id, node.boot_number)


def _lose_machine(world: World, node: Node, event: FaultEvent) -> None:
    """A preempted node loses its disk; of the others only what runs is gone."""
    if event != "preempt":
        world.actions.append(Stop(node.id, "startup"))
        return
    world.usage.add(world.store.pools[node.pool_key], node.allocated, world.now)
    node.allocated = world.now
    world.actions.append(CloseNode(node.id))


def _replace_later(world: World, node: Node) -> None:
    seconds = world.settings.node_replacement_seconds
    world.after(seconds, _replace, node.pool_key, node.id, node.boot_number)


def _replace(world: World, pool_key: str, node_id: str, boot_number: int) -> None:
    """There is capacity again: the node keeps its id and begins anew."""
    node = world.store.find_node(pool_key, node_id)
    if node is None or node.boot_number != boot_number or not allows(NODE, node.state, "replace"):
        return
    world.store.move_node(node, "replace", world.now)
    node.allocated = world.now
    world.after(world.settings.node_boot_seconds, nodes.boot, pool_key, node_id, boot_number)


def disk_full(world: World, node: Node) -> None:
    """The disk of a node is full: it takes no tasks until it is rebooted. What runs there goes on."""
    if allows(NODE, node.state, "break") and node.leaving is None:
        world.store.move_node(node, "break", world.now)
        node.errors = [_DISK_FULL]


EVENTS: tuple[str, ...] = (*get_args(FaultEvent), "filldisk", "recover")


def strike_node(world: World, pool_id: str, node_id: str, event: str, request: Wire) -> Node:
    """Let one of `EVENTS` come over a node, as the control API wishes."""
    node = world.node(pool_id, node_id)
    if event == "filldisk":
        disk_full(world, node)
    elif event == "recover":
        _recover(world, node)
    else:
        errors, seconds = request.get("errors", ()), request.get("recoverSeconds")
        _apply_event(world, node, cast(FaultEvent, event), errors=errors, recover_seconds=seconds)
    return node


def _recover(world: World, node: Node) -> None:
    if node.state not in ("unknown", "unusable"):
        raise BatchError("OperationInvalidForCurrentState")
    # It may have been on its way back by itself. On a full disk tasks go on until now.
    node.boot_number += 1
    nodes.evict(world, node, "requeue")
    nodes.boot(world, key(node.pool_key), node.id, node.boot_number)
