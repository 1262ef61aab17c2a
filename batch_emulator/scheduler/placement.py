"""Which ready task runs next, and on which node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from batch_emulator.resources.model import Job, Node, Pool, Task, key
from batch_emulator.resources.pool_nodes import PoolNodes, Suits
from batch_emulator.scheduler.preemption import first_waiting, gives_way
from batch_emulator.scheduler.preparation import has_failed
from batch_emulator.scheduler.world import World

_AFFINITY_PREFIX = "TVM:"


@dataclass(frozen=True, slots=True)
class Placement:
    """A task that is to run, now, on a node; a multi-instance task on several, the first for its primary."""

    task: Task
    nodes: list[Node]


def next_placement(world: World, pool_key: str) -> Placement | None:
    """The next placement in a pool, or None when there is no task that fits or no node that is free.

    Jobs by priority, and equals as the pool's task scheduling policy says (`_in_order`); within a job first
    its job manager task, then the oldest ready task that fits the largest free space (`requiredSlots`), at
    most `maxParallelTasks` at once. Nodes by the pool's fill type.
    """
    pool = world.store.pools.get(pool_key)
    if pool is None or pool.state != "active" or not world.store.nodes(pool_key).most_free():
        return None
    waiting: Job | None = None
    for job in _in_order(world, pool):
        if waiting is not None and gives_way(job, waiting):
            # It would be pushed out again, and never leave enough free for a task of several slots.
            continue
        found = _place_manager(world, job, pool) or _place_task(world, job, pool)
        found = found or _place_multi_instance(world, job, pool)
        if found:
            return found
        if waiting is None and first_waiting(world, job, pool) is not None:
            waiting = job
    return None


def _in_order(world: World, pool: Pool) -> Iterator[Job]:
    """Jobs with ready tasks, highest priority first. Of equals the oldest with `jobDefaultOrder`
    `creationtime`; else that of which the fewest tasks run, so that they share the pool."""
    by_age = pool.spec.get("taskSchedulingPolicy", {}).get("jobDefaultOrder") == "creationtime"
    store = world.store
    return store.queued_jobs(key(pool.id)) if by_age else store.queued_jobs_by_load(key(pool.id))


def _place_manager(world: World, job: Job, pool: Pool) -> Placement | None:
    """The job manager task on a node of the kind that it asks for, empty if it is to have that for itself."""
    task = world.store.tasks(job.key).ready.manager
    if task is None:
        return None
    manager = job.spec["jobManagerTask"]
    slots = pool.slots_per_node if manager["runExclusive"] else task.slots

    def suits(node: Node) -> bool:
        return (node.dedicated or manager["allowLowPriorityNode"]) and not has_failed(job, node)

    node = world.store.nodes(key(pool.id)).pick(slots, _fill_type(pool), suits)
    return Placement(task, [node]) if node else None


def _place_task(world: World, job: Job, pool: Pool) -> Placement | None:
    nodes = world.store.nodes(key(pool.id))
    suits: Suits = (lambda node: not has_failed(job, node)) if job.unfit_nodes else None
    most_free = nodes.most_free() if suits is None else _count_most_free_slots(nodes, suits)
    task = world.store.tasks(job.key).ready.first(most_free)
    if task is None:
        return None
    node = _preferred_node(nodes, task, suits) or nodes.pick(task.slots, _fill_type(pool), suits)
    return Placement(task, [node]) if node else None


def _place_multi_instance(world: World, job: Job, pool: Pool) -> Placement | None:
    """As many nodes as a multi-instance task asks for, all at once. Pools without communication between
    their nodes, or with several slots on one, never run it."""
    ready = world.store.tasks(job.key).ready
    can_run = pool.spec.get("enableInterNodeCommunication") and pool.slots_per_node == 1
    if not (can_run and ready.has_multi_instance):
        return None
    nodes = world.store.nodes(key(pool.id)).fitting(1, "spread", lambda node: not has_failed(job, node))
    found = list(nodes)
    task = ready.first_multi_instance(len(found))
    return Placement(task, found[: _count(task)]) if task else None


def _count(task: Task) -> int:
    return task.spec["multiInstanceSettings"]["numberOfInstances"]


def _count_most_free_slots(nodes: PoolNodes, suits: Suits) -> int:
    node = nodes.pick(1, "spread", suits)
    return nodes.free_slots(node.id) if node else 0


def _preferred_node(nodes: PoolNodes, task: Task, suits: Suits) -> Node | None:
    """The node of the task's `affinityInfo`, if the task can run there now."""
    if "affinityInfo" not in task.spec:
        return None
    node_id = task.spec["affinityInfo"]["affinityId"].removeprefix(_AFFINITY_PREFIX)
    node = nodes.by_id.get(node_id)
    if node is None or nodes.free_slots(node_id) < task.slots:
        return None
    return node if suits is None or suits(node) else None


def _fill_type(pool: Pool) -> str:
    return pool.spec.get("taskSchedulingPolicy", {}).get("nodeFillType", "Spread")
