"""What follows from the end of tasks: dependents, exit conditions, the end of the job."""

from __future__ import annotations

from batch_emulator.model import Job, Task
from batch_emulator.scheduler import dependencies, jobs
from batch_emulator.scheduler.world import World


def task_completed(world: World, task: Task) -> None:
    """Release what waited for the task, then look at what its job wants."""
    job = world.store.jobs.get(task.job_key)
    if job is None:
        return
    world.place_on(job.pool_key)
    dependencies.release_dependents(world, task)
    if job.spec.get("onTaskFailure", "noaction").lower() == "performexitoptionsjobaction":
        _perform_job_action(world, job, task)
    world.jobs_to_check[task.job_key] = None


def _perform_job_action(world: World, job: Job, task: Task) -> None:
    action = dependencies.matching_exit_options(task).get("jobAction", "none").lower()
    if job.state != "active" or task.result != "failure":
        return
    if action == "terminate":
        jobs.begin_termination(world, job, "TaskFailed")
    elif action == "disable":
        jobs.begin_disabling(world, job, "requeue")


def check_job(world: World, job_key: str) -> None:
    """End a job whose `onAllTasksComplete` is `terminatejob` and which has nothing left to run."""
    job = world.store.jobs.get(job_key)
    if job is None or job.state != "active":
        return
    wants_end = job.spec.get("onAllTasksComplete", "noaction").lower() == "terminatejob"
    counts = world.store.tasks(job_key).counts
    if wants_end and not counts.active and not counts.running:
        jobs.begin_termination(world, job, "AllTasksComplete")
