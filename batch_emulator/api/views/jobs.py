"""A job, and the counts of its tasks, as JSON."""

from __future__ import annotations

from dataclasses import asdict

from batch_emulator.api.views import order
from batch_emulator.api.views.order import arrange
from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Job, Wire
from batch_emulator.ticks import etag, format_ticks

_ACTS = {"terminating": "termination", "deleting": "deletion"}


def render_job(job: Job, base_url: str, awaited_nodes: int) -> Wire:
    """A job, as Get Job answers it. So many nodes still have to end what it runs."""
    wire: Wire = {"id": job.id}
    if "displayName" in job.spec:
        wire["displayName"] = job.spec["displayName"]
    wire |= {
        "url": f"{base_url}/jobs/{job.id}",
        "eTag": etag(job.modified),
        "lastModified": format_ticks(job.modified),
        "creationTime": format_ticks(job.created),
        "state": job.state,
        "stateTransitionTime": format_ticks(job.state_since),
    }
    if job.previous_state:
        wire["previousState"] = job.previous_state
        wire["previousStateTransitionTime"] = format_ticks(job.previous_state_since)
    return wire | arrange({**job.spec, "executionInfo": _render_execution(job, awaited_nodes)}, order.JOB)


def _render_execution(job: Job, awaited_nodes: int) -> Wire:
    wire: Wire = {"startTime": format_ticks(job.started or job.created)}
    if job.ended:
        wire["endTime"] = format_ticks(job.ended)
    wire["poolId"] = job.pool_id
    if error := job.scheduling_error or _awaiting(job, awaited_nodes):
        wire["schedulingError"] = error
    if job.terminate_reason:
        wire["terminateReason"] = job.terminate_reason
    return wire


def _awaiting(job: Job, nodes: int) -> Wire | None:
    """The error that isn't one, of a job that waits for nodes to end."""
    if not nodes:
        return None
    act = _ACTS[job.state]
    return {
        "category": "ServerError",
        "code": f"Job{act.title()}AwaitingNodeProcessing",
        "message": f"The Job {act} operation is waiting for processing from one or more node.",
        "details": [{"name": "Number of nodes awaiting processing", "value": str(nodes)}],
    }


def render_task_counts(tasks: JobTasks) -> Wire:
    """How many tasks and slots of a job stand where, as Get Job Task Counts answers it."""
    return {"taskCounts": asdict(tasks.counts), "taskSlotCounts": asdict(tasks.slot_counts)}
