"""The life of jobs: added, changed, disabled, enabled, terminated, deleted."""

from __future__ import annotations

from batch_emulator.errors import BatchError, not_supported
from batch_emulator.model import Job, Wire, key
from batch_emulator.scheduler.launches import job_directory, limit_seconds
from batch_emulator.scheduler.tasks import TASK_ENDED, end_task, requeue_task
from batch_emulator.scheduler.world import RemoveDirectory, World

_OVER = {"terminating": "JobBeingTerminated", "completed": "JobCompleted", "deleting": "JobBeingDeleted"}
_USES_QUOTA = ("active", "disabling", "disabled", "enabling", "terminating")


def add_job(world: World, spec: Wire) -> Job:
    """Add a job (`spec` normalised). Its pool need not exist yet; nothing runs until it does."""
    _refuse_job(world, spec)
    job = Job(
        id=spec["id"],
        spec=spec,
        created=world.now,
        modified=world.now,
        state_since=world.now,
        started=world.now,
        pool_id=spec["poolInfo"]["poolId"],
        number=world.store.next_number(),
    )
    world.store.add_job(job)
    limit_time(world, job)
    return job


def _refuse_job(world: World, spec: Wire) -> None:
    for each in ("jobManagerTask", "jobPreparationTask", "jobReleaseTask"):
        if each in spec:
            raise not_supported(each, "it would not be run")
    if "poolId" not in spec["poolInfo"]:
        raise not_supported("autoPoolSpecification", "name an existing pool in poolId")
    if key(spec["id"]) in world.store.jobs:
        raise BatchError("JobExists")
    active = sum(job.state in _USES_QUOTA for job in world.store.jobs.values())
    if active >= world.settings.active_job_quota:
        raise BatchError("ActiveJobAndScheduleQuotaReached")


def limit_time(world: World, job: Job) -> None:
    """Start the clock of a job's `maxWallClockTime`, counted from its creation."""
    limit = limit_seconds(job.spec)
    if limit is not None:
        world.after(max(0.0, limit - world.seconds_since(job.created)), _expire, key(job.id), job.number)


def _expire(world: World, job_key: str, number: int) -> None:
    job = world.store.jobs.get(job_key)
    if job is None or job.number != number or job.state in _OVER:
        return
    limit = limit_seconds(job.spec)
    if limit is not None and world.seconds_since(job.created) >= limit:
        begin_termination(world, job, "MaxWallClockTimeExpiry")


def change_job(world: World, job_id: str, changes: Wire) -> Job:
    """PATCH: each named property is replaced whole. The pool changes only while the job is disabled."""
    job = world.live_job(job_id)
    if job.state == "completed":
        raise BatchError("JobCompleted")
    new_pool = changes.get("poolInfo", {}).get("poolId", job.pool_id)
    if key(new_pool) != job.pool_key and job.state != "disabled":
        raise BatchError("JobNotDisabled")
    job.spec = job.spec | changes
    job.pool_id = new_pool
    _changed(world, job)
    return job


def replace_job(world: World, job_id: str, spec: Wire) -> Job:
    """PUT: what is not named goes back to its default; metadata that is not named is dropped."""
    job = world.live_job(job_id)
    kept = {name: value for name, value in job.spec.items() if name not in _REPLACEABLE}
    job.spec = kept | spec
    _changed(world, job)
    return job


_REPLACEABLE = frozenset(
    {"priority", "maxParallelTasks", "allowTaskPreemption", "constraints", "metadata", "onAllTasksComplete"}
)


def _changed(world: World, job: Job) -> None:
    world.stamp(job)
    world.store.requeue_job(key(job.id))
    world.store.touch("job", key(job.id))
    world.place_on(job.pool_key)
    world.jobs_to_check[key(job.id)] = None
    limit_time(world, job)


def disable_job(world: World, job_id: str, disable_tasks: str) -> Job:
    """Disable a job: its running tasks are requeued, terminated or waited for (`wait`)."""
    job = world.live_job(job_id)
    if refusal := _OVER.get(job.state):
        raise BatchError(refusal)
    if job.state in ("disabling", "disabled"):
        raise BatchError("JobDisabled")
    begin_disabling(world, job, disable_tasks.lower())
    return job


def begin_disabling(world: World, job: Job, disable_tasks: str) -> None:
    job.disable_tasks = disable_tasks
    world.store.move_job(job, "disable", world.now)
    for task in _busy_tasks(world, job):
        if disable_tasks == "requeue":
            requeue_task(world, task)
        elif disable_tasks == "terminate":
            end_task(world, task, TASK_ENDED)
    world.after(world.settings.job_transition_seconds, _settle_job, key(job.id), job.number)


def enable_job(world: World, job_id: str) -> Job:
    """Let a disabled job run again."""
    job = world.live_job(job_id)
    if refusal := _OVER.get(job.state):
        raise BatchError(refusal)
    if job.state != "disabled":
        raise BatchError("JobNotDisabled")
    world.store.move_job(job, "enable", world.now)
    world.after(world.settings.job_transition_seconds, _settle_job, key(job.id), job.number)
    return job


def terminate_job(world: World, job_id: str, reason: str | None) -> Job:
    """End a job: running tasks are stopped, active ones stay active and never run."""
    job = world.live_job(job_id)
    if refusal := _OVER.get(job.state):
        raise BatchError(refusal)
    begin_termination(world, job, reason or "UserTerminate")
    return job


def begin_termination(world: World, job: Job, reason: str) -> None:
    job.terminate_reason = reason
    world.store.move_job(job, "terminate", world.now)
    for task in _busy_tasks(world, job):
        end_task(world, task, TASK_ENDED)
    world.after(world.settings.job_transition_seconds, _settle_job, key(job.id), job.number)


def delete_job(world: World, job_id: str) -> None:
    """Delete a job with its tasks: what runs is stopped, directories on the nodes go."""
    job = world.live_job(job_id)
    world.store.move_job(job, "delete", world.now)
    for task in _busy_tasks(world, job):
        end_task(world, task, TASK_ENDED)
    world.after(world.settings.deletion_seconds, _settle_job, key(job.id), job.number)


def _busy_tasks(world: World, job: Job) -> list:
    tasks = world.store.tasks(key(job.id))
    return [tasks.by_id[each] for state in ("preparing", "running") for each in tasks.by_state[state]]


def _settle_job(world: World, job_key: str, number: int) -> None:
    """Take a job out of its transitional state once nothing of it runs; until then look again later."""
    job = world.store.jobs.get(job_key)
    if job is None or job.number != number:
        return
    settled = _SETTLED.get(job.state)
    if settled is None:
        return
    if _busy_tasks(world, job):
        world.after(world.settings.job_transition_seconds, _settle_job, job_key, number)
        return
    settled(world, job)


def _disabled(world: World, job: Job) -> None:
    world.store.move_job(job, "disabled", world.now)


def _enabled(world: World, job: Job) -> None:
    job.disable_tasks = None
    world.store.move_job(job, "enabled", world.now)
    world.place_on(job.pool_key)
    world.jobs_to_check[key(job.id)] = None


def _completed(world: World, job: Job) -> None:
    job.ended = world.now
    world.store.move_job(job, "complete", world.now)


def _deleted(world: World, job: Job) -> None:
    if world.store.has_pool(job.pool_key):
        for node in world.store.nodes(job.pool_key):
            world.actions.append(RemoveDirectory(node.id, job_directory(job)))
    world.store.remove_job(key(job.id))


_SETTLED = {
    "disabling": _disabled,
    "enabling": _enabled,
    "terminating": _completed,
    "deleting": _deleted,
}
