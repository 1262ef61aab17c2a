"""Operations on job schedules."""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.answers import changed, created, element, plain
from batch_emulator.api.auto_pools import check_schedule
from batch_emulator.api.bodies.schedules import JobScheduleAdd, JobSchedulePatch, JobScheduleReplace
from batch_emulator.api.call import Call, read_body
from batch_emulator.api.fields import JOBS_OF_SCHEDULE, SCHEDULES
from batch_emulator.api.listing import behind, list_page, read_filter, start_key
from batch_emulator.api.views.jobs import render_job
from batch_emulator.api.views.schedules import render_schedule
from batch_emulator.resources.model import Job, JobSchedule, Wire
from batch_emulator.scheduler import jobstates, schedules


def add_schedule(call: Call) -> Response:
    body = check_schedule(call, read_body(call, JobScheduleAdd, "jobschedules").to_wire())
    schedule = call.do(schedules.add_schedule, body)
    return created(call, schedule, f"{call.url}/{schedule.id}")


def list_schedules(call: Call) -> Response:
    def render(schedule):
        return render_schedule(schedule, call.base_url)

    candidates = behind(call.store.schedules, start_key(call))
    return list_page(call, "jobschedules", candidates, render, read_filter(call, SCHEDULES))


def get_schedule(call: Call) -> Response:
    schedule = _schedule(call)
    return element(call, "jobschedules", schedule, render_schedule(schedule, call.base_url))


def _schedule(call: Call) -> JobSchedule:
    return call.engine.world.schedule(call.parameters["schedule"])


def change_schedule(call: Call) -> Response:
    body = check_schedule(call, read_body(call, JobSchedulePatch, "jobschedules").to_wire())
    return _do(call, 200, schedules.change_schedule, body)


def replace_schedule(call: Call) -> Response:
    body = check_schedule(call, read_body(call, JobScheduleReplace, "jobschedules").to_wire())
    return _do(call, 200, schedules.replace_schedule, body)


def disable_schedule(call: Call) -> Response:
    return _do(call, 204, schedules.disable_schedule)


def enable_schedule(call: Call) -> Response:
    return _do(call, 204, schedules.enable_schedule)


def terminate_schedule(call: Call) -> Response:
    return _do(call, 202, schedules.terminate_schedule)


def _do(call: Call, status: int, command, *arguments) -> Response:
    call.check(_schedule(call))
    return changed(call, call.do(command, call.parameters["schedule"], *arguments), status)


def delete_schedule(call: Call) -> Response:
    call.check(_schedule(call))
    call.do(schedules.delete_schedule, call.parameters["schedule"])
    return plain(202)


def list_jobs(call: Call) -> Response:
    def render(job: Job) -> Wire:
        return render_job(job, call.base_url, jobstates.awaited_nodes(call.engine.world, job))

    jobs = call.store.jobs_of_schedule(_schedule(call).key, start_key(call))
    candidates = ((job.key, job) for job in jobs)
    wanted = read_filter(call, JOBS_OF_SCHEDULE)
    return list_page(call, "jobs", candidates, render, wanted)


_SCHEDULE = "/jobschedules/{schedule}"

ROUTES = [
    ("POST", "/jobschedules", add_schedule),
    ("GET", "/jobschedules", list_schedules),
    ("GET", _SCHEDULE, get_schedule),
    ("HEAD", _SCHEDULE, get_schedule),
    ("PATCH", _SCHEDULE, change_schedule),
    ("PUT", _SCHEDULE, replace_schedule),
    ("DELETE", _SCHEDULE, delete_schedule),
    ("POST", f"{_SCHEDULE}/disable", disable_schedule),
    ("POST", f"{_SCHEDULE}/enable", enable_schedule),
    ("POST", f"{_SCHEDULE}/terminate", terminate_schedule),
    ("GET", f"{_SCHEDULE}/jobs", list_jobs),
]
