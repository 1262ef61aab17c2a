"""Operations on jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sortedcontainers import SortedDict
from starlette.responses import Response

from batch_emulator.api.answers import changed, created, element, json_answer, plain
from batch_emulator.api.auto_pools import check_job
from batch_emulator.api.bodies.jobs import JobAdd, JobDisable, JobPatch, JobReplace, JobTerminate
from batch_emulator.api.call import Call, read_body
from batch_emulator.api.fields import JOBS, PREPARATIONS
from batch_emulator.api.listing import behind, list_page, read_filter, start_key
from batch_emulator.api.paging import invalid_query
from batch_emulator.api.views.jobs import render_job, render_task_counts
from batch_emulator.api.views.runs import render_preparation
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Job, Wire, key
from batch_emulator.scheduler import jobs, jobstates

_FIRST, _LAST = "0", "1"
_FIRST_WITH_SLOTS = "2020-09"
_PLACE = re.compile(r"([01])(\d{1,30})/(.*)", re.DOTALL)


def add_job(call: Call) -> Response:
    job = call.do(jobs.add_job, check_job(call, read_body(call, JobAdd, "jobs").to_wire()))
    # The service answers so whatever the job's id is.
    return created(call, job, f"{call.url}/job-1")


def list_jobs(call: Call) -> Response:
    after = start_key(call) or f"{_FIRST}{call.engine.now()}/"
    candidates = _in_order(call.store.jobs, *_read_place(after))
    return list_page(call, "jobs", candidates, lambda job: _tell(call, job), read_filter(call, JOBS))


def _read_place(after: str) -> tuple[str, int, str]:
    """The half of the list, when its first page was asked for (ticks), and the key behind which to go on."""
    found = _PLACE.fullmatch(after)
    if found is None:
        raise invalid_query("$skiptoken", after, "The specified skip token is invalid")
    return found[1], int(found[2]), found[3]


def _in_order(jobs: SortedDict[str, Job], half: str, began: int, after: str) -> Iterator[tuple[str, Job]]:
    """As recorded: jobs that have not ended, then completed ones, each in order of id. One that completes
    between two pages stays where it was, so that it is told once."""
    for place in _FIRST, _LAST:
        if place >= half:
            for job_key, job in behind(jobs, after if place == half else ""):
                is_last = job.state == "completed" and job.state_since <= began
                if place == (_LAST if is_last else _FIRST):
                    yield f"{place}{began}/{job_key}", job


def get_job(call: Call) -> Response:
    job = _job(call)
    return element(call, "jobs", job, _tell(call, job))


def _tell(call: Call, job: Job) -> Wire:
    """A job as it stands, in JSON."""
    return render_job(job, call.base_url, jobstates.awaited_nodes(call.engine.world, job))


def _job(call: Call) -> Job:
    return call.engine.world.job(call.parameters["job"])


def delete_job(call: Call) -> Response:
    call.check(_job(call))
    call.do(jobs.delete_job, call.parameters["job"])
    return plain(202)


def change_job(call: Call) -> Response:
    body = check_job(call, read_body(call, JobPatch, "patched jobs").to_wire())
    call.check(_job(call))
    return changed(call, call.do(jobs.change_job, call.parameters["job"], body))


def replace_job(call: Call) -> Response:
    body = check_job(call, read_body(call, JobReplace).to_wire())
    call.check(_job(call))
    return changed(call, call.do(jobs.replace_job, call.parameters["job"], body))


def disable_job(call: Call) -> Response:
    body = read_body(call, JobDisable).to_wire()
    call.check(_job(call))
    return changed(call, call.do(jobs.disable_job, call.parameters["job"], body["disableTasks"]), 202)


def enable_job(call: Call) -> Response:
    call.check(_job(call))
    return changed(call, call.do(jobs.enable_job, call.parameters["job"]), 202)


def terminate_job(call: Call) -> Response:
    body = read_body(call, JobTerminate).to_wire()
    call.check(_job(call))
    return changed(
        call, call.do(jobs.terminate_job, call.parameters["job"], body.get("terminateReason")), 202
    )


def count_tasks(call: Call) -> Response:
    counts = render_task_counts(call.store.tasks(key(_job(call).id)))
    if call.version < _FIRST_WITH_SLOTS:
        return json_answer(call, "taskcounts/@Element", counts["taskCounts"])
    return json_answer(call, "taskcountsresult/@Element", counts)


def list_preparations(call: Call) -> Response:
    """What became of the job's preparation and release tasks on each node."""
    job = _job(call)
    if "jobPreparationTask" not in job.spec:
        raise BatchError("JobPreparationTaskOrReleaseTaskNotSpecified")

    def render(found):
        return render_preparation(found, job, call.store, call.base_url)

    candidates = behind(call.store.preparations(job.key), start_key(call))
    metadata = "jobpreparationandreleasetaskstatuslist"
    return list_page(call, metadata, candidates, render, read_filter(call, PREPARATIONS))


ROUTES = [
    ("POST", "/jobs", add_job),
    ("GET", "/jobs", list_jobs),
    ("GET", "/jobs/{job}", get_job),
    ("DELETE", "/jobs/{job}", delete_job),
    ("PATCH", "/jobs/{job}", change_job),
    ("PUT", "/jobs/{job}", replace_job),
    ("POST", "/jobs/{job}/disable", disable_job),
    ("POST", "/jobs/{job}/enable", enable_job),
    ("POST", "/jobs/{job}/terminate", terminate_job),
    ("GET", "/jobs/{job}/taskcounts", count_tasks),
    ("GET", "/jobs/{job}/jobpreparationandreleasetaskstatus", list_preparations),
]
