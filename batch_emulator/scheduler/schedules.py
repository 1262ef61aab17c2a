"""The life of job schedules: added, changed, disabled, enabled, terminated, deleted; and the jobs they make.

Source: REST documentation of Add Job Schedule, `schedule`.
"""

from __future__ import annotations

from batch_emulator.durations import parse_duration_ticks
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Job, JobSchedule, Wire, key
from batch_emulator.scheduler import autopools, jobs, jobstates
from batch_emulator.scheduler.world import World
from batch_emulator.ticks import TICKS_PER_SECOND, parse_ticks

_OVER = {
    "terminating": "JobScheduleBeingTerminated",
    "completed": "JobScheduleCompleted",
    "deleting": "JobScheduleBeingDeleted",
}

#: Why the job of a terminated schedule ended: as recorded, by its former name, and not as the page has it.
_TERMINATED = "TerminateWorkitem"


def add_schedule(world: World, spec: Wire) -> JobSchedule:
    """Add a job schedule (`spec` normalised). Where a job is due at once it is made at once."""
    if key(spec["id"]) in world.store.schedules:
        raise BatchError("JobScheduleExists")
    if key(spec["id"]) in world.store.jobs:
        raise BatchError("JobWithSameIdExists")
    jobs.refuse_job(spec["jobSpecification"], of_schedule=True)
    jobs.refuse_over_quota(world)
    schedule = JobSchedule(spec["id"], spec, created=world.now, modified=world.now, state_since=world.now)
    world.store.add_schedule(schedule)
    _plan(world, schedule)
    return schedule


def change_schedule(world: World, schedule_id: str, changes: Wire) -> JobSchedule:
    """PATCH: each named property is replaced whole. Jobs that are there already stay as they are."""
    schedule = _open_schedule(world, schedule_id)
    return _change(world, schedule, schedule.spec | changes)


def replace_schedule(world: World, schedule_id: str, spec: Wire) -> JobSchedule:
    """PUT: what is not named is removed."""
    schedule = _open_schedule(world, schedule_id)
    kept = {name: value for name, value in schedule.spec.items() if name != "metadata"}
    return _change(world, schedule, kept | spec)


def _open_schedule(world: World, schedule_id: str) -> JobSchedule:
    schedule = world.schedule(schedule_id)
    if refusal := _OVER.get(schedule.state):
        raise BatchError(refusal)
    return schedule


def _change(world: World, schedule: JobSchedule, spec: Wire) -> JobSchedule:
    jobs.refuse_job(spec["jobSpecification"], of_schedule=True)
    is_rescheduled = spec["schedule"] != schedule.spec["schedule"]
    schedule.spec = spec
    _stamp(world, schedule)
    if is_rescheduled:
        _plan(world, schedule)
    return schedule


def _stamp(world: World, schedule: JobSchedule) -> None:
    world.stamp(schedule)
    world.store.touch("schedule", schedule.key)


def disable_schedule(world: World, schedule_id: str) -> JobSchedule:
    """Make no more jobs until it is enabled; one that runs goes on."""
    schedule = _open_schedule(world, schedule_id)
    _stamp(world, schedule)
    if schedule.state == "active":
        world.store.move_schedule(schedule, "disable", world.now)
    return schedule


def enable_schedule(world: World, schedule_id: str) -> JobSchedule:
    schedule = _open_schedule(world, schedule_id)
    _stamp(world, schedule)
    if schedule.state == "disabled":
        world.store.move_schedule(schedule, "enable", world.now)
        world.schedules_to_check[schedule.key] = None
    return schedule


def terminate_schedule(world: World, schedule_id: str) -> JobSchedule:
    """End a job schedule, and the job of it that runs."""
    schedule = _open_schedule(world, schedule_id)
    _stamp(world, schedule)
    _begin_termination(world, schedule)
    return schedule


def _begin_termination(world: World, schedule: JobSchedule) -> None:
    world.store.move_schedule(schedule, "terminate", world.now)
    job = _running_job(world, schedule)
    if job is not None and job.state not in ("terminating", "deleting"):
        jobstates.begin_termination(world, job, _TERMINATED)
    _complete(world, schedule.key, schedule.created)


def delete_schedule(world: World, schedule_id: str) -> None:
    """Delete a job schedule with all its jobs."""
    schedule = world.schedule(schedule_id)
    if schedule.state == "deleting":
        raise BatchError("JobScheduleBeingDeleted")
    world.store.move_schedule(schedule, "delete", world.now)
    for job in list(world.store.jobs_of_schedule(schedule.key)):
        if job.state != "deleting":
            jobstates.begin_deletion(world, job)
    world.after(world.settings.deletion_seconds, _remove, schedule.key, schedule.created)


def _running_job(world: World, schedule: JobSchedule) -> Job | None:
    """The last job that the schedule made, if that is not over. There is never more than one such job."""
    job = world.store.jobs.get(key(schedule.recent_job_id or ""))
    return job if job is not None and job.state != "completed" else None


def _plan(world: World, schedule: JobSchedule) -> None:
    """Say when the next job is due: an interval after the last, or as early as one may be made."""
    plan = schedule.spec["schedule"]
    interval = _duration(plan, "recurrenceInterval")
    first = max(schedule.created, _time(plan, "doNotRunUntil") or 0)
    if schedule.last_due is None:
        schedule.due = first
    else:
        schedule.due = None if interval is None else max(schedule.last_due + interval, first)
    world.schedules_to_check[schedule.key] = None


def _duration(plan: Wire, name: str) -> int | None:
    """Ticks of a duration in the client's `schedule`."""
    return parse_duration_ticks(plan[name]) if name in plan else None


def _time(plan: Wire, name: str) -> int | None:
    return parse_ticks(plan[name]) if name in plan else None


def check(world: World, schedule_key: str) -> None:
    """Make the job that is due unless one runs, or end a schedule that will make no more; then wait."""
    schedule = world.store.schedules.get(schedule_key)
    if schedule is None:
        return
    if schedule.state in ("terminating", "deleting"):
        _settle(world, schedule)
    elif schedule.state in ("active", "disabled"):
        _go_on(world, schedule)
        _set_alarm(world, schedule)


def _go_on(world: World, schedule: JobSchedule) -> None:
    is_active = schedule.state == "active"
    if is_active:
        _pass_over(world, schedule)
    if _running_job(world, schedule) is not None:
        return
    if is_active and schedule.due is not None and schedule.due <= world.now:
        _make_job(world, schedule)
    elif _is_late(world, schedule) or (is_active and _has_run(schedule)):
        _begin_termination(world, schedule)


def _pass_over(world: World, schedule: JobSchedule) -> None:
    """Move what is due on, past what can't come any more: a recurrence that the next one has overtaken, one
    whose start window is over, and all that come too late."""
    plan = schedule.spec["schedule"]
    interval, window = _duration(plan, "recurrenceInterval"), _duration(plan, "startWindow")
    due, now = schedule.due, world.now
    if due is not None and due < now:
        if interval is not None:
            due += (now - due) // interval * interval
        if window is not None and now - due > window:
            due = None if interval is None else due + interval
    last = _time(plan, "doNotRunAfter")
    schedule.due = None if due is None or (last is not None and due > last) else due
    world.store.touch("schedule", schedule.key)


def _make_job(world: World, schedule: JobSchedule) -> None:
    interval = _duration(schedule.spec["schedule"], "recurrenceInterval")
    schedule.job_count += 1
    schedule.recent_job_id = f"{schedule.id}:job-{schedule.job_count}"
    schedule.last_due = schedule.due
    schedule.due = None if interval is None or schedule.due is None else schedule.due + interval
    spec = {"id": schedule.recent_job_id, **schedule.spec["jobSpecification"]}
    jobs.start_job(world, spec, schedule)
    world.store.touch("schedule", schedule.key)


def _is_late(world: World, schedule: JobSchedule) -> bool:
    """A schedule is over after `doNotRunAfter`, as recorded also one that is disabled."""
    last = _time(schedule.spec["schedule"], "doNotRunAfter")
    return last is not None and world.now > last


def _has_run(schedule: JobSchedule) -> bool:
    """A schedule that does not recur is over after its one job, or once it has missed the time for that. One
    that never had such a time waits for `doNotRunAfter`."""
    plan = schedule.spec["schedule"]
    is_tried = schedule.job_count > 0 or "doNotRunAfter" not in plan
    return schedule.due is None and is_tried and "recurrenceInterval" not in plan


def _set_alarm(world: World, schedule: JobSchedule) -> None:
    """Look again when the next job is due, or when none may come any more."""
    last = _time(schedule.spec["schedule"], "doNotRunAfter")
    coming = [each for each in (schedule.due, last and last + 1) if each is not None and each > world.now]
    schedule.alarm = world.store.next_number()
    world.store.touch("schedule", schedule.key)
    if coming and schedule.state in ("active", "disabled"):
        seconds = (min(coming) - world.now) / TICKS_PER_SECOND
        world.after(seconds, _ring, schedule.key, schedule.alarm)


def _ring(world: World, schedule_key: str, alarm: int) -> None:
    schedule = world.store.schedules.get(schedule_key)
    if schedule is not None and schedule.alarm == alarm:
        world.schedules_to_check[schedule_key] = None


def _settle(world: World, schedule: JobSchedule) -> None:
    """Complete or remove a schedule whose last job is over or gone, not before its time."""
    if schedule.state == "terminating":
        _complete(world, schedule.key, schedule.created)
    else:
        _remove(world, schedule.key, schedule.created)


def _complete(world: World, schedule_key: str, created: int) -> None:
    schedule = world.store.schedules.get(schedule_key)
    if schedule is None or schedule.created != created or schedule.state != "terminating":
        return
    if _running_job(world, schedule) is None:
        schedule.ended = world.now
        world.store.move_schedule(schedule, "complete", world.now)
        autopools.release_schedule_pool(world, schedule)


def _remove(world: World, schedule_key: str, created: int) -> None:
    schedule = world.store.schedules.get(schedule_key)
    if schedule is None or schedule.created != created or schedule.state != "deleting":
        return
    if next(world.store.jobs_of_schedule(schedule_key), None) is None:
        world.store.remove_schedule(schedule_key)
        autopools.release_schedule_pool(world, schedule)
