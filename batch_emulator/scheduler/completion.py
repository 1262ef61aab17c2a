"""What follows from the end of tasks: dependents, exit conditions, the end of the job."""

from __future__ import annotations

from batch_emulator.resources.model import Job, Task
from batch_emulator.scheduler import dependencies, exitconditions, jobstates
from batch_emulator.scheduler.world import World


def task_completed(world: World, task: Task) -> None:
    """Release what waited for the task, then look at what its job wants."""
    job = world.store.jobs.get(task.job_key)
    if job is None:
        return
    world.place_on(job.pool_key)
    dependencies.release_dependents(world, task)
    if job.spec.get("onTaskFailure") == "performexitoptionsjobaction":
        _perform_job_action(world, job, task)
    if task.is_manager and job.spec["jobManagerTask"]["killJobOnCompletion"] and job.state in _GOES_ON:
        jobstates.begin_termination(world, job, "JMComplete")
    world.jobs_to_check[task.job_key] = None


_GOES_ON = frozenset({"active", "disabling", "disabled", "enabling"})


def _perform_job_action(world: World, job: Job, task: Task) -> None:
    """What the task's exit conditions do to its job: by default they end it if the task has failed."""
    if job.state != "active":
        return
    action = exitconditions.job_action(task)
    if action == "terminate":
        jobstates.begin_termination(world, job, "TaskFailed")
    elif action == "disable":
        jobstates.begin_disabling(world, job, "requeue")


def check_job(world: World, job_key: str) -> None:
    """Settle a job in a transitional state. An active one whose `onAllTasksComplete` is `terminatejob` and
    which has nothing left to run ends soon."""
    job = world.store.jobs.get(job_key)
    if job is None or job.state != "active":
        if job:
            jobstates.settle(world, job)
        return
    if _has_all_complete(world, job):
        world.after(world.settings.job_transition_seconds, _end, job_key, job.number)


def _has_all_complete(world: World, job: Job) -> bool:
    """Whether a job that is to end with its tasks has none left."""
    counts = world.store.tasks(job.key).counts
    return job.spec.get("onAllTasksComplete") == "terminatejob" and not counts.active and not counts.running


def _end(world: World, job_key: str, number: int) -> None:
    """End a job whose tasks are complete. The service does not look at once: as recorded, a task that was
    just terminated can be reactivated, and others added. The reason is the recorded one, not the page's."""
    job = world.store.jobs.get(job_key)
    if job is not None and (job.number, job.state) == (number, "active") and _has_all_complete(world, job):
        jobstates.begin_termination(world, job, "AllTasksCompleted")
