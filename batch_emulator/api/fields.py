"""What each list can be filtered by. Source: REST documentation page "OData filters in Azure Batch"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from batch_emulator.api.odata import EQUALITY, TEXT, Field
from batch_emulator.model import Job, JobSchedule, Pool, Task, Wire
from batch_emulator.ticks import parse_ticks
from batch_emulator.transitions import ALLOCATION, JOB, NODE, POOL, SCHEDULE, TASK

Fields = Mapping[str, Field]


def _id(get: Callable[[Any], Any]) -> Field:
    return Field("id", get, TEXT)


def _time(get: Callable[[Any], Any]) -> Field:
    return Field("datetime", get)


def _enum(get: Callable[[Any], Any], values: Iterable[str]) -> Field:
    return Field("enum", get, EQUALITY, frozenset(values))


def _number(get: Callable[[Any], Any]) -> Field:
    return Field("number", get)


def _yes_or_no(get: Callable[[Any], Any]) -> Field:
    return Field("boolean", get, EQUALITY)


def _dated() -> dict[str, Field]:
    return {
        "creationTime": _time(lambda each: each.created),
        "lastModified": _time(lambda each: each.modified),
        "lastModifiedTime": _time(lambda each: each.modified),
        "stateTransitionTime": _time(lambda each: each.state_since),
    }


def _run(path: str, get: Callable[[Any], Wire | None]) -> dict[str, Field]:
    """Of a start, job preparation or job release task; `get` takes what is listed to what the model keeps."""

    def value(name: str) -> Callable[[Any], Any]:
        return lambda each: (get(each) or {}).get(name)

    def result(each: Any) -> str | None:
        run = get(each) or {}
        return ("failure" if run.get("failure") else "success") if "ended" in run else None

    return {
        f"{path}/state": _enum(value("state"), ("running", "completed")),
        f"{path}/startTime": _time(value("started")),
        f"{path}/endTime": _time(value("ended")),
        f"{path}/exitCode": _number(value("exit_code")),
        f"{path}/result": _enum(result, ("success", "failure")),
    }


def _of_pool(pool: Pool, name: str) -> Any:
    return pool.spec.get(name)


POOLS: Fields = {
    "id": _id(lambda pool: pool.id),
    "displayName": _id(lambda pool: _of_pool(pool, "displayName")),
    "state": _enum(lambda pool: pool.state, POOL),
    "allocationState": _enum(lambda pool: pool.allocation_state, ALLOCATION),
    "allocationStateTransitionTime": _time(lambda pool: pool.allocation_since),
    "vmSize": _id(lambda pool: _of_pool(pool, "vmSize")),
    "enableAutoScale": _yes_or_no(lambda pool: _of_pool(pool, "enableAutoScale")),
    "targetDedicatedNodes": _number(lambda pool: pool.target_dedicated),
    "targetLowPriorityNodes": _number(lambda pool: pool.target_spot),
    **_dated(),
}

NODE_COUNTS: Fields = {"poolId": _id(lambda pool: pool.id)}


NODES: Fields = {
    "id": _id(lambda node: node.id),
    "state": _enum(lambda node: node.state, NODE),
    "schedulingState": _enum(lambda node: node.scheduling, ("enabled", "disabled")),
    "stateTransitionTime": _time(lambda node: node.state_since),
    "lastBootTime": _time(lambda node: node.booted),
    "allocationTime": _time(lambda node: node.allocated),
    "totalTasksRun": _number(lambda node: node.tasks_run),
    "isDedicated": _yes_or_no(lambda node: node.dedicated),
    **_run("startTaskInfo", lambda node: node.start_task),
}

PREPARATIONS: Fields = {
    "poolId": _id(lambda found: found.pool_id),
    "nodeId": _id(lambda found: found.node_id),
    **_run("jobPreparationTaskExecutionInfo", lambda found: found.preparation),
    **_run("jobReleaseTaskExecutionInfo", lambda found: found.release),
}


def _of_job(job: Job, name: str) -> Any:
    return job.spec.get(name)


JOBS: Fields = {
    "id": _id(lambda job: job.id),
    "displayName": _id(lambda job: _of_job(job, "displayName")),
    "state": _enum(lambda job: job.state, JOB),
    "priority": _number(lambda job: _of_job(job, "priority")),
    "executionInfo/poolId": _id(lambda job: job.pool_id),
    "executionInfo/startTime": _time(lambda job: job.started),
    "executionInfo/endTime": _time(lambda job: job.ended),
    "executionInfo/terminateReason": _id(lambda job: job.terminate_reason),
    **_dated(),
}


def _planned(schedule: JobSchedule, name: str) -> int | None:
    text = schedule.spec["schedule"].get(name)
    return parse_ticks(text) if text else None


SCHEDULES: Fields = {
    "id": _id(lambda schedule: schedule.id),
    "displayName": _id(lambda schedule: schedule.spec.get("displayName")),
    "state": _enum(lambda schedule: schedule.state, SCHEDULE),
    "executionInfo/endTime": _time(lambda schedule: schedule.ended),
    "schedule/doNotRunUntil": _time(lambda schedule: _planned(schedule, "doNotRunUntil")),
    "schedule/doNotRunAfter": _time(lambda schedule: _planned(schedule, "doNotRunAfter")),
    **_dated(),
}


def _failure(task: Task, name: str) -> Any:
    return task.failure.get(name) if task.failure else None


TASKS: Fields = {
    "id": _id(lambda task: task.id),
    "displayName": _id(lambda task: task.spec.get("displayName")),
    "state": _enum(lambda task: task.state, TASK),
    "previousState": _enum(lambda task: task.previous_state, TASK),
    "nodeInfo/nodeId": _id(lambda task: task.node_id),
    "nodeInfo/poolId": _id(lambda task: task.pool_id),
    "executionInfo/exitCode": _number(lambda task: task.exit_code),
    "executionInfo/result": _enum(lambda task: task.result, ("success", "failure")),
    "executionInfo/startTime": _time(lambda task: task.started),
    "executionInfo/endTime": _time(lambda task: task.ended),
    "executionInfo/retryCount": _number(lambda task: task.retry_count),
    "executionInfo/failureInfo/category": _id(lambda task: _failure(task, "category")),
    "executionInfo/failureInfo/code": _id(lambda task: _failure(task, "code")),
    **_dated(),
}

IMAGES: Fields = {
    "nodeAgentSKUId": _id(lambda image: image["nodeAgentSKUId"]),
    "osType": _enum(lambda image: image["osType"], ("linux", "windows")),
    "verificationType": _enum(lambda image: image["verificationType"], ("verified", "unverified")),
    "imageReference/publisher": _id(lambda image: image["imageReference"]["publisher"]),
    "imageReference/offer": _id(lambda image: image["imageReference"]["offer"]),
    "imageReference/sku": _id(lambda image: image["imageReference"]["sku"]),
}
