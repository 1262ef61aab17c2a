"""The life of Batch tasks: added, started, retried, ended, terminated, requeued, reactivated, deleted."""

from __future__ import annotations

from batch_emulator.errors import BatchError, invalid_property
from batch_emulator.launch import Outcome
from batch_emulator.model import Job, Node, Task, Wire, key
from batch_emulator.scheduler import dependencies, preparation, retention
from batch_emulator.scheduler.launches import retries_left, task_directory, task_launch
from batch_emulator.scheduler.world import RemoveDirectory, Start, Stop, World, failure, failure_info

TASK_ENDED = failure(
    "UserError", "TaskEnded", "Task Was Ended by User Request", Message="Task Was Ended by User Request"
)
_NOT_TAKING_TASKS = {
    "terminating": "JobBeingTerminated",
    "completed": "JobCompleted",
    "deleting": "JobBeingDeleted",
}


def add_task(world: World, job_id: str, spec: Wire) -> Task:
    """Add a Batch task (`spec` normalised); it is ready unless it depends on others."""
    job = require_open_job(world, job_id)
    _refuse_task(world, job, spec)
    task = _make_task(world, job, spec)
    ready = dependencies.register(world, job, task)
    world.store.add_task(task, ready=ready)
    world.place_on(job.pool_key)
    return task


def add_manager_task(world: World, job: Job, manager: Wire) -> None:
    """Add a new job's job manager task: its first task."""
    spec = {name: value for name, value in manager.items() if name not in _OF_MANAGERS}
    task = _make_task(world, job, spec)
    task.is_manager = True
    world.store.add_task(task, ready=True)
    world.place_on(job.pool_key)


_OF_MANAGERS = frozenset({"killJobOnCompletion", "runExclusive", "allowLowPriorityNode"})


def _make_task(world: World, job: Job, spec: Wire) -> Task:
    return Task(
        job_key=job.key,
        id=spec["id"],
        spec=_with_job_defaults(job, spec),
        number=world.store.next_number(),
        created=world.now,
        modified=world.now,
        state_since=world.now,
        slots=spec.get("requiredSlots", 1),
    )


def require_open_job(world: World, job_id: str) -> Job:
    """The job, if it takes tasks."""
    job = world.job(job_id)
    if refusal := _NOT_TAKING_TASKS.get(job.state):
        raise BatchError(refusal)
    return job


def _refuse_task(world: World, job: Job, spec: Wire) -> None:
    if key(spec["id"]) in world.store.tasks(key(job.id)).by_id:
        raise BatchError("TaskExists")
    for name, refusal in _TAKEN_IDS.items():
        if name in job.spec and key(job.spec[name]["id"]) == key(spec["id"]):
            raise BatchError(refusal)
    if spec.get("dependsOn") and not job.spec.get("usesTaskDependencies"):
        raise BatchError("TaskDependenciesNotSpecifiedOnJob")
    pool = world.store.pools.get(job.pool_key)
    slots = spec.get("requiredSlots", 1)
    if pool and slots > pool.slots_per_node:
        reason = f"The pool's taskSlotsPerNode is {pool.slots_per_node}"
        raise invalid_property("requiredSlots", slots, reason)


_TAKEN_IDS = {
    "jobPreparationTask": "TaskIdSameAsJobPreparationTask",
    "jobReleaseTask": "TaskIdSameAsJobReleaseTask",
}


def _with_job_defaults(job: Job, spec: Wire) -> Wire:
    constraints = spec.get("constraints", {})
    if "maxTaskRetryCount" in constraints:
        return spec
    inherited = job.spec.get("constraints", {}).get("maxTaskRetryCount", 0)
    return spec | {"constraints": constraints | {"maxTaskRetryCount": inherited}}


def update_task(world: World, job_id: str, task_id: str, constraints: Wire) -> Task:
    """Replace a task's constraints whole."""
    task = world.task(job_id, task_id)
    if task.state == "completed":
        raise BatchError("TaskCompleted")
    task.spec = _with_job_defaults(world.job(job_id), task.spec | {"constraints": constraints})
    world.stamp(task)
    world.store.touch("task", task.job_key, task.key)
    return task


def start_task(world: World, task: Task, node: Node) -> None:
    """Begin a placed task on its node; it is `preparing` until the job preparation task has run there."""
    job = world.store.jobs[task.job_key]
    task.attempt += 1
    task.pool_id, task.node_id = world.store.pools[node.pool_key].id, node.id
    task.ended = None
    _occupy(world, job, task, node)
    if preparation.lets_run(world, job, node):
        _run(world, job, task, node)
    else:
        world.store.move_task(task, "prepare", world.now)


def _occupy(world: World, job: Job, task: Task, node: Node) -> None:
    exclusive = task.is_manager and job.spec["jobManagerTask"]["runExclusive"]
    slots = node.slots if exclusive else task.slots
    place = _occupancy(job, task, task.attempt)
    world.store.occupy(node, place, slots, task.job_key, task.key, world.now)


def _run(world: World, job: Job, task: Task, node: Node) -> None:
    task.started = world.now
    world.store.move_task(task, "start", world.now)
    _launch(world, job, task, node)


def _launch(world: World, job: Job, task: Task, node: Node) -> None:
    launch = task_launch(world, job, task, world.store.pools[node.pool_key], node)
    launch = world.faults.spoil_disk(node.pool_key, launch)
    world.actions.append(
        Start(launch, task_ended, (node.pool_key, node.id, task.job_key, task.key, task.attempt))
    )


def prepared(world: World, job_key: str, pool_key: str, node_id: str) -> None:
    """A job preparation task has ended: the tasks that waited for it run, or look for another node."""
    job, node = world.store.jobs.get(job_key), world.store.find_node(pool_key, node_id)
    if job is None or node is None:
        return
    for task in _preparing_on(world, job, node):
        if preparation.lets_run(world, job, node) and not preparation.has_failed(job, node):
            _run(world, job, task, node)
        else:
            _give_back(world, task)


def _preparing_on(world: World, job: Job, node: Node) -> list[Task]:
    by_id = world.store.tasks(job.key).by_id
    mine = [by_id.get(task_key) for _, job_key, task_key in node.occupants.values() if job_key == job.key]
    return [task for task in mine if task and task.state == "preparing" and task.node_id == node.id]


def _occupancy(job: Job, task: Task, attempt: int) -> str:
    """What a node's slots are held by: an attempt that was given up holds them until it has really ended."""
    return f"{task_directory(job, task)}#{attempt}"


_TAKES_RETRIES = frozenset({"idle", "running", "offline"})


def task_ended(
    world: World, pool_key: str, node_id: str, job_key: str, task_key: str, attempt: int, outcome: Outcome
) -> None:
    """A node reports the end of an attempt; one that is no longer wanted only frees its slots."""
    job = world.store.jobs.get(job_key)
    task = world.store.tasks(job_key).by_id.get(task_key) if job else None
    current = task is not None and task.attempt == attempt and task.state == "running"
    node = world.store.find_node(pool_key, node_id)
    retried = current and outcome.retriable and retries_left(task) and node and node.state in _TAKES_RETRIES
    if retried:
        # Before the slots are given back: a node that waits for its tasks to end waits for retries, too.
        _retry(world, job, task, node)
    if node:
        _vacate(world, node, job_key, task_key, attempt)
        if outcome.failure and outcome.failure.code == "DiskFull":
            world.full_disks.append(node)
    if current and not retried:
        task.failed_at = _failed_at(outcome)
        finish_task(world, task, outcome.exit_code, failure_info(outcome.failure))
        _count_on_node(world, node, task)


def _vacate(world: World, node: Node, job_key: str, task_key: str, attempt: int) -> None:
    for place, (_, *occupant) in list(node.occupants.items()):
        if occupant == [job_key, task_key] and place.endswith(f"#{attempt}"):
            world.store.vacate(node, place, world.now)
    world.place_on(node.pool_key)
    if not node.occupants and (node.pending or node.leaving):
        world.drained.append(node)


def _retry(world: World, job: Job, task: Task, node: Node) -> None:
    task.retry_count += 1
    task.last_retry = world.now
    task.attempt += 1
    world.store.move_task(task, "retry", world.now)
    _occupy(world, job, task, node)
    _launch(world, job, task, node)


def _failed_at(outcome: Outcome) -> str | None:
    if outcome.preprocessing_failure:
        return "start"
    return "upload" if outcome.upload_failure else None


def finish_task(world: World, task: Task, exit_code: int | None, reason: Wire | None) -> None:
    """Complete a task; what waits for that follows in `settle`."""
    task.exit_code, task.failure = exit_code, reason
    task.result = "failure" if reason or exit_code else "success"
    task.ended = world.now
    world.store.move_task(task, "finish", world.now)
    retention.limit_task(world, task)
    world.finished.append(task)


def _count_on_node(world: World, node: Node | None, task: Task) -> None:
    if node is None:
        return
    node.tasks_run += 1
    node.tasks_succeeded += task.result == "success"
    node.recent_tasks = [(task.job_key, task.key), *node.recent_tasks[:9]]
    world.store.touch("node", node.pool_key, node.id)


def terminate_task(world: World, job_id: str, task_id: str) -> Task:
    """End a task by the user's wish: completed at once, its processes are stopped."""
    task = world.task(job_id, task_id)
    if task.state == "completed":
        raise BatchError("TaskCompleted")
    world.stamp(task)
    end_task(world, task, TASK_ENDED)
    return task


def end_task(world: World, task: Task, reason: Wire) -> None:
    """Complete a task that is not, with this failure, and stop what runs of it."""
    _stop_processes(world, task)
    finish_task(world, task, None, reason)


def _stop_processes(world: World, task: Task) -> None:
    if task.state == "running":
        world.actions.append(Stop(task.node_id, task_directory(world.store.jobs[task.job_key], task)))
    elif task.state == "preparing":
        # Nothing runs of it yet, so that no end will be reported.
        node = world.store.find_node(key(task.pool_id), task.node_id)
        if node:
            _vacate(world, node, task.job_key, task.key, task.attempt)


def requeue_task(world: World, task: Task) -> None:
    """Take a task off its node by a user's wish, and make it ready again."""
    task.requeue_count += 1
    task.last_requeue = world.now
    _give_back(world, task)


def _give_back(world: World, task: Task) -> None:
    _stop_processes(world, task)
    task.attempt += 1
    task.started = task.node_id = task.pool_id = None
    world.store.move_task(task, "requeue", world.now)
    world.place_on(world.store.jobs[task.job_key].pool_key)


def reactivate_task(world: World, job_id: str, task_id: str) -> Task:
    """Run a completed task again, as if it had just been added. One that succeeded cannot be."""
    job = world.job(job_id)
    task = world.task(job_id, task_id)
    if refusal := _NOT_TAKING_TASKS.get(job.state):
        raise BatchError(refusal)
    if task.state != "completed":
        raise BatchError("TaskNotCompleted")
    if task.result == "success":
        raise BatchError("TaskSucceeded")
    world.store.move_task(task, "reactivate", world.now)
    task.exit_code = task.failure = task.failed_at = task.result = task.started = task.ended = None
    task.node_id = task.pool_id = task.last_retry = task.last_requeue = None
    task.retry_count = task.requeue_count = 0
    world.stamp(task)
    world.place_on(job.pool_key)
    return task


def delete_task(world: World, job_id: str, task_id: str) -> None:
    """Delete a task: its processes are stopped and its directory goes."""
    task = world.task(job_id, task_id)
    job = world.job(job_id)
    _stop_processes(world, task)
    if task.node_id:
        world.actions.append(RemoveDirectory(task.node_id, task_directory(job, task)))
    world.store.remove_task(task)
    world.jobs_to_check[task.job_key] = None
