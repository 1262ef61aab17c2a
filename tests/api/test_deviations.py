"""What is taken here and not done: it is kept and told, and nothing follows from it."""

from __future__ import annotations

import os

from tests.api.wire import Wire, eventually

OLD = "2024-07-01.20.0"
UBUNTU_18 = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS"}
ADMIN = {"autoUser": {"scope": "task", "elevationLevel": "admin"}}


async def test_tasks_run_as_the_user_of_the_service(wire: Wire) -> None:
    """Whatever account a task asks for, it is told so and the process is this user's."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    await wire.add_task(commandLine="id -u", userIdentity=ADMIN)

    async def completed() -> bool:
        return (await wire.get("/jobs/j/tasks/t"))["state"] == "completed"

    await eventually(completed)
    assert (await wire.get("/jobs/j/tasks/t"))["userIdentity"] == ADMIN
    printed = await wire.send("GET", "/jobs/j/tasks/t/files/stdout.txt")
    assert printed.text.strip() == str(os.getuid())


async def test_a_user_of_a_node_is_kept_and_no_account(wire: Wire) -> None:
    """It can be changed and deleted, once, and this machine knows nobody of its name."""
    await wire.add_pool(targetDedicatedNodes=1)
    users = f"/pools/p/nodes/{await wire.idle_node()}/users"
    assert (await wire.post(users, {"name": "nobody-here", "password": "x"})).status_code == 201
    with open("/etc/passwd", encoding="utf-8") as accounts:
        assert "nobody-here" not in accounts.read()
    one = f"{users}/nobody-here"
    assert (await wire.send("PUT", one, {"password": "y"})).status_code == 200
    statuses = [(await wire.send("DELETE", one)).status_code for _ in range(2)]
    assert statuses == [200, 404]


async def test_communication_is_told_as_asked_for(wire: Wire) -> None:
    """Nodes of a pool that asks for `classic`, which API versions until 2025 could, are said to have it, and
    those of an image that ended before 2024; others are `simplified`."""
    ended = {"imageReference": UBUNTU_18, "nodeAgentSKUId": "batch.node.ubuntu 18.04"}
    wanted = {
        "asks": ({"targetNodeCommunicationMode": "classic"}, "classic"),
        "ended": ({"virtualMachineConfiguration": ended}, "classic"),
        "p": ({}, "simplified"),
    }
    for pool, (spec, told) in wanted.items():
        await wire.add_pool(pool, targetDedicatedNodes=1, version=OLD, **spec)
        await wire.idle_node(pool)
        shown = await wire.get(f"/pools/{pool}", version=OLD)
        assert shown["currentNodeCommunicationMode"] == told
        modes = [name for name in shown if name.endswith("NodeCommunicationMode")]
        assert modes == ["targetNodeCommunicationMode", "currentNodeCommunicationMode"][len(modes) == 1 :]
    network = {"subnetId": "/subscriptions/s", "skipWithdrawFromVNet": True}
    await wire.add_job(networkConfiguration=network)
    assert (await wire.get("/jobs/j"))["networkConfiguration"] == network


async def test_values_are_told_as_the_page_has_them(wire: Wire) -> None:
    """Bodies are compact, results of a collection in its order, an image of the version asked for; a node
    forgets tasks with their job."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    assert b"\r\n" not in (await wire.send("GET", "/pools/p")).content
    ids = ["c", "a", "b"]
    added = await wire.post(
        "/jobs/j/addtaskcollection", {"value": [{"id": each, "commandLine": "env"} for each in ids]}
    )
    assert [each["taskId"] for each in added.json()["value"]] == ids

    async def completed() -> bool:
        return (await wire.get("/jobs/j/taskcounts"))["taskCounts"]["completed"] == len(ids)

    await eventually(completed)
    node = (await wire.get("/pools/p/nodes"))["value"][0]
    assert node["virtualMachineInfo"]["imageReference"]["exactVersion"] == "latest"
    assert len(node["recentTasks"]) == len(ids)
    await wire.send("DELETE", "/jobs/j")

    async def forgotten() -> bool:
        return "recentTasks" not in (await wire.get("/pools/p/nodes"))["value"][0]

    await eventually(forgotten)


HEAD = ["odata.metadata", "id", "url", "eTag", "lastModified", "creationTime", "state", "stateTransitionTime"]
IN_ORDER = {
    "/jobs/j": [
        *HEAD,
        "priority",
        "maxParallelTasks",
        "usesTaskDependencies",
        "allowTaskPreemption",
        "constraints",
        "poolInfo",
        "executionInfo",
        "onAllTasksComplete",
        "onTaskFailure",
    ],
    "/jobschedules/s": [*HEAD, "jobSpecification", "executionInfo"],
    "/jobs/j/tasks/t": [
        *HEAD[:4],
        "creationTime",
        "lastModified",
        *HEAD[6:],
        "commandLine",
        "userIdentity",
        "constraints",
        "requiredSlots",
        "executionInfo",
    ],
    "/pools/q/nodes/{node}": [
        *HEAD[:3],
        "state",
        "schedulingState",
        "stateTransitionTime",
        "lastBootTime",
        "allocationTime",
        "ipAddress",
        "affinityId",
        "vmSize",
        "totalTasksRun",
        "totalTasksSucceeded",
        "runningTasksCount",
        "runningTaskSlotsCount",
        "isDedicated",
        "nodeAgentInfo",
        "virtualMachineInfo",
    ],
}


async def test_keys_come_in_the_recorded_order(wire: Wire) -> None:
    """Of jobs, schedules, tasks and nodes, and of images."""
    await wire.add_pool("q", targetDedicatedNodes=1)
    await wire.add_job()
    await wire.add_task()
    specification = {"poolInfo": {"poolId": "p"}}
    await wire.post("/jobschedules", {"id": "s", "schedule": {}, "jobSpecification": specification})
    node = await wire.idle_node("q")
    for path, names in IN_ORDER.items():
        assert list(await wire.get(path.format(node=node))) == names
    images = (await wire.get("/supportedimages"))["value"]
    names = ["imageReference", "verificationType", "nodeAgentSKUId", "capabilities", "osType"]
    assert names in [list(image) for image in images]


async def test_images_are_those_of_the_version(wire: Wire) -> None:
    """Older versions are listed retired images too, and before 2024-07 no AlmaLinux of ARM."""
    listed = {}
    for version in ("2025-06-01", OLD, "2024-02-01.19.0"):
        images = (await wire.get("/supportedimages", version=version))["value"]
        offers = {image["imageReference"]["offer"] for image in images}
        listed[version] = ("ubuntuserver" in offers, "almalinux-arm" in offers)
    assert [*listed.values()] == [(False, True), (True, True), (True, False)]
