"""Room for tasks of higher priority: those of jobs with `allowTaskPreemption` are requeued for it.

Source: REST property `allowTaskPreemption` of a job: "other high priority jobs submitted to the system will
take precedence and will be able requeue tasks from this job". That as many are requeued as tasks wait, the
lowest priority and the last started first, is inferred.
"""

from __future__ import annotations

from collections.abc import Iterator

from batch_emulator.resources.model import Job, Node, Pool, Task
from batch_emulator.resources.pool_nodes import SCHEDULABLE
from batch_emulator.scheduler.preparation import has_failed
from batch_emulator.scheduler.slots import is_current
from batch_emulator.scheduler.taskends import requeue_task
from batch_emulator.scheduler.world import World


def make_room(world: World, pool_key: str) -> None:
    """Nothing can be placed in the pool: requeue what its first waiting job may push out."""
    pool, job = world.store.pools.get(pool_key), next(world.store.queued_jobs(pool_key), None)
    if pool is None or job is None or not any(gives_way(each, job) for each in _preemptible(world, pool_key)):
        return
    task = first_waiting(world, job, pool)
    wanted = _waiting(world, job)
    if task is None:
        return
    for node in _nodes(world, pool_key, job):
        wanted -= _make_room_on(world, node, job, task.slots, wanted)


def _preemptible(world: World, pool_key: str) -> Iterator[Job]:
    return (world.store.jobs[each] for each in world.store.jobs_of_pools.preemptible(pool_key))


def gives_way(job: Job, to: Job) -> bool:
    """Whether tasks of a job may be requeued for those of another."""
    return bool(job.spec.get("allowTaskPreemption")) and _priority(job) < _priority(to)


def _priority(job: Job) -> int:
    return job.spec.get("priority", 0)


def first_waiting(world: World, job: Job, pool: Pool) -> Task | None:
    """The next task of a job that one node could run."""
    ready = world.store.tasks(job.key).ready
    return ready.manager or ready.first(pool.slots_per_node)


def _waiting(world: World, job: Job) -> int:
    """How many more tasks of a job may run."""
    tasks = world.store.tasks(job.key)
    limit = job.spec.get("maxParallelTasks", -1)
    return len(tasks.ready) if limit < 0 else min(len(tasks.ready), limit - tasks.running)


def _nodes(world: World, pool_key: str, job: Job) -> list[Node]:
    """Those that take tasks of the job."""
    return [
        node
        for node in world.store.nodes(pool_key)
        if node.state in SCHEDULABLE
        and node.scheduling == "enabled"
        and not (node.leaving or node.pending or has_failed(job, node))
    ]


def _make_room_on(world: World, node: Node, job: Job, need: int, wanted: int) -> int:
    """Requeue tasks of a node until `wanted` tasks of `need` slots fit, or no more give way. Returns how many
    will fit, once what was requeued, before too, has ended."""
    victims = _victims(world, node, job)
    room = node.slots - node.slots_used + _given_up(world, node)
    wanted = min(wanted, (room + sum(task.slots for task in victims)) // need)
    while room < wanted * need:
        task = victims.pop()
        requeue_task(world, task)
        room += task.slots
    return wanted


def _victims(world: World, node: Node, job: Job) -> list[Task]:
    """The running tasks of a node that give way to a job, the first to do so last."""
    found = [
        task
        for place, task in _occupants(world, node)
        if is_current(task, place) and task.state == "running" and not task.is_multi_instance
    ]
    jobs = world.store.jobs
    giving_way = [task for task in found if gives_way(jobs[task.job_key], job)]
    return sorted(giving_way, key=lambda task: (-_priority(jobs[task.job_key]), task.started or 0))


def _given_up(world: World, node: Node) -> int:
    """Slots of attempts that are over for the service and have not ended yet."""
    return node.slots_used - sum(
        node.occupants[place][0] for place, task in _occupants(world, node) if is_current(task, place)
    )


def _occupants(world: World, node: Node) -> list[tuple[str, Task]]:
    found = [(place, world.store.find_task(*at)) for place, (_, *at) in node.occupants.items()]
    return [(place, task) for place, task in found if task is not None]
