"""What it means that the service was gone.

The node agent has gone on, as Azure's does while the service restarts: what ran runs, or has ended, and is
taken up. Where the agent is gone too, every machine that was up has rebooted: nodes keep their ids and disks,
boot again and run their start task, and tasks that ran are ready again. Either way whatever was to happen
later is still to happen: the timers are kept with the resources.
"""

from __future__ import annotations

from batch_emulator.resources.model import Job, Node, Task, key
from batch_emulator.scheduler import (
    autoscaling,
    dependencies,
    nodes,
    preparation,
    release,
    retention,
    slots,
    taskruns,
)
from batch_emulator.scheduler.taskends import requeue_task
from batch_emulator.scheduler.world import CloseNode, OpenNode, World

_DOWN = frozenset({"creating", "rebooting", "deallocating", "deallocated", "unknown", "unusable"})
_BUSY = ("preparing", "running")
_WITHOUT_DISK = frozenset({"reimaging", "leavingpool", "preempted"})


def recover(world: World, last: int, went_on: bool) -> None:
    """Make of a store as it was at `last` (ticks), and never after, one that can go on. `went_on`: what ran
    is known to the nodes, and need not run again."""
    for pool_key, pool in world.store.pools.items():
        autoscaling.resume(world, pool)
        for node in list(world.store.nodes(pool_key)):
            _recover_node(world, node, went_on)
        world.allocations_to_check[pool_key] = None
    for job in list(world.store.jobs.values()):
        _recover_job(world, job, went_on)
    retention.resume(world, last)


def _recover_node(world: World, node: Node, went_on: bool) -> None:
    if node.state != "creating":
        world.actions.append(OpenNode(world.store.pools[node.pool_key].id, node.id))
    if node.state in _WITHOUT_DISK:
        # Its removal may have been cut off.
        world.actions.append(CloseNode(node.id))
    elif went_on:
        _take_up_node(world, node)
    elif node.state in _DOWN:
        nodes.evict(world, node, "requeue")
    else:
        nodes.interrupt(world, node, "requeue", node.pending or "reboot")


def _take_up_node(world: World, node: Node) -> None:
    """Go on with all that runs on a node beside Batch tasks. Attempts that had been given up are over."""
    for place, (_, job_key, task_key) in list(node.occupants.items()):
        if not _is_current(world, place, job_key, task_key):
            world.store.vacate(node, place, world.now)
    if not node.occupants and (node.pending or node.leaving):
        world.drained.append(node)
    nodes.take_up(world, node)
    for job_key, kind in node.background.items():
        if job := world.store.jobs.get(job_key):
            _BACKGROUND[kind].take_up(world, job, node)


_BACKGROUND = {"preparation": preparation, "release": release}


def _is_current(world: World, place: str, job_key: str, task_key: str) -> bool:
    task = world.store.tasks(job_key).by_id.get(task_key) if job_key in world.store.jobs else None
    return task is not None and slots.is_current(task, place)


def _find_node(world: World, task: Task) -> Node | None:
    if task.pool_id is None or task.node_id is None:
        return None
    return world.store.find_node(key(task.pool_id), task.node_id)


def _recover_job(world: World, job: Job, went_on: bool) -> None:
    tasks = world.store.tasks(job.key)
    for task in [tasks.by_id[each] for state in _BUSY for each in tasks.by_state[state]]:
        node = _find_node(world, task)
        if node is None or not went_on:
            requeue_task(world, task)
        elif task.state == "running":
            taskruns.take_up(world, job, task, node)
    for task in tasks.by_id.values():
        if task.awaits is not None:
            dependencies.wait_again(world, task)
    world.place_on(job.pool_key)
    world.jobs_to_check[job.key] = None
