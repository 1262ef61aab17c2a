"""How a Batch task runs on its node: placed, prepared, launched, retried."""

from __future__ import annotations

from batch_emulator.node.launch import Launch, Outcome
from batch_emulator.resources.model import Job, Node, Task
from batch_emulator.scheduler import multiinstance, preparation, slots
from batch_emulator.scheduler.launches import retries_left, task_launch
from batch_emulator.scheduler.taskends import conclude, give_back
from batch_emulator.scheduler.world import Start, World


def start_task(world: World, task: Task, nodes: list[Node]) -> None:
    """Begin a placed task on its node, or a multi-instance task on its nodes."""
    job = world.store.jobs[task.job_key]
    task.attempt += 1
    task.pool_id, task.node_id = world.store.pools[nodes[0].pool_key].id, nodes[0].id
    task.ended = None
    for node in nodes:
        slots.occupy(world, job, task, node)
    if task.is_multi_instance:
        multiinstance.start(world, job, task, nodes)
    else:
        _start(world, job, task, nodes[0])


def _start(world: World, job: Job, task: Task, node: Node) -> None:
    """Run a task, or let it wait, `preparing`, until the job preparation task has run on the node."""
    if preparation.lets_run(world, job, node):
        _run(world, job, task, node)
    else:
        world.store.move_task(task, "prepare", world.now)


def _run(world: World, job: Job, task: Task, node: Node) -> None:
    task.started = world.now
    world.store.move_task(task, "start", world.now)
    _launch(world, job, task, node)


def _launch(world: World, job: Job, task: Task, node: Node) -> None:
    launch = task_launch(world, job, task, world.store.pools[node.pool_key], node)
    _begin(world, task, node, world.faults.spoil_disk(node.pool_key, launch))


def _begin(world: World, task: Task, node: Node, launch: Launch) -> None:
    world.actions.append(
        Start(launch, task_ended, (node.pool_key, node.id, task.job_key, task.key, task.attempt))
    )


def take_up(world: World, job: Job, task: Task, node: Node) -> None:
    """Go on with a task that an earlier service has begun on the node, or was about to."""
    if task.is_multi_instance:
        multiinstance.take_up(world, task)
        return
    _begin(world, task, node, task_launch(world, job, task, world.store.pools[node.pool_key], node))


def prepared(world: World, job_key: str, pool_key: str, node_id: str) -> None:
    """A job preparation task has ended: the tasks that waited for it run, or look for another node."""
    job, node = world.store.jobs.get(job_key), world.store.find_node(pool_key, node_id)
    if job is None or node is None:
        return
    for task in _preparing_on(world, job, node):
        if preparation.has_failed(job, node):
            give_back(world, task)
        elif task.is_multi_instance:
            multiinstance.go_on(world, job, task)
        elif preparation.lets_run(world, job, node):
            _run(world, job, task, node)


def _preparing_on(world: World, job: Job, node: Node) -> list[Task]:
    by_id = world.store.tasks(job.key).by_id
    mine = [by_id.get(task_key) for _, job_key, task_key in node.occupants.values() if job_key == job.key]
    return [task for task in mine if task and task.state == "preparing" and node.id in task.node_ids]


_TAKES_RETRIES = frozenset({"idle", "running", "offline"})


def task_ended(
    world: World, pool_key: str, node_id: str, job_key: str, task_key: str, attempt: int, outcome: Outcome
) -> None:
    """A node reports the end of an attempt; one that is no longer wanted only frees its slots."""
    task = world.store.find_task(job_key, task_key)
    node = world.store.find_node(pool_key, node_id)
    if task is None or task.attempt != attempt or task.state != "running":
        if node is not None:
            _free(world, node, job_key, task_key, attempt, outcome)
        return
    if node is not None and _is_to_retry(task, node, outcome):
        # Before the slots are given back: a node that waits for its tasks to end waits for retries, too.
        _retry(world, world.store.jobs[job_key], task, node)
        _free(world, node, job_key, task_key, attempt, outcome)
        return
    if node is not None:
        _free(world, node, job_key, task_key, attempt, outcome)
    conclude(world, task, node, outcome)


def _is_to_retry(task: Task, node: Node, outcome: Outcome) -> bool:
    return outcome.retriable and retries_left(task) and node.state in _TAKES_RETRIES


def _free(world: World, node: Node, job_key: str, task_key: str, attempt: int, outcome: Outcome) -> None:
    """Take the slots of an attempt back. Where it has met a full disk the node takes no more tasks."""
    slots.vacate(world, node, job_key, task_key, attempt)
    if outcome.failure and outcome.failure.code == "DiskFull":
        world.full_disks.append(node)


def _retry(world: World, job: Job, task: Task, node: Node) -> None:
    task.retry_count += 1
    task.last_retry = world.now
    task.attempt += 1
    world.store.move_task(task, "retry", world.now)
    slots.occupy(world, job, task, node)
    _launch(world, job, task, node)
