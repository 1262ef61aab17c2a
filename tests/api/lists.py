"""What the page "OData filters in Azure Batch" allows of each list, and an account with something in each.

Written from the page and from the specification, not from the service's own tables: the two are held against
each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.api.wire import LINUX, Wire, eventually

EQUAL = frozenset({"eq"})
EITHER = frozenset({"eq", "ne"})
ORDER = EITHER | {"gt", "ge", "lt", "le"}
TEXT = ORDER | {"startswith"}
OPERATORS = sorted(TEXT)

TIME, NUMBER, STRING, BOOLEAN = "datetime", "number", "string", "boolean"
LITERALS = {TIME: "datetime'2024-01-31T12:00:00Z'", NUMBER: "0", STRING: "'x'", BOOLEAN: "true"}

Table = dict[str, tuple[frozenset[str], str]]
"""Property -> the operators that the page allows, and the type of its value."""


def times(*names: str) -> Table:
    return dict.fromkeys(names, (ORDER, TIME))


def run(path: str) -> Table:
    """Of a start, preparation or release task."""
    return {
        f"{path}/state": (EQUAL, STRING),
        f"{path}/result": (EITHER, STRING),
        f"{path}/exitCode": (ORDER, NUMBER),
        **times(f"{path}/startTime", f"{path}/endTime"),
    }


_DATED = times("creationTime", "lastModified", "stateTransitionTime")
_STATE: Table = {"state": (EITHER, STRING)}
_ID: Table = {"id": (TEXT, STRING)}
_NAME: Table = {"name": (frozenset({"startswith"}), STRING)}
_JOB: Table = {
    **_STATE,
    **_DATED,
    **times("executionInfo/startTime", "executionInfo/endTime"),
    "executionInfo/poolId": (TEXT, STRING),
}


@dataclass(frozen=True)
class List:
    """A list: where it is, what it may be filtered by (None: by nothing), and whether `$select` is for it."""

    path: str
    table: Table | None
    selects: bool = True
    longest: int = 1000
    etags: bool = False
    words: dict[str, str] = field(default_factory=dict)


LISTS = {
    "pools": List(
        "/pools",
        {
            **_ID,
            **_STATE,
            **_DATED,
            "allocationState": (EITHER, STRING),
            "allocationStateTransitionTime": (ORDER, TIME),
            "enableAutoScale": (EITHER, BOOLEAN),
            "enableInterNodeCommunication": (EITHER, BOOLEAN),
            "vmSize": (EITHER, STRING),
        },
        etags=True,
        words={"state": "active", "allocationState": "steady"},
    ),
    "jobs": List("/jobs", {**_ID, **_JOB}, etags=True, words={"state": "active"}),
    "schedules": List(
        "/jobschedules",
        {
            **_ID,
            **_STATE,
            **_DATED,
            **times("executionInfo/endTime", "schedule/doNotRunUntil", "schedule/doNotRunAfter"),
        },
        etags=True,
        words={"state": "active"},
    ),
    "jobs of a schedule": List("/jobschedules/s1/jobs", _JOB, words={"state": "active"}),
    "tasks": List(
        "/jobs/j1/tasks",
        {
            **_ID,
            **_STATE,
            **_DATED,
            **times("executionInfo/startTime", "executionInfo/endTime"),
            "executionInfo/exitCode": (ORDER, NUMBER),
            "executionInfo/result": (EITHER, STRING),
        },
        etags=True,
        words={"state": "completed", "executionInfo/result": "failure"},
    ),
    "nodes": List(
        "/pools/p1/nodes",
        {
            **_STATE,
            **times("stateTransitionTime", "lastBootTime", "allocationTime"),
            **run("startTaskInfo"),
        },
        words={"state": "idle", "startTaskInfo/state": "completed", "startTaskInfo/result": "success"},
    ),
    "preparations": List(
        "/jobs/j2/jobpreparationandreleasetaskstatus",
        {
            "poolId": (EITHER, STRING),
            "nodeId": (EITHER, STRING),
            **run("jobPreparationTaskExecutionInfo"),
            **run("jobReleaseTaskExecutionInfo"),
        },
        words={
            f"{path}/{name}": word
            for path in ("jobPreparationTaskExecutionInfo", "jobReleaseTaskExecutionInfo")
            for name, word in (("state", "completed"), ("result", "success"))
        },
    ),
    "node counts": List("/nodecounts", {"poolId": (EQUAL, STRING)}, selects=False, longest=10),
    "usage": List("/poolusagemetrics", {"poolId": (TEXT - {"ne"}, STRING)}, selects=False),
    "images": List(
        "/supportedimages",
        {
            "osType": (EITHER, STRING),
            "verificationType": (EITHER, STRING),
            "nodeAgentSKUId": (EITHER, STRING),
        },
        selects=False,
        words={"osType": "linux", "verificationType": "verified"},
    ),
    "task files": List("/jobs/j1/tasks/t1/files", _NAME, selects=False),
    "node files": List("/pools/p1/nodes/{node}/files", _NAME, selects=False),
    "extensions": List("/pools/p1/nodes/{node}/extensions", None),
    "subtasks": List("/jobs/j1/tasks/t1/subtasksinfo", None),
}


async def fill_account(wire: Wire) -> str:
    """Pools, nodes, jobs, tasks, schedules, files: at least two of each kind; the id of one node."""
    machine = LINUX | {"extensions": [{"name": "mine", "publisher": "p", "type": "t"}]}
    start = {"startTask": {"commandLine": "true"}, "virtualMachineConfiguration": machine}
    await wire.add_pool("p1", targetDedicatedNodes=2, **start)
    await wire.add_pool(
        "P2", vmSize="standard_d4s_v3", enableAutoScale=True, autoScaleFormula="$TargetDedicatedNodes=0"
    )
    await wire.idle_node("p1")
    await wire.add_job("j1", poolInfo={"poolId": "p1"})
    preparation = {"jobPreparationTask": {"commandLine": "true"}, "jobReleaseTask": {"commandLine": "true"}}
    await wire.add_job("j2", poolInfo={"poolId": "p1"}, **preparation)
    for number, command in enumerate(("true", "false", "sh -c 'exit 3'"), 1):
        await wire.add_task(f"t{number}", "j1", commandLine=command)
    for number in range(4):
        await wire.add_task(f"u{number}", "j2", commandLine="true")
    job = {"poolInfo": {"poolId": "p1"}}
    soon = {"recurrenceInterval": "PT1H"}
    await wire.post("/jobschedules", {"id": "s1", "schedule": soon, "jobSpecification": job})
    later = {"doNotRunUntil": "2099-01-01T00:00:00Z", "doNotRunAfter": "2099-02-01T00:00:00Z"}
    await wire.post("/jobschedules", {"id": "s2", "schedule": later, "jobSpecification": job})
    await _finish(wire, "j1", "j2")
    await wire.post("/jobs/j2/terminate")
    await eventually(lambda: _is_completed(wire, "/jobs/j2"))
    await eventually(lambda: _has_state(wire, "/pools/P2", "allocationState", "steady"))
    return (await wire.get("/pools/p1/nodes"))["value"][0]["id"]


async def _finish(wire: Wire, *jobs: str) -> None:
    async def done() -> bool:
        states = [each["state"] for job in jobs for each in (await wire.get(f"/jobs/{job}/tasks"))["value"]]
        return set(states) == {"completed"}

    await eventually(done)


async def _is_completed(wire: Wire, path: str) -> bool:
    return await _has_state(wire, path, "state", "completed")


async def _has_state(wire: Wire, path: str, name: str, value: str) -> bool:
    return (await wire.get(path))[name] == value
