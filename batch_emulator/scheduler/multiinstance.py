"""Multi-instance tasks: a coordination command on several nodes, then the task's own command on the first.

Source: documentation page "Use multi-instance tasks to run Message Passing Interface applications".
"""

from __future__ import annotations

from batch_emulator.node.launch import Outcome
from batch_emulator.resources.model import Job, Node, Task
from batch_emulator.resources.runs import Instance
from batch_emulator.scheduler import preparation, slots
from batch_emulator.scheduler.launches import (
    application_launch,
    coordination_launch,
    retries_left,
    task_directory,
)
from batch_emulator.scheduler.taskends import conclude, give_back, stop_instances
from batch_emulator.scheduler.world import Start, World, failure_info


def start(world: World, job: Job, task: Task, nodes: list[Node]) -> None:
    """Begin a task that has its nodes. Each becomes an instance; number 0, on the first, is the primary."""
    task.instances = [
        Instance(id=number, node_id=node.id, state="preparing", since=world.now)
        for number, node in enumerate(nodes)
    ]
    if not go_on(world, job, task):
        world.store.move_task(task, "prepare", world.now)


def go_on(world: World, job: Job, task: Task) -> bool:
    """Coordinate the instances if the job preparation task has run on all nodes; returns whether it has."""
    nodes = _nodes(world, task)
    if [node for node in nodes if not preparation.lets_run(world, job, node)]:
        return False
    task.started = world.now
    world.store.move_task(task, "start", world.now)
    for instance in task.instances or ():
        instance.move("running", world.now)
        instance.started, instance.runs = world.now, True
        _launch_coordination(world, job, task, nodes, instance.id)
    return True


def _launch_coordination(world: World, job: Job, task: Task, nodes: list[Node], number: int) -> None:
    node = nodes[number]
    launch = coordination_launch(world, job, task, world.store.pools[node.pool_key], nodes, number)
    world.actions.append(Start(launch, coordinated, _whom(node, task)))


def take_up(world: World, task: Task) -> None:
    """Go on with what an earlier service has begun of a task, in the stage that it was in."""
    job, nodes = world.store.jobs[task.job_key], _nodes(world, task)
    instances = task.instances or ()
    if all(each.is_coordinated for each in instances):
        _launch_application(world, task)
        return
    for instance in instances:
        if instance.runs:
            _launch_coordination(world, job, task, nodes, instance.id)


def coordinated_places(world: World) -> set[tuple[str, str]]:
    """The nodes, and the directories on them, in which coordination commands have ended, of tasks that run:
    what these have left running belongs to the task."""
    return {
        (instance.node_id, task_directory(job, tasks.by_id[each]))
        for job in world.store.jobs.values()
        for tasks in (world.store.tasks(job.key),)
        for each in tasks.by_state["running"]
        for instance in tasks.by_id[each].instances or ()
        if instance.is_coordinated
    }


def _nodes(world: World, task: Task) -> list[Node]:
    found = (world.store.find_node(task.pool_key, each.node_id) for each in task.instances or ())
    return [node for node in found if node is not None]


def _whom(node: Node, task: Task) -> tuple:
    return (node.pool_key, node.id, task.job_key, task.key, task.attempt)


def coordinated(
    world: World, pool_key: str, node_id: str, job_key: str, task_key: str, attempt: int, outcome: Outcome
) -> None:
    """The coordination command has ended on one node. After the last success the primary goes on."""
    node = world.store.find_node(pool_key, node_id)
    if (task := _find_waiting(world, node, job_key, task_key, attempt)) is None:
        return
    instance = _instance(task, node_id)
    instance.runs = False
    instance.exit_code, instance.failure = outcome.exit_code, failure_info(outcome.failure)
    world.store.touch("task", job_key, task_key)
    if outcome.failure:
        _fail(world, task, node, outcome)
    elif all(each.is_coordinated for each in task.instances or ()):
        _launch_application(world, task)


def _find_waiting(world: World, node: Node | None, job_key: str, task_key: str, attempt: int) -> Task | None:
    """The task that a command has ended of, if it still runs as this attempt; else its slots are vacated."""
    task = world.store.find_task(job_key, task_key)
    if task and task.attempt == attempt and task.state == "running":
        return task
    if node is not None:
        slots.vacate(world, node, job_key, task_key, attempt)
    return None


def _instance(task: Task, node_id: str) -> Instance:
    return next(each for each in task.instances or () if each.node_id == node_id)


def _launch_application(world: World, task: Task) -> None:
    nodes = _nodes(world, task)
    _instance(task, nodes[0].id).runs = True
    job, pool = world.store.jobs[task.job_key], world.store.pools[nodes[0].pool_key]
    launch = application_launch(world, job, task, pool, nodes)
    world.actions.append(Start(launch, ended, _whom(nodes[0], task)))


def ended(
    world: World, pool_key: str, node_id: str, job_key: str, task_key: str, attempt: int, outcome: Outcome
) -> None:
    """The primary has ended, and with it all instances. Its exit code is the task's."""
    node = world.store.find_node(pool_key, node_id)
    if (task := _find_waiting(world, node, job_key, task_key, attempt)) is None:
        return
    _instance(task, node_id).runs = False
    if outcome.failure:
        _fail(world, task, node, outcome)
    else:
        stop_instances(world, task)
        conclude(world, task, node, outcome)


def _fail(world: World, task: Task, node: Node | None, outcome: Outcome) -> None:
    """One instance has failed, and so has the whole task: it is tried again from the beginning, or over."""
    if outcome.retriable and retries_left(task):
        task.retry_count += 1
        task.last_retry = world.now
        give_back(world, task)
    else:
        stop_instances(world, task)
        conclude(world, task, node, outcome)
