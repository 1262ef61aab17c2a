"""The life of nodes: booting, start task, reboot, reimage, deallocation, scheduling off and on, leaving."""

from __future__ import annotations

from collections.abc import Callable

from batch_emulator.errors import BatchError
from batch_emulator.node.launch import Outcome
from batch_emulator.resources.model import Deallocation, Node, Wire, key
from batch_emulator.resources.runs import Run
from batch_emulator.resources.transitions import NODE, Interruption, allows
from batch_emulator.scheduler import background, release, retention
from batch_emulator.scheduler.launches import start_task_launch
from batch_emulator.scheduler.taskends import TASK_ENDED, end_task, requeue_task
from batch_emulator.scheduler.world import CloseNode, OpenNode, Start, Stop, World, failure_info

#: Data may have to be kept for ever, and go sooner, with their task.
_RETENTION_LOOK_SECONDS = 30.0
_COMING_UP = ("creating", "starting")


def boot(world: World, pool_key: str, node_id: str, boot_number: int) -> None:
    """The node's machine is there: its agent starts."""
    node = _expected(world, pool_key, node_id, boot_number)
    if node is None:
        return
    world.store.move_node(node, "boot", world.now)
    node.errors = []
    world.booted.append(node)
    world.actions.append(OpenNode(world.store.pools[pool_key].id, node.id))
    world.after(world.settings.node_boot_seconds, run_start_task, pool_key, node_id, boot_number)


def _expected(world: World, pool_key: str, node_id: str, boot_number: int) -> Node | None:
    node = world.store.find_node(pool_key, node_id)
    return node if node and node.boot_number == boot_number and node.leaving is None else None


def run_start_task(world: World, pool_key: str, node_id: str, boot_number: int) -> None:
    """The agent is up: run the pool's start task, or take Batch tasks at once."""
    node = _expected(world, pool_key, node_id, boot_number)
    if node is None or node.state != "starting":
        return
    node.booted, node.is_resuming = world.now, False
    if node.agent_disk_number != node.disk_number:
        node.agent_installed, node.agent_disk_number = world.now, node.disk_number
    release.resume(world, node)
    spec = node.start_task_spec = world.store.pools[pool_key].spec.get("startTask")
    node.start_task = None
    if spec is None:
        ready(world, node)
        return
    node.start_task = Run(started=world.now)
    if spec.get("waitForSuccess", True):
        world.store.move_node(node, "wait", world.now)
    else:
        ready(world, node)
    _launch_start_task(world, node, node.start_task, spec)


def take_up(world: World, node: Node) -> None:
    """Go on with a start task that an earlier service has begun."""
    run, spec = node.start_task, node.start_task_spec
    if run is not None and spec is not None and run.state == "running":
        _launch_start_task(world, node, run, spec)


def _launch_start_task(world: World, node: Node, run: Run, spec: Wire) -> None:
    world.store.touch("node", node.pool_key, node.id)
    launch = start_task_launch(world, world.store.pools[node.pool_key], node, spec, run)
    world.actions.append(Start(launch, start_task_ended, (node.pool_key, node.id, node.boot_number)))


def start_task_ended(world: World, pool_key: str, node_id: str, boot_number: int, outcome: Outcome) -> None:
    """Retry a failed start task as often as it may be; its success makes a node that waited for it idle."""
    node = _expected(world, pool_key, node_id, boot_number)
    if node is None or node.start_task is None or node.start_task_spec is None or outcome.stopped:
        return
    outcome = world.faults.spoil_start_task(pool_key, outcome)
    most = node.start_task_spec.get("maxTaskRetryCount", 0)
    if outcome.failure and outcome.retriable and (most == -1 or node.start_task.retry_count < most):
        node.start_task.retry(world.now)
        _launch_start_task(world, node, node.start_task, node.start_task_spec)
        return
    node.start_task.complete(world.now, outcome.exit_code, failure_info(outcome.failure))
    world.store.touch("node", node.pool_key, node.id)
    if node.state == "waitingforstarttask":
        if outcome.failure:
            world.store.move_node(node, "fail", world.now)
        else:
            ready(world, node)


def ready(world: World, node: Node) -> None:
    """The node takes Batch tasks, unless its scheduling is disabled."""
    world.store.move_node(node, "ready" if node.scheduling == "enabled" else "disable", world.now)
    world.place_on(node.pool_key)


def interrupt(world: World, node: Node, option: Deallocation, then: Interruption) -> None:
    """Free a node of its tasks as `option` says, then do `then` (`reboot`, `reimage`, `deallocate`, `leave`).

    `requeue` and `terminate` act at once; `taskcompletion` and `retaineddata` wait for the tasks, the latter
    also until what they have left need not be kept any more. The node takes no new ones.
    """
    node.pending, node.awaits_retention = then, option == "retaineddata"
    world.store.nodes(node.pool_key).reindex(node)
    world.store.touch("node", node.pool_key, node.id)
    if option in ("requeue", "terminate"):
        evict(world, node, option)
        drained(world, node)
    elif not node.occupants:
        drained(world, node)


def evict(world: World, node: Node, option: Deallocation) -> None:
    """Take all tasks off a node: `requeue` or `terminate` them."""
    for directory, (_, job_key, task_key) in list(node.occupants.items()):
        task = world.store.find_task(job_key, task_key)
        if task and node.id in task.node_ids and task.state in ("running", "preparing"):
            if option == "requeue":
                requeue_task(world, task)
            else:
                end_task(world, task, TASK_ENDED)
        world.store.vacate(node, directory, world.now)
    if node.pending:
        world.drained.append(node)


def drained(world: World, node: Node) -> None:
    """Nothing runs on the node any more: do what waited for that."""
    if node.pending and node.awaits_retention and retention.is_kept(world, node):
        world.after(_RETENTION_LOOK_SECONDS, _look_again, node.pool_key, node.id, node.boot_number)
        return
    event, node.pending = node.pending, None
    world.store.touch("node", node.pool_key, node.id)
    if event is None or not allows(NODE, node.state, event):
        return
    world.store.move_node(node, event, world.now)
    node.boot_number += 1
    keeps_disk = event in ("reboot", "deallocate")
    node.disk_number += not keeps_disk
    background.interrupt(world, node, comes_back=event == "reboot")
    world.actions.append(Stop(node.id, "startup") if keeps_disk else CloseNode(node.id))
    _AFTER[event](world, node)


def _look_again(world: World, pool_key: str, node_id: str, boot_number: int) -> None:
    node = world.store.find_node(pool_key, node_id)
    if node is not None and node.boot_number == boot_number and not node.occupants:
        drained(world, node)


def _boot_later(world: World, node: Node) -> None:
    world.after(world.settings.node_reboot_seconds, boot, node.pool_key, node.id, node.boot_number)


def _stop_later(world: World, node: Node) -> None:
    world.after(world.settings.node_reboot_seconds, _deallocated, node.pool_key, node.id, node.boot_number)


def _deallocated(world: World, pool_key: str, node_id: str, boot_number: int) -> None:
    if node := _expected(world, pool_key, node_id, boot_number):
        world.store.move_node(node, "stop", world.now)


def _go_later(world: World, node: Node) -> None:
    world.after(world.settings.node_removal_seconds, gone, node.pool_key, node.id)


def gone(world: World, pool_key: str, node_id: str) -> None:
    """The node has left; the pool's allocation looks whether it has what it wanted."""
    node = world.store.find_node(pool_key, node_id)
    if node:
        world.usage.add(world.store.pools[pool_key], node.allocated, world.now)
        world.store.remove_node(node)
        world.allocations_to_check[pool_key] = None


_AFTER: dict[Interruption, Callable[[World, Node], None]] = {
    "reboot": _boot_later,
    "reimage": _boot_later,
    "deallocate": _stop_later,
    "leave": _go_later,
}


def leave(world: World, node: Node, option: Deallocation) -> None:
    """Take a node out of its pool, for good."""
    if node.leaving is None:
        node.leaving = option
        interrupt(world, node, option, "leave")


def interrupt_node(
    world: World, pool_id: str, node_id: str, option: Deallocation, event: Interruption
) -> None:
    """Reboot, reimage or deallocate by the user's wish."""
    node = world.node(pool_id, node_id)
    if not _can_be(node, event):
        raise BatchError(_REFUSALS.get(node.state, "NodeNotReady"))
    interrupt(world, node, option, event)


def _can_be(node: Node, event: Interruption) -> bool:
    """Whether this can happen to the node now: it is up, and not on its way somewhere else."""
    is_free = not (node.pending or node.leaving)
    return is_free and node.state not in _COMING_UP and allows(NODE, node.state, event)


_REFUSALS = {
    "creating": "NodeBeingCreated",
    "starting": "NodeBeingStarted",
    "rebooting": "NodeBeingRebooted",
    "reimaging": "NodeBeingReimaged",
}


def start_node(world: World, pool_id: str, node_id: str) -> None:
    """Boot a deallocated node. It tells its last start task until the next begins."""
    node = world.node(pool_id, node_id)
    if node.state != "deallocated":
        raise BatchError("OperationInvalidForCurrentState")
    node.is_resuming = True
    boot(world, key(pool_id), node_id, node.boot_number)


def disable_scheduling(world: World, pool_id: str, node_id: str, option: Deallocation) -> None:
    """Keep new tasks off a node; what runs is requeued, terminated or left to finish (`taskcompletion`)."""
    node = world.node(pool_id, node_id)
    if node.scheduling == "disabled":
        raise BatchError("NodeAlreadyInTargetSchedulingState")
    if node.state not in ("idle", "running"):
        raise BatchError("NodeNotReady")
    node.scheduling = "disabled"
    if option in ("requeue", "terminate"):
        evict(world, node, option)
    world.store.move_node(node, "disable", world.now)


def enable_scheduling(world: World, pool_id: str, node_id: str) -> None:
    """Let a node take tasks again."""
    node = world.node(pool_id, node_id)
    if node.scheduling == "enabled":
        raise BatchError("NodeAlreadyInTargetSchedulingState")
    node.scheduling = "enabled"
    world.store.touch("node", node.pool_key, node.id)
    if node.state == "offline":
        world.store.move_node(node, "occupy" if node.occupants else "ready", world.now)
    world.place_on(node.pool_key)


def set_user(world: World, pool_id: str, node_id: str, user: Wire, *, new: bool) -> None:
    """Add or change a user account of a node; it is kept, not created on this machine."""
    node = _node_with_users(world, pool_id, node_id)
    if new and user["name"] in node.users:
        raise BatchError("NodeUserExists")
    if not new and user["name"] not in node.users:
        raise BatchError("NodeUserNotFound")
    node.users[user["name"]] = user
    world.store.touch("node", node.pool_key, node.id)


def _node_with_users(world: World, pool_id: str, node_id: str) -> Node:
    """The node, if it takes changes of its users: an idle or running one does."""
    node = world.node(pool_id, node_id)
    if node.state not in ("idle", "running"):
        raise BatchError("NodeNotReady")
    return node


def delete_user(world: World, pool_id: str, node_id: str, name: str) -> None:
    node = _node_with_users(world, pool_id, node_id)
    if node.users.pop(name, None) is None:
        raise BatchError("NodeUserNotFound")
    world.store.touch("node", node.pool_key, node.id)
