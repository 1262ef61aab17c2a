"""A Batch task as JSON."""

from __future__ import annotations

from batch_emulator.api.views import order
from batch_emulator.api.views.order import arrange
from batch_emulator.api.views.places import render_directory
from batch_emulator.api.views.runs import render_end
from batch_emulator.resources.model import Job, Task, Wire
from batch_emulator.resources.runs import Instance
from batch_emulator.resources.store import Store
from batch_emulator.scheduler.launches import task_directory
from batch_emulator.ticks import etag, format_ticks


def render_task(task: Task, job: Job, store: Store, base_url: str) -> Wire:
    """A task, as Get Task answers it."""
    wire: Wire = {"id": task.id}
    if "displayName" in task.spec:
        wire["displayName"] = task.spec["displayName"]
    wire |= {
        "url": f"{base_url}/jobs/{job.id}/tasks/{task.id}",
        "eTag": etag(task.modified),
        "creationTime": format_ticks(task.created),
        "lastModified": format_ticks(task.modified),
        "state": task.state,
        "stateTransitionTime": format_ticks(task.state_since),
    }
    if task.previous_state:
        wire["previousState"] = task.previous_state
        wire["previousStateTransitionTime"] = format_ticks(task.previous_state_since)
    wire |= arrange(task.spec, order.TASK)
    wire["executionInfo"] = render_execution(task)
    if task.node_id:
        wire["nodeInfo"] = _render_node_info(task, job, task.node_id, store, base_url)
    elif task.state == "completed":
        # One that was ended before it came to a node, as recorded.
        wire["nodeInfo"] = {}
    return wire


def render_execution(task: Task) -> Wire:
    """A task's `executionInfo`."""
    wire: Wire = {}
    if task.started:
        wire["startTime"] = format_ticks(task.started)
    if task.ended:
        wire["endTime"] = format_ticks(task.ended)
    if task.exit_code is not None:
        wire["exitCode"] = task.exit_code
    if task.failure:
        wire["failureInfo"] = task.failure
    if task.result:
        wire["result"] = task.result
    wire["retryCount"] = task.retry_count
    if task.last_retry:
        wire["lastRetryTime"] = format_ticks(task.last_retry)
    wire["requeueCount"] = task.requeue_count
    if task.last_requeue:
        wire["lastRequeueTime"] = format_ticks(task.last_requeue)
    return wire


def render_subtask(instance: Instance, task: Task, job: Job, store: Store, base_url: str) -> Wire:
    """One entry of List Sub Tasks, from what the model keeps of an instance, in the recorded order."""
    end = render_end(instance)
    wire: Wire = {"id": instance.id}
    if instance.started is not None:
        wire["startTime"] = format_ticks(instance.started)
    if "endTime" in end:
        wire["endTime"] = end["endTime"]
    wire |= {"state": instance.state, "stateTransitionTime": format_ticks(instance.since)}
    if instance.previous_since is not None:
        wire["previousState"] = instance.previous
        wire["previousStateTransitionTime"] = format_ticks(instance.previous_since)
    wire |= {name: end[name] for name in ("result", "exitCode", "failureInfo") if name in end}
    return wire | {"nodeInfo": _render_node_info(task, job, instance.node_id, store, base_url)}


def _render_node_info(task: Task, job: Job, node_id: str, store: Store, base_url: str) -> Wire:
    pool_id = task.pool_id or ""
    node_url = f"{base_url}/pools/{pool_id}/nodes/{node_id}"
    return {
        "affinityId": f"TVM:{node_id}",
        "nodeUrl": node_url,
        "poolId": pool_id,
        "nodeId": node_id,
        **render_directory(store, pool_id, node_url, task_directory(job, task)),
    }
