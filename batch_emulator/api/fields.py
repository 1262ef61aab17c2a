"""What each list can be filtered by, and how. Source: REST documentation page "OData filters in Azure Batch".

Whatever the page does not allow is refused, so that a filter which works here works on the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from batch_emulator.api.odata import EQUALITY, TEXT, Field
from batch_emulator.resources.model import JobSchedule, Pool
from batch_emulator.resources.runs import Run
from batch_emulator.resources.transitions import ALLOCATION, CERTIFICATE, JOB, NODE, POOL, SCHEDULE, TASK
from batch_emulator.ticks import parse_ticks

Fields = Mapping[str, Field]
Get = Callable[[Any], Any]

_EQUAL = frozenset({"eq"})
_STARTS_WITH = frozenset({"startswith"})


def _id(get: Get, operators: frozenset[str] | set[str] = TEXT) -> Field:
    return Field("id", get, operators)


def _time(get: Get) -> Field:
    return Field("datetime", get)


def _enum(get: Get, values: Iterable[str], operators: frozenset[str] = EQUALITY) -> Field:
    return Field("enum", get, operators, frozenset(values))


def _number(get: Get) -> Field:
    return Field("number", get)


def _yes_or_no(get: Get) -> Field:
    return Field("boolean", get, EQUALITY)


def _dated() -> dict[str, Field]:
    return {
        "creationTime": _time(lambda each: each.created),
        "lastModified": _time(lambda each: each.modified),
        "stateTransitionTime": _time(lambda each: each.state_since),
    }


def _run(path: str, get: Callable[[Any], Run | None]) -> dict[str, Field]:
    """Of a start, job preparation or job release task; `get` takes what is listed to what the model keeps."""

    def value(name: str) -> Get:
        return lambda each: getattr(get(each), name, None)

    return {
        f"{path}/state": _enum(value("state"), ("running", "completed"), _EQUAL),
        f"{path}/startTime": _time(value("started")),
        f"{path}/endTime": _time(value("ended")),
        f"{path}/exitCode": _number(value("exit_code")),
        f"{path}/result": _enum(value("result"), ("success", "failure")),
    }


def _of_pool(pool: Pool, name: str) -> Any:
    return pool.spec.get(name)


POOLS: Fields = {
    "id": _id(lambda pool: pool.id),
    "state": _enum(lambda pool: pool.state, POOL),
    "allocationState": _enum(lambda pool: pool.allocation_state, ALLOCATION),
    "allocationStateTransitionTime": _time(lambda pool: pool.allocation_since),
    "enableAutoScale": _yes_or_no(lambda pool: _of_pool(pool, "enableAutoScale")),
    "vmSize": _id(lambda pool: _of_pool(pool, "vmSize"), EQUALITY),
    "enableInterNodeCommunication": _yes_or_no(lambda pool: _of_pool(pool, "enableInterNodeCommunication")),
    **_dated(),
}

NODE_COUNTS: Fields = {"poolId": _id(lambda pool: pool.id, _EQUAL)}

USAGE: Fields = {"poolId": _id(lambda usage: usage.pool_id, TEXT - {"ne"})}

FILES: Fields = {"name": Field("string", lambda file: file.name, _STARTS_WITH)}
#: Of files on Windows, for a filter that has backslashes.
WINDOWS_FILES: Fields = {
    "name": Field("string", lambda file: file.name.replace("/", "\\"), _STARTS_WITH),
}

NODES: Fields = {
    "state": _enum(lambda node: node.state, NODE),
    "stateTransitionTime": _time(lambda node: node.state_since),
    "lastBootTime": _time(lambda node: node.booted),
    "allocationTime": _time(lambda node: node.allocated),
    **_run("startTaskInfo", lambda node: node.start_task),
}

PREPARATIONS: Fields = {
    "poolId": _id(lambda found: found.pool_id, EQUALITY),
    "nodeId": _id(lambda found: found.node_id, EQUALITY),
    **_run("jobPreparationTaskExecutionInfo", lambda found: found.preparation),
    **_run("jobReleaseTaskExecutionInfo", lambda found: found.release),
}

JOBS_OF_SCHEDULE: Fields = {
    "state": _enum(lambda job: job.state, JOB),
    "executionInfo/poolId": _id(lambda job: job.pool_id),
    "executionInfo/startTime": _time(lambda job: job.started),
    "executionInfo/endTime": _time(lambda job: job.ended),
    **_dated(),
}

JOBS: Fields = {"id": _id(lambda job: job.id), **JOBS_OF_SCHEDULE}


def _planned(schedule: JobSchedule, name: str) -> int | None:
    text = schedule.spec["schedule"].get(name)
    return parse_ticks(text) if text else None


SCHEDULES: Fields = {
    "id": _id(lambda schedule: schedule.id),
    "state": _enum(lambda schedule: schedule.state, SCHEDULE),
    "executionInfo/endTime": _time(lambda schedule: schedule.ended),
    "schedule/doNotRunUntil": _time(lambda schedule: _planned(schedule, "doNotRunUntil")),
    "schedule/doNotRunAfter": _time(lambda schedule: _planned(schedule, "doNotRunAfter")),
    **_dated(),
}

CERTIFICATES: Fields = {
    "state": _enum(lambda certificate: certificate.state, CERTIFICATE),
    "stateTransitionTime": _time(lambda certificate: certificate.state_since),
}

TASKS: Fields = {
    "id": _id(lambda task: task.id),
    "state": _enum(lambda task: task.state, TASK),
    "executionInfo/exitCode": _number(lambda task: task.exit_code),
    "executionInfo/result": _enum(lambda task: task.result, ("success", "failure")),
    "executionInfo/startTime": _time(lambda task: task.started),
    "executionInfo/endTime": _time(lambda task: task.ended),
    **_dated(),
    # The page's name for it; the property is lastModified, as of all others.
    "lastModifiedTime": _time(lambda task: task.modified),
}

IMAGES: Fields = {
    "osType": _enum(lambda image: image["osType"], ("linux", "windows")),
    "verificationType": _enum(lambda image: image["verificationType"], ("verified", "unverified")),
    "nodeAgentSKUId": _id(lambda image: image["nodeAgentSKUId"], EQUALITY),
}

NODE_AGENTS: Fields = {"osType": IMAGES["osType"]}
