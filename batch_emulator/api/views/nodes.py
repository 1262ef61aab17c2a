"""A compute node as JSON."""

from __future__ import annotations

from batch_emulator.api.views.endpoints import ipv6_address, render_endpoints
from batch_emulator.api.views.runs import render_run
from batch_emulator.api.views.tasks import render_execution
from batch_emulator.resources.model import Node, Pool, Wire
from batch_emulator.resources.store import Store
from batch_emulator.ticks import format_ticks

_AGENT_VERSION = "1.13.8"


def render_node(node: Node, pool: Pool, store: Store, base_url: str, version: str) -> Wire:
    """A node, as Get Node of an API version answers it."""
    wire: Wire = {
        "id": node.id,
        "url": f"{base_url}/pools/{pool.id}/nodes/{node.id}",
        "state": node.state,
        "schedulingState": node.shown_scheduling,
        "stateTransitionTime": format_ticks(node.state_since),
    }
    if node.booted:
        wire["lastBootTime"] = format_ticks(node.booted)
    wire |= {
        "allocationTime": format_ticks(node.allocated),
        "ipAddress": node.address,
    }
    if address := ipv6_address(pool):
        wire["ipv6Address"] = address
    wire |= {
        "affinityId": f"TVM:{node.id}",
        "vmSize": pool.spec["vmSize"],
        "totalTasksRun": node.tasks_run,
        "totalTasksSucceeded": node.tasks_succeeded,
        "runningTasksCount": len(node.occupants),
        "runningTaskSlotsCount": node.slots_used,
    }
    return wire | _render_tasks(node, pool, store, base_url) | _render_machine(node, pool, version)


def _render_tasks(node: Node, pool: Pool, store: Store, base_url: str) -> Wire:
    """What runs and has run on a node, the start task included."""
    wire: Wire = {}
    recent = [_recent_task(store, base_url, *each) for each in node.recent_tasks]
    if found := [each for each in recent if each]:
        wire["recentTasks"] = found
    # A start task that the pool has got since is not the node's before it boots again.
    start_task = node.start_task_spec if node.booted else pool.spec.get("startTask")
    if start_task is not None:
        wire["startTask"] = start_task
    if node.start_task:
        wire["startTaskInfo"] = render_run(node.start_task)
    return wire


def _render_machine(node: Node, pool: Pool, version: str) -> Wire:
    """What a node is; its agent tells of itself once it is up."""
    wire: Wire = {}
    if node.booted:
        wire["certificateReferences"] = pool.spec.get("certificateReferences", [])
    if node.errors:
        wire["errors"] = node.errors
    wire["isDedicated"] = node.dedicated
    if endpoints := render_endpoints(node, pool, version):
        wire["endpointConfiguration"] = {"inboundEndpoints": endpoints}
    if node.agent_installed:
        updated = format_ticks(node.agent_installed)
        wire["nodeAgentInfo"] = {"lastUpdateTime": updated, "version": _AGENT_VERSION}
    if machine := pool.spec.get("virtualMachineConfiguration"):
        wire["virtualMachineInfo"] = {"imageReference": _used_image(machine["imageReference"])}
    return wire


def _used_image(reference: Wire) -> Wire:
    """The image with its exact version, for which the service repeats `latest`."""
    return reference | {"exactVersion": reference["version"]} if "publisher" in reference else reference


def _recent_task(store: Store, base_url: str, job_key: str, task_key: str) -> Wire | None:
    job = store.jobs.get(job_key)
    task = store.find_task(job_key, task_key)
    if job is None or task is None:
        return None
    return {
        "taskUrl": f"{base_url}/jobs/{job.id}/tasks/{task.id}",
        "jobId": job.id,
        "taskId": task.id,
        "taskState": task.state,
        "executionInfo": render_execution(task),
    }
