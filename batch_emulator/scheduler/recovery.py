"""What it means that the service was gone: every machine that was up has rebooted, and nothing runs on any.

Nodes keep their ids and disks, boot again and run their start task. Tasks that ran are ready again, as after
a node's reboot. Whatever was to happen later is still to happen: the timers are kept with the resources.
"""

from __future__ import annotations

from batch_emulator.resources.model import Job, Node
from batch_emulator.scheduler import autoscaling, dependencies, nodes, retention
from batch_emulator.scheduler.taskends import requeue_task
from batch_emulator.scheduler.world import CloseNode, OpenNode, World

_DOWN = frozenset({"creating", "rebooting", "deallocating", "deallocated", "unknown", "unusable"})
_WITHOUT_DISK = frozenset({"reimaging", "leavingpool", "preempted"})


def recover(world: World, last: int) -> None:
    """Make of a store as it was at `last` (ticks), and never after, one that can go on."""
    for pool_key, pool in world.store.pools.items():
        autoscaling.resume(world, pool)
        for node in list(world.store.nodes(pool_key)):
            _recover_node(world, node)
        world.allocations_to_check[pool_key] = None
    for job in list(world.store.jobs.values()):
        _recover_job(world, job)
    retention.resume(world, last)


def _recover_node(world: World, node: Node) -> None:
    if node.state != "creating":
        world.actions.append(OpenNode(world.store.pools[node.pool_key].id, node.id))
    if node.state in _WITHOUT_DISK:
        # Its removal may have been cut off.
        world.actions.append(CloseNode(node.id))
    elif node.state in _DOWN:
        nodes.evict(world, node, "requeue")
    else:
        nodes.interrupt(world, node, "requeue", node.pending or "reboot")


def _recover_job(world: World, job: Job) -> None:
    tasks = world.store.tasks(job.key)
    busy = [tasks.by_id[each] for state in ("preparing", "running") for each in tasks.by_state[state]]
    for task in busy:
        requeue_task(world, task)
    for task in tasks.by_id.values():
        if task.awaits is not None:
            dependencies.wait_again(world, task)
    world.place_on(job.pool_key)
    world.jobs_to_check[job.key] = None
