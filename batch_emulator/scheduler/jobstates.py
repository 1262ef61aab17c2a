"""How a job gets from one state to another: what has to stop first, and what follows."""

from __future__ import annotations

from batch_emulator.resources.model import DisableTasks, Job, Task
from batch_emulator.scheduler import autopools, release
from batch_emulator.scheduler.launches import removable_directory
from batch_emulator.scheduler.taskends import TASK_ENDED, end_task, requeue_task
from batch_emulator.scheduler.world import RemoveDirectory, World


def begin_disabling(world: World, job: Job, disable_tasks: DisableTasks) -> None:
    """`disable_tasks`: requeue, terminate or wait."""
    job.disable_tasks = disable_tasks
    world.store.move_job(job, "disable", world.now)
    for task in _busy_tasks(world, job):
        if disable_tasks == "requeue":
            requeue_task(world, task)
        elif disable_tasks == "terminate":
            end_task(world, task, TASK_ENDED)
    _settle_later(world, job, world.settings.job_transition_seconds)


def enable(world: World, job: Job) -> None:
    """As recorded, a job is active again in the moment in which it is enabled: nothing has to stop."""
    _arrive(world, job)
    world.store.move_job(job, "enable", world.now)
    _enabled(world, job)


def _arrive(world: World, job: Job) -> None:
    """A job that is being disabled and of which nothing runs is disabled: on Azure that takes 10 ms, as
    recorded, which is less than anybody's next request."""
    if job.state == "disabling" and not _is_held_up(world, job):
        _disabled(world, job)


def begin_termination(world: World, job: Job, reason: str) -> None:
    """Stop what runs, then run the job release task where the job ran."""
    _arrive(world, job)
    job.terminate_reason = reason
    world.store.move_job(job, "terminate", world.now)
    _end_tasks(world, job)
    release.begin(world, job)
    _settle_later(world, job, world.settings.job_transition_seconds)


def begin_deletion(world: World, job: Job) -> None:
    """As a termination, unless there was one already; then the job goes."""
    runs = job.state not in ("terminating", "completed")
    world.store.move_job(job, "delete", world.now)
    if runs:
        _end_tasks(world, job)
        release.begin(world, job)
    _settle_later(world, job, world.settings.deletion_seconds)


def _end_tasks(world: World, job: Job) -> None:
    for task in _busy_tasks(world, job):
        end_task(world, task, TASK_ENDED)


def _busy_tasks(world: World, job: Job) -> list[Task]:
    tasks = world.store.tasks(job.key)
    return [tasks.by_id[each] for state in ("preparing", "running") for each in tasks.by_state[state]]


def _settle_later(world: World, job: Job, seconds: float) -> None:
    job.may_settle = False
    world.after(seconds, _time_is_up, job.key, job.number, job.state)


def _time_is_up(world: World, job_key: str, number: int, state: str) -> None:
    """The time that a job stays in a transitional state at least is over."""
    job = world.store.jobs.get(job_key)
    if job is not None and job.number == number and job.state == state:
        job.may_settle = True
        world.store.touch("job", job_key)
        settle(world, job)


def settle(world: World, job: Job) -> None:
    """Take a job out of its transitional state once its time there is over and nothing of it runs."""
    settled = _SETTLED.get(job.state)
    if settled is not None and job.may_settle and not _is_held_up(world, job):
        settled(world, job)


def awaited_nodes(world: World, job: Job) -> int:
    """How many nodes still have to end what a job runs there, once its time in `terminating` or `deleting` is
    over."""
    if job.state not in ("terminating", "deleting") or not job.may_settle:
        return 0
    return len(set(job.background).union(*(task.node_ids for task in _busy_tasks(world, job))))


def _is_held_up(world: World, job: Job) -> bool:
    """Whether something still runs that has to end first."""
    if job.state in ("terminating", "deleting") and job.background:
        return True
    return job.state != "enabling" and world.store.tasks(job.key).running > 0


def _disabled(world: World, job: Job) -> None:
    world.store.move_job(job, "disabled", world.now)


def _enabled(world: World, job: Job) -> None:
    job.disable_tasks = None
    world.store.move_job(job, "enabled", world.now)
    world.place_on(job.pool_key)
    world.jobs_to_check[job.key] = None


def _completed(world: World, job: Job) -> None:
    job.ended = world.now
    world.store.move_job(job, "complete", world.now)
    _over(world, job)


def fail(world: World, job: Job) -> None:
    """A new job that can't run completes at once."""
    job.ended = world.now
    world.store.move_job(job, "fail", world.now)
    _over(world, job)


def _deleted(world: World, job: Job) -> None:
    if world.store.has_pool(job.pool_key):
        for node in world.store.nodes(job.pool_key):
            world.actions.append(RemoveDirectory(node.id, removable_directory(job)))
    world.store.remove_job(job.key)
    _over(world, job)


def _over(world: World, job: Job) -> None:
    autopools.release_pool(world, job)
    if job.schedule_key:
        world.schedules_to_check[job.schedule_key] = None


_SETTLED = {
    "disabling": _disabled,
    "enabling": _enabled,
    "terminating": _completed,
    "deleting": _deleted,
}
