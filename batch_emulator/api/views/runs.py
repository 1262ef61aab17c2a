"""A start, job preparation or job release task's execution on one node, as JSON."""

from __future__ import annotations

from batch_emulator.resources.model import Job, Preparation, Wire
from batch_emulator.scheduler.launches import own_task_directory
from batch_emulator.ticks import format_ticks


def render_run(run: Wire) -> Wire:
    """What the three have in common, from the dict that the model keeps of a run."""
    wire: Wire = {"state": run["state"], "startTime": format_ticks(run["started"])}
    if "ended" in run:
        wire["endTime"] = format_ticks(run["ended"])
    if run.get("exit_code") is not None:
        wire["exitCode"] = run["exit_code"]
    if run.get("failure"):
        wire["failureInfo"] = run["failure"]
    if "ended" in run:
        wire["result"] = "failure" if run.get("failure") else "success"
    if "retry_count" in run:
        wire["retryCount"] = run["retry_count"]
    if "last_retry" in run:
        wire["lastRetryTime"] = format_ticks(run["last_retry"])
    return wire


def render_preparation(found: Preparation, job: Job, base_url: str) -> Wire:
    """One entry of List Job Preparation And Release Task Status."""
    node_url = f"{base_url}/pools/{found.pool_id}/nodes/{found.node_id}"
    wire: Wire = {"poolId": found.pool_id, "nodeId": found.node_id, "nodeUrl": node_url}
    directory = own_task_directory(job, job.spec["jobPreparationTask"])
    wire["jobPreparationTaskExecutionInfo"] = _render_place(node_url, directory) | render_run(
        found.preparation
    )
    if found.release:
        directory = own_task_directory(job, job.spec["jobReleaseTask"])
        wire["jobReleaseTaskExecutionInfo"] = _render_place(node_url, directory) | render_run(found.release)
    return wire


def _render_place(node_url: str, directory: str) -> Wire:
    return {"taskRootDirectory": directory, "taskRootDirectoryUrl": f"{node_url}/files/{directory}"}
