"""What clients do with jobs: add, change, disable, enable, terminate, delete."""

from __future__ import annotations

from batch_emulator.errors import BatchError, invalid_property
from batch_emulator.resources.model import DisableTasks, Job, JobSchedule, Wire, key
from batch_emulator.scheduler import autopools, jobstates
from batch_emulator.scheduler.launches import limit_seconds
from batch_emulator.scheduler.tasks import add_manager_task
from batch_emulator.scheduler.world import World

_OVER = {"terminating": "JobBeingTerminated", "completed": "JobCompleted", "deleting": "JobBeingDeleted"}
_USES_QUOTA = ("active", "disabling", "disabled", "enabling", "terminating")


def add_job(world: World, spec: Wire) -> Job:
    """Add a job (`spec` normalised). Its pool need not exist yet; nothing runs until it does."""
    if key(spec["id"]) in world.store.jobs:
        raise BatchError("JobExists")
    if key(spec["id"]) in world.store.schedules:
        raise BatchError("JobScheduleWithSameIdExists")
    refuse_job(spec, of_schedule=False)
    refuse_over_quota(world)
    return start_job(world, spec)


def refuse_job(spec: Wire, *, of_schedule: bool) -> None:
    """400 or 409 for a job whose parts can't go together."""
    auto = autopools.specification(spec)
    if auto and auto["poolLifetimeOption"] == "jobschedule" and not of_schedule:
        reason = "The pool lifetime option jobschedule is valid only for the jobs of a job schedule"
        raise invalid_property("poolLifetimeOption", "jobschedule", reason)
    ids = {name: key(spec[name]["id"]) for name in _OWN_TASKS if name in spec}
    for name, refusal in _OWN_TASKS.items():
        others = [each for other, each in ids.items() if other != name]
        if refusal and ids.get(name) in others:
            raise BatchError(refusal)


_OWN_TASKS = {
    "jobPreparationTask": "TaskIdSameAsJobPreparationTask",
    "jobReleaseTask": "TaskIdSameAsJobReleaseTask",
    "jobManagerTask": None,
}


def refuse_over_quota(world: World) -> None:
    """409 if the account has as many active jobs and job schedules as it may have."""
    active = sum(world.store.job_counts[state] for state in _USES_QUOTA)
    active += sum(schedule.state != "completed" for schedule in world.store.schedules.values())
    if active >= world.settings.active_job_quota:
        raise BatchError("ActiveJobAndScheduleQuotaReached")


def start_job(world: World, spec: Wire, schedule: JobSchedule | None = None) -> Job:
    """Make a job, its auto pool and its job manager task. Where its pool can't be made it is over at once."""
    job = Job(
        id=spec["id"],
        spec=spec,
        created=world.now,
        modified=world.now,
        state_since=world.now,
        started=world.now,
        pool_id=autopools.choose_pool_id(world, spec, schedule),
        number=world.store.next_number(),
        schedule_key=schedule.key if schedule else None,
    )
    world.store.add_job(job)
    job.scheduling_error = autopools.make_pool(world, job)
    if job.scheduling_error:
        jobstates.fail(world, job)
        return job
    if manager := spec.get("jobManagerTask"):
        add_manager_task(world, job, manager)
    _limit_time(world, job)
    if spec.get("onAllTasksComplete") == "terminatejob":
        world.after(_EMPTY_JOB_SECONDS, _check_empty, job.key)
    return job


#: A job without tasks counts as one whose tasks are all complete, but the service does not look at once.
_EMPTY_JOB_SECONDS = 60.0


def _check_empty(world: World, job_key: str) -> None:
    world.jobs_to_check[job_key] = None


def _limit_time(world: World, job: Job) -> None:
    """Start the clock of a job's `maxWallClockTime`, counted from its creation."""
    limit = limit_seconds(job.spec)
    if limit is not None:
        world.after(max(0.0, limit - world.seconds_since(job.created)), _expire, job.key, job.number)


def _expire(world: World, job_key: str, number: int) -> None:
    job = world.store.jobs.get(job_key)
    if job is None or job.number != number or job.state in _OVER:
        return
    limit = limit_seconds(job.spec)
    if limit is not None and world.seconds_since(job.created) >= limit:
        # As recorded, that is no change of the job: it keeps its ETag.
        modified = job.modified
        jobstates.begin_termination(world, job, "MaxWallClockTimeExpiry")
        job.modified = modified


def change_job(world: World, job_id: str, changes: Wire) -> Job:
    """PATCH: each named property is replaced whole. The pool changes only while the job is disabled."""
    job = world.live_job(job_id)
    if job.state == "completed":
        raise BatchError("JobCompleted")
    if "poolInfo" in changes:
        changes = changes | {"poolInfo": _changed_pool(job, changes["poolInfo"])}
    _refuse_no_action(job, changes)
    return _take_on(world, job, job.spec | changes)


def _changed_pool(job: Job, wanted: Wire) -> Wire:
    """The job's new `poolInfo`. Of an auto pool only `keepAlive` can change.

    Source: REST documentation of Patch Job, `poolInfo`.
    """
    auto, wanted_auto = autopools.specification(job.spec), wanted.get("autoPoolSpecification")
    if wanted_auto is None:
        if key(wanted["poolId"]) == job.pool_key:
            return job.spec["poolInfo"]
        if job.state != "disabled":
            raise BatchError("JobNotDisabled")
        return wanted
    if auto is None:
        reason = "A job on a pool that exists cannot be moved to an auto pool"
        raise invalid_property("autoPoolSpecification", wanted_auto["poolLifetimeOption"], reason)
    return {"autoPoolSpecification": auto | {"keepAlive": wanted_auto["keepAlive"]}}


def replace_job(world: World, job_id: str, spec: Wire) -> Job:
    """PUT: what is not named goes back to its default; metadata that is not named is dropped."""
    job = world.live_job(job_id)
    if job.state == "completed":
        raise BatchError("JobCompleted")
    _refuse_no_action(job, spec)
    kept = {name: value for name, value in job.spec.items() if name not in _REPLACEABLE}
    return _take_on(world, job, kept | spec | {"poolInfo": _changed_pool(job, spec["poolInfo"])})


def _refuse_no_action(job: Job, changes: Wire) -> None:
    """Automatic termination cannot be switched off again (REST documentation of Patch Job)."""
    wanted = changes.get("onAllTasksComplete", "terminatejob")
    if job.spec.get("onAllTasksComplete") == "terminatejob" != wanted:
        reason = "The value cannot be changed from terminatejob to noaction"
        raise invalid_property("onAllTasksComplete", wanted, reason)


_REPLACEABLE = frozenset(
    {"priority", "maxParallelTasks", "allowTaskPreemption", "constraints", "metadata", "onAllTasksComplete"}
)


def _take_on(world: World, job: Job, spec: Wire) -> Job:
    """Change a job. An auto pool that it leaves is deleted."""
    if autopools.specification(spec) is None:
        autopools.release_pool(world, job)
    job.spec = spec
    job.pool_id = spec["poolInfo"].get("poolId", job.pool_id)
    world.stamp(job)
    world.store.requeue_job(job.key)
    world.store.touch("job", job.key)
    world.place_on(job.pool_key)
    world.jobs_to_check[job.key] = None
    _limit_time(world, job)
    return job


def disable_job(world: World, job_id: str, disable_tasks: DisableTasks) -> Job:
    """Disable a job: its running tasks are requeued, terminated or waited for (`wait`).

    One that is disabled already can be disabled again (REST documentation of Disable Job).
    """
    job = world.live_job(job_id)
    if refusal := _OVER.get(job.state):
        raise BatchError(refusal)
    jobstates.begin_disabling(world, job, disable_tasks)
    return job


def enable_job(world: World, job_id: str) -> Job:
    """Let a disabled job run again. As recorded, the end of its disabling need not be waited for."""
    job = world.live_job(job_id)
    if refusal := _OVER.get(job.state):
        raise BatchError(refusal)
    if job.state not in ("disabling", "disabled"):
        raise BatchError("JobNotDisabled")
    jobstates.enable(world, job)
    return job


def terminate_job(world: World, job_id: str, reason: str | None) -> Job:
    """End a job: running tasks are stopped, active ones stay active and never run."""
    job = world.live_job(job_id)
    if refusal := _OVER.get(job.state):
        raise BatchError(refusal)
    jobstates.begin_termination(world, job, reason or "UserTerminate")
    return job


def delete_job(world: World, job_id: str) -> None:
    """Delete a job with its tasks: what runs is stopped, directories on the nodes go."""
    jobstates.begin_deletion(world, world.live_job(job_id))
