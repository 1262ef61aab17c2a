"""The bodies of answers: metadata, defaults and shapes as the service writes them."""

from __future__ import annotations

import re

import pytest

from tests.api.wire import LINUX, URL, Wire, error, eventually

UNLIMITED = "P10675199DT2H48M5.4775807S"


POOL_IDENTITY = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}


async def finished(wire: Wire, task_id: str = "t") -> dict:
    """The task, once it has completed."""

    async def find() -> dict | None:
        task = await wire.get(f"/jobs/j/tasks/{task_id}")
        return task if task["state"] == "completed" else None

    return await eventually(find)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/pools", "pools"),
        ("/pools/p", "pools/@Element"),
        ("/pools/p/nodes", "nodes"),
        ("/jobs", "jobs"),
        ("/jobs/j", "jobs/@Element"),
        ("/jobs/j/tasks", "tasks"),
        ("/jobs/j/tasks/t", "tasks/@Element"),
        ("/jobs/j/taskcounts", "taskcountsresult/@Element"),
        ("/jobschedules", "jobschedules"),
        ("/nodecounts", "poolnodecounts"),
        ("/supportedimages", "supportedimages"),
        ("/poolusagemetrics", "poolusagemetrics"),
        ("/applications", "listapplicationsummariesresponses"),
    ],
)
async def test_metadata_names_the_kind_of_answer(wire: Wire, path: str, kind: str) -> None:
    """`odata.metadata` comes first and says what the body is: a list, or one element of it."""
    await wire.add_pool()
    await wire.add_job()
    await wire.add_task()
    body = await wire.get(path)
    assert next(iter(body.items())) == ("odata.metadata", f"{URL}/$metadata#{kind}")


async def test_metadata_of_a_collection_is_that_of_results(wire: Wire) -> None:
    """Add Task Collection answers with a list of results."""
    await wire.add_job()
    answer = await wire.post("/jobs/j/addtaskcollection", {"value": [{"id": "t", "commandLine": "true"}]})
    assert answer.json()["odata.metadata"] == f"{URL}/$metadata#taskaddresult"


async def test_collection_answers_for_each_task(wire: Wire) -> None:
    """A result has a status in the service's casing, and an ETag and a location only for a success."""
    await wire.add_job()
    await wire.add_task("there")
    tasks = [{"id": name, "commandLine": "true"} for name in ("new", "there")]
    answer = await wire.post("/jobs/j/addtaskcollection", {"value": tasks})
    good, bad = sorted(answer.json()["value"], key=lambda result: result["taskId"])
    assert list(good) == ["status", "taskId", "eTag", "lastModified", "location"]
    assert (good["status"], good["location"]) == ("Success", f"{URL}/jobs/j/tasks/new")
    assert list(bad) == ["status", "taskId", "error"]
    assert (bad["status"], bad["error"]["code"]) == ("ClientError", "TaskExists")


async def test_new_job_has_every_default(wire: Wire) -> None:
    """What a new job does not say is filled in."""
    await wire.add_job()
    job = await wire.get("/jobs/j")
    assert job["constraints"] == {"maxWallClockTime": UNLIMITED, "maxTaskRetryCount": 0}
    assert (job["priority"], job["maxParallelTasks"]) == (0, -1)
    assert (job["usesTaskDependencies"], job["allowTaskPreemption"]) == (False, False)
    assert (job["onAllTasksComplete"], job["onTaskFailure"]) == ("noaction", "noaction")
    assert list(job["executionInfo"]) == ["startTime", "poolId"]


async def test_new_task_has_every_default(wire: Wire) -> None:
    """What a new task does not say is filled in, its retries from its job."""
    await wire.add_job(constraints={"maxTaskRetryCount": 3})
    await wire.add_task()
    task = await wire.get("/jobs/j/tasks/t")
    assert list(task)[-5:] == ["commandLine", "userIdentity", "constraints", "requiredSlots", "executionInfo"]
    assert task["userIdentity"] == POOL_IDENTITY
    assert task["constraints"] == {
        "maxWallClockTime": UNLIMITED,
        "retentionTime": "P7D",
        "maxTaskRetryCount": 3,
    }
    assert (task["requiredSlots"], task["executionInfo"]) == (1, {"retryCount": 0, "requeueCount": 0})


async def test_patch_replaces_nested_objects_whole(wire: Wire) -> None:
    """A patch of one constraint puts the others back to their defaults; durations come back normalised."""
    await wire.add_job(constraints={"maxTaskRetryCount": 5}, metadata=[{"name": "a", "value": "b"}])
    await wire.send("PATCH", "/jobs/j", {"constraints": {"maxWallClockTime": "P3Y6M4DT12H30M5S"}})
    job = await wire.get("/jobs/j")
    assert job["constraints"] == {"maxWallClockTime": "P1279DT12H30M5S", "maxTaskRetryCount": 0}
    assert job["metadata"] == [{"name": "a", "value": "b"}]


async def test_put_of_a_job_drops_its_metadata(wire: Wire) -> None:
    """Update Job puts back what it does not name: metadata is gone, the priority is 0 again."""
    await wire.add_job(metadata=[{"name": "a", "value": "b"}], priority=7)
    await wire.send("PUT", "/jobs/j", {"poolInfo": {"poolId": "p"}})
    job = await wire.get("/jobs/j")
    assert ("metadata" in job, job["priority"]) == (False, 0)


async def test_finished_task_tells_what_happened(wire: Wire) -> None:
    """A task that has run tells its previous state, its result and where it ran."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    await wire.add_task(commandLine="/bin/true")
    task = await finished(wire)
    assert task["previousState"] == "running"
    assert list(task["executionInfo"]) == [
        "startTime",
        "endTime",
        "exitCode",
        "result",
        "retryCount",
        "requeueCount",
    ]
    node = task["nodeInfo"]["nodeId"]
    assert re.fullmatch(r"tvmps_[0-9a-f]{64}_d", node)
    assert task["nodeInfo"] == {
        "affinityId": f"TVM:{node}",
        "nodeUrl": f"{URL}/pools/p/nodes/{node}",
        "poolId": "p",
        "nodeId": node,
        "taskRootDirectory": "workitems/j/job-1/t",
        "taskRootDirectoryUrl": f"{URL}/pools/p/nodes/{node}/files/workitems/j/job-1/t",
    }


async def test_task_that_cannot_start_has_no_exit_code(wire: Wire) -> None:
    """A missing program is a user error with a message among its details, and no exit code."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    await wire.add_task(commandLine="/no/such/program")
    info = (await finished(wire))["executionInfo"]
    assert "exitCode" not in info
    assert info["result"] == "failure"
    failure = info["failureInfo"]
    assert (failure["category"], failure["code"]) == ("UserError", "CommandProgramNotFound")
    assert [detail["name"] for detail in failure["details"]] == ["Message"]


async def test_reactivated_task_starts_from_nothing(wire: Wire) -> None:
    """Reactivating a failed task resets its execution; its previous state is still told."""
    await wire.add_job()
    await wire.add_task()
    await wire.post("/jobs/j/tasks/t/terminate")
    await wire.post("/jobs/j/tasks/t/reactivate")
    task = await wire.get("/jobs/j/tasks/t")
    assert (task["state"], task["previousState"]) == ("active", "completed")
    assert task["executionInfo"] == {"retryCount": 0, "requeueCount": 0}


async def test_job_is_deleting_before_it_is_gone(wire: Wire) -> None:
    """Delete Job answers once the job is in state deleting; then it is 404."""
    await wire.add_job()
    await wire.send("DELETE", "/jobs/j")
    assert (await wire.get("/jobs/j"))["state"] == "deleting"

    async def gone() -> bool:
        return (await wire.send("GET", "/jobs/j")).status_code == 404

    assert await eventually(gone)


async def test_job_of_an_auto_pool_names_a_pool_in_capitals(wire: Wire) -> None:
    """The pool that a job brings with it has an id of its own: a GUID in upper case."""
    pool = {"vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}
    automatic = {"poolLifetimeOption": "job", "pool": pool}
    await wire.add_job(poolInfo={"autoPoolSpecification": automatic})
    pool_id = (await wire.get("/jobs/j"))["executionInfo"]["poolId"]
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", pool_id)


async def test_counts_have_tasks_and_slots(wire: Wire) -> None:
    """Task counts tell tasks and their slots, of which a task may need several."""
    await wire.add_job()
    await wire.add_task(requiredSlots=3)
    body = await wire.get("/jobs/j/taskcounts")
    assert body["taskCounts"] == {"active": 1, "running": 0, "completed": 0, "succeeded": 0, "failed": 0}
    assert body["taskSlotCounts"]["active"] == 3


async def test_error_has_values_that_say_what_and_why(wire: Wire) -> None:
    """A refused property is named among the values, with the value and the reason."""
    answer = await wire.send("POST", "/jobs", {"id": "j", "poolInfo": {"poolId": "p"}, "priority": 1001})
    status, code, values = error(answer)
    assert (status, code) == (400, "InvalidPropertyValue")
    assert (values["PropertyName"], values["PropertyValue"]) == ("priority", "1001")
    assert values["Reason"]
    kind = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"
    assert answer.json()["odata.metadata"] == f"{URL}/$metadata#{kind}"
    assert answer.json()["message"]["lang"] == "en-US"
