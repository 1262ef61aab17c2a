"""Which ready task runs next, and on which node."""

from __future__ import annotations

from dataclasses import dataclass

from batch_emulator.model import Job, Node, Task, key
from batch_emulator.scheduler.world import World


@dataclass(frozen=True, slots=True)
class Placement:
    """A task that is to run on a node, now."""

    task: Task
    node: Node


def next_placement(world: World, pool_key: str) -> Placement | None:
    """The next placement in a pool, or None when there is no task that fits or no node that is free.

    Jobs by priority, then age; within a job the oldest ready task that fits the largest free space
    (`requiredSlots`), at most `maxParallelTasks` at once. Nodes by the pool's fill type.
    """
    pool = world.store.pools.get(pool_key)
    if pool is None or pool.state != "active":
        return None
    nodes = world.store.nodes(pool_key)
    most_free = nodes.most_free()
    if not most_free:
        return None
    for job in world.store.queued_jobs(pool_key):
        task = _next_task(world, job, most_free)
        if task:
            fill = pool.spec.get("taskSchedulingPolicy", {}).get("nodeFillType", "Spread")
            return Placement(task, nodes.pick(task.slots, fill))
    return None


def _next_task(world: World, job: Job, most_slots: int) -> Task | None:
    return world.store.tasks(key(job.id)).ready.first(most_slots)
