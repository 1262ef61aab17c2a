"""What jobs and job schedules tell while they end, and once they have."""

from __future__ import annotations

from tests.api.wire import WINDOWS, Wire, eventually

_LATER = {"id": "s", "schedule": {"doNotRunUntil": "2100-01-01T00:00:00Z"}}


async def _until(wire: Wire, path: str, state: str) -> dict:
    async def find() -> dict | None:
        found = await wire.get(path)
        return found if found["state"] == state else None

    return await eventually(find)


async def _job_that_ran(wire: Wire) -> None:
    """A job that has run on a node, with a release task that goes on until it is stopped."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.idle_node()
    await wire.add_job(
        jobPreparationTask={"commandLine": "true"},
        jobReleaseTask={"commandLine": "sleep 60"},
    )
    await wire.add_task()
    await _until(wire, "/jobs/j/tasks/t", "completed")


async def test_job_that_waits_for_nodes_says_so_and_for_how_many(wire: Wire) -> None:
    """As recorded: not at once, between pool and reason, and no longer once it has completed."""
    await _job_that_ran(wire)
    await wire.post("/jobs/j/terminate", {"terminateReason": "enough"})
    assert "schedulingError" not in (await wire.get("/jobs/j"))["executionInfo"]

    async def waits() -> dict | None:
        told = (await wire.get("/jobs/j"))["executionInfo"]
        return told if "schedulingError" in told else None

    told = await eventually(waits)
    assert list(told) == ["startTime", "poolId", "schedulingError", "terminateReason"]
    assert told["schedulingError"] == {
        "category": "ServerError",
        "code": "JobTerminationAwaitingNodeProcessing",
        "message": "The Job termination operation is waiting for processing from one or more node.",
        "details": [{"name": "Number of nodes awaiting processing", "value": "1"}],
    }
    listed = (await wire.get("/jobs"))["value"][0]["executionInfo"]
    assert listed["schedulingError"]["code"] == "JobTerminationAwaitingNodeProcessing"
    await wire.post("/pools/p/resize", {"targetDedicatedNodes": 0, "nodeDeallocationOption": "terminate"})
    assert "schedulingError" not in (await _until(wire, "/jobs/j", "completed"))["executionInfo"]


async def test_job_that_is_deleted_waits_for_nodes_too(wire: Wire) -> None:
    """A job in state deleting tells for how many nodes it waits."""
    await _job_that_ran(wire)
    assert (await wire.send("DELETE", "/jobs/j")).status_code == 202

    async def waits() -> str | None:
        return (await wire.get("/jobs/j"))["executionInfo"].get("schedulingError", {}).get("code")

    assert await eventually(waits) == "JobDeletionAwaitingNodeProcessing"


async def test_schedule_without_a_job_is_completed_at_once(wire: Wire) -> None:
    """As recorded: then it tells its end; while it is deleted when it would have been due. Its deletion is no
    change of it."""
    await wire.post("/jobschedules", _LATER | {"jobSpecification": {"poolInfo": {"poolId": "p"}}})
    ended = await wire.post("/jobschedules/s/terminate")
    schedule = await wire.get("/jobschedules/s")
    assert (schedule["state"], schedule["previousState"]) == ("completed", "active")
    assert schedule["executionInfo"] == {"endTime": schedule["stateTransitionTime"]}
    await wire.send("DELETE", "/jobschedules/s")
    deleted = await wire.get("/jobschedules/s")
    assert (deleted["state"], deleted["previousState"]) == ("deleting", "completed")
    assert deleted["eTag"] == schedule["eTag"] == ended.headers["etag"]
    assert deleted["executionInfo"] == {"nextRunTime": "2100-01-01T00:00:00Z"}


async def test_terminating_schedule_is_not_due(wire: Wire) -> None:
    """As recorded: a schedule that waits for its job to end tells that job alone."""
    plan = {"id": "s", "schedule": {"recurrenceInterval": "PT1H"}}
    await wire.post("/jobschedules", plan | {"jobSpecification": {"poolInfo": {"poolId": "p"}}})
    await _until(wire, "/jobs/s:job-1", "active")
    await wire.post("/jobschedules/s/terminate")
    schedule = await wire.get("/jobschedules/s")
    assert (schedule["state"], list(schedule["executionInfo"])) == ("terminating", ["recentJob"])


PLACED = {"numberOfInstances": 2, "coordinationCommandLine": "true"}


async def test_directories_of_tasks_on_windows_have_backslashes(wire: Wire) -> None:
    """Those of tasks, of what is one of several instances, and of what prepares and releases a job; as
    recorded, also the order in which a subtask is told."""
    nodes = {"targetDedicatedNodes": 2, "enableInterNodeCommunication": True}
    await wire.add_pool(virtualMachineConfiguration=WINDOWS, **nodes)
    await wire.add_job(jobPreparationTask={"commandLine": "true"}, jobReleaseTask={"commandLine": "true"})
    await wire.add_task(multiInstanceSettings=PLACED)
    task = await _until(wire, "/jobs/j/tasks/t", "completed")
    (subtask,) = (await wire.get("/jobs/j/tasks/t/subtasksinfo"))["value"]
    assert list(subtask) == [
        "id",
        "startTime",
        "endTime",
        "state",
        "stateTransitionTime",
        "previousState",
        "previousStateTransitionTime",
        "result",
        "exitCode",
        "nodeInfo",
    ]
    await wire.post("/jobs/j/terminate")
    await _until(wire, "/jobs/j", "completed")
    status = (await wire.get("/jobs/j/jobpreparationandreleasetaskstatus"))["value"][0]
    told = {
        "t": [task["nodeInfo"], subtask["nodeInfo"]],
        "jobpreparation": [status["jobPreparationTaskExecutionInfo"]],
        "jobrelease": [status["jobReleaseTaskExecutionInfo"]],
    }
    for name, places in told.items():
        for place in places:
            assert place["taskRootDirectory"] == rf"workitems\j\job-1\{name}"
            assert place["taskRootDirectoryUrl"].endswith(f"/files/workitems/j/job-1/{name}")
