"""What clients do with Batch tasks: add, change, terminate, reactivate, delete."""

from __future__ import annotations

from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Job, Task, Wire, key
from batch_emulator.scheduler import dependencies
from batch_emulator.scheduler.launches import task_directory
from batch_emulator.scheduler.retention import forget_task
from batch_emulator.scheduler.taskends import TASK_ENDED, end_task, stop_task
from batch_emulator.scheduler.world import RemoveDirectory, World

_NOT_TAKING_TASKS = {
    "terminating": "JobBeingTerminated",
    "completed": "JobCompleted",
    "deleting": "JobBeingDeleted",
}


def add_task(world: World, job_id: str, spec: Wire) -> Task:
    """Add a Batch task (`spec` normalised); it is ready unless it depends on others."""
    return add_to_job(world, require_open_job(world, job_id), spec)


def add_to_job(world: World, job: Job, spec: Wire) -> Task:
    """The same for a job that is known to take tasks."""
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
    if key(spec["id"]) in world.store.tasks(job.key).by_id:
        raise BatchError("TaskExists")
    for name, refusal in _TAKEN_IDS.items():
        if name in job.spec and key(job.spec[name]["id"]) == key(spec["id"]):
            raise BatchError(refusal)
    if spec.get("dependsOn") and not job.spec.get("usesTaskDependencies"):
        # Not the code that the page of errors has for it, but the one that users of the service report.
        raise BatchError("UnsupportedProperty", ("PropertyName", "dependsOn"), ("Reason", _NO_DEPENDENCIES))


_NO_DEPENDENCIES = "Task dependencies are only allowed in a job with usesTaskDependencies set to true"
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


def terminate_task(world: World, job_id: str, task_id: str) -> Task:
    """End a task by the user's wish: completed at once, its processes are stopped."""
    task = world.task(job_id, task_id)
    if task.state == "completed":
        raise BatchError("TaskCompleted")
    world.stamp(task)
    end_task(world, task, TASK_ENDED)
    return task


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
    forget_task(world, task)
    world.store.move_task(task, "reactivate", world.now)
    task.exit_code = task.failure = task.failed_at = task.result = task.started = task.ended = None
    task.node_id = task.pool_id = task.instances = task.last_retry = task.last_requeue = None
    task.retry_count = task.requeue_count = 0
    world.stamp(task)
    world.place_on(job.pool_key)
    return task


def delete_task(world: World, job_id: str, task_id: str) -> None:
    """Delete a task: its processes are stopped and its directory goes."""
    task = world.task(job_id, task_id)
    job = world.job(job_id)
    stop_task(world, task)
    for node_id in task.node_ids:
        world.actions.append(RemoveDirectory(node_id, task_directory(job, task)))
    forget_task(world, task)
    world.store.remove_task(task)
    world.jobs_to_check[task.job_key] = None
