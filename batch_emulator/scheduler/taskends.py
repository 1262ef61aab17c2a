"""How a Batch task ends, or is taken off its nodes to run again."""

from __future__ import annotations

from batch_emulator.node.launch import Outcome
from batch_emulator.resources.model import Node, Task, Wire
from batch_emulator.resources.runs import Instance
from batch_emulator.scheduler import retention, slots
from batch_emulator.scheduler.launches import task_directory
from batch_emulator.scheduler.world import Stop, World, failure, failure_info

#: As recorded: the only failure without details.
TASK_ENDED = failure("UserError", "TaskEnded", "Task Was Ended by User Request")


def conclude(world: World, task: Task, node: Node | None, outcome: Outcome) -> None:
    """Complete a task as its last attempt, on `node`, has ended."""
    if outcome.preprocessing_failure:
        task.failed_at = "start"
    elif outcome.upload_failure:
        task.failed_at = "upload"
    _finish(world, task, outcome.exit_code, failure_info(outcome.failure))
    if node is not None:
        _count_on_node(world, node, task)


def _finish(world: World, task: Task, exit_code: int | None, reason: Wire | None) -> None:
    """Complete a task; what waits for that follows in `settle`."""
    task.exit_code, task.failure = exit_code, reason
    task.result = "failure" if reason or exit_code else "success"
    task.ended = world.now
    world.store.move_task(task, "finish", world.now)
    retention.limit_task(world, task)
    world.finished.append(task)


def _count_on_node(world: World, node: Node, task: Task) -> None:
    node.tasks_run += 1
    node.tasks_succeeded += task.result == "success"
    # The last ten, the latest last, as recorded.
    node.recent_tasks = [*node.recent_tasks[-9:], (task.job_key, task.key)]
    world.store.touch("node", node.pool_key, node.id)


def end_task(world: World, task: Task, reason: Wire) -> None:
    """Complete a task that is not, with this failure, and stop what runs of it."""
    stop_task(world, task)
    _finish(world, task, None, reason)


def requeue_task(world: World, task: Task) -> None:
    """Take a task off its node by a user's wish, and make it ready again."""
    task.requeue_count += 1
    task.last_requeue = world.now
    give_back(world, task)


def give_back(world: World, task: Task) -> None:
    """Take a task off its nodes and make it ready again."""
    stop_task(world, task)
    task.attempt += 1
    task.started = task.node_id = task.pool_id = task.instances = None
    world.store.move_task(task, "requeue", world.now)
    world.place_on(world.store.jobs[task.job_key].pool_key)


def stop_task(world: World, task: Task) -> None:
    """Stop what runs of a task. Where nothing does no end will be reported: its slots are free now."""
    if task.instances is not None:
        stop_instances(world, task)
    elif task.node_id and task.state == "running":
        world.actions.append(Stop(task.node_id, task_directory(world.store.jobs[task.job_key], task)))
    elif task.node_id and task.state == "preparing":
        _vacate(world, task, task.node_id)


def stop_instances(world: World, task: Task) -> None:
    """The same for all instances of a multi-instance task, which are over with that."""
    directory = task_directory(world.store.jobs[task.job_key], task)
    for instance in task.instances or ():
        if instance.state != "completed":
            world.actions.append(Stop(instance.node_id, directory))
            if not instance.runs:
                _vacate(world, task, instance.node_id)
            _end_instance(instance, world.now)


def _end_instance(instance: Instance, now: int) -> None:
    """Complete an instance. One whose command has not ended by itself was ended by the service."""
    failure = instance.failure if instance.is_coordinated else TASK_ENDED
    instance.move("completed", now)
    instance.complete(now, instance.exit_code, failure)


def _vacate(world: World, task: Task, node_id: str) -> None:
    node = world.store.find_node(task.pool_key, node_id)
    if node is not None:
        slots.vacate(world, node, task.job_key, task.key, task.attempt)
