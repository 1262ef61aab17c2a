"""What is taken here and not done: it is kept and told, and nothing follows from it."""

from __future__ import annotations

import os

from tests.api.wire import Wire, eventually

OLD = "2024-07-01.20.0"
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
    """Nodes of a pool that asks for `classic`, which API versions until 2025 could, are said to have it."""
    await wire.add_pool(targetDedicatedNodes=1, targetNodeCommunicationMode="classic", version=OLD)
    await wire.idle_node()
    assert (await wire.get("/pools/p", version=OLD))["currentNodeCommunicationMode"] == "classic"
    network = {"subnetId": "/subscriptions/s", "skipWithdrawFromVNet": True}
    await wire.add_job(networkConfiguration=network)
    assert (await wire.get("/jobs/j"))["networkConfiguration"] == network


async def test_values_are_told_as_the_page_has_them(wire: Wire) -> None:
    """Bodies are compact, results of a collection in its order, an image of the version asked for; tasks
    have no folder of certificates, and a node forgets them with their job."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    assert b"\r\n" not in (await wire.send("GET", "/pools/p")).content
    ids = ["c", "a", "b"]
    added = await wire.post(
        "/jobs/j/addtaskcollection", {"value": [{"id": each, "commandLine": "true"} for each in ids]}
    )
    assert [each["taskId"] for each in added.json()["value"]] == ids

    async def completed() -> bool:
        return (await wire.get("/jobs/j/taskcounts"))["taskCounts"]["completed"] == len(ids)

    await eventually(completed)
    node = (await wire.get("/pools/p/nodes"))["value"][0]
    assert node["virtualMachineInfo"]["imageReference"]["exactVersion"] == "latest"
    assert len(node["recentTasks"]) == len(ids)
    assert "certs" not in {each["name"] for each in (await wire.get("/jobs/j/tasks/a/files"))["value"]}
    await wire.send("DELETE", "/jobs/j")

    async def forgotten() -> bool:
        return "recentTasks" not in (await wire.get("/pools/p/nodes"))["value"][0]

    await eventually(forgotten)
