"""A start, job preparation or job release task's execution on one node, as JSON."""

from __future__ import annotations

from batch_emulator.api.views.places import render_directory
from batch_emulator.resources.model import Job, Preparation, Wire
from batch_emulator.resources.runs import Run
from batch_emulator.resources.store import Store
from batch_emulator.scheduler.launches import own_task_directory
from batch_emulator.ticks import format_ticks


def render_run(run: Run) -> Wire:
    """A start or preparation task's run."""
    wire = _render_once(run) | {"retryCount": run.retry_count}
    if run.last_retry is not None:
        wire["lastRetryTime"] = format_ticks(run.last_retry)
    return wire


def _render_once(run: Run) -> Wire:
    """What it has in common with a release task's, which is never tried again."""
    wire: Wire = {"state": run.state}
    if run.started is not None:
        wire["startTime"] = format_ticks(run.started)
    return wire | render_end(run)


def render_end(run: Run) -> Wire:
    """How a run has ended; nothing while it goes on."""
    wire: Wire = {}
    if run.ended is not None:
        wire["endTime"] = format_ticks(run.ended)
        if run.exit_code is not None:
            wire["exitCode"] = run.exit_code
        if run.failure:
            wire["failureInfo"] = run.failure
        wire["result"] = run.result
    return wire


def render_preparation(found: Preparation, job: Job, store: Store, base_url: str) -> Wire:
    """One entry of List Job Preparation And Release Task Status."""
    node_url = f"{base_url}/pools/{found.pool_id}/nodes/{found.node_id}"
    wire: Wire = {"poolId": found.pool_id, "nodeId": found.node_id, "nodeUrl": node_url}

    def render_place(task: str) -> Wire:
        directory = own_task_directory(job, job.spec[task])
        return render_directory(store, found.pool_id, node_url, directory)

    wire["jobPreparationTaskExecutionInfo"] = render_place("jobPreparationTask") | render_run(
        found.preparation
    )
    if found.release:
        wire["jobReleaseTaskExecutionInfo"] = render_place("jobReleaseTask") | _render_once(found.release)
    return wire
