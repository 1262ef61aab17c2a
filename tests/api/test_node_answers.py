"""What a node tells of itself through reboots and deallocation, and of its log: as recorded in 2025."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.wire import Wire, eventually


async def add_node(wire: Wire, pool: str = "p", **changes: Any) -> str:
    """The path of an idle node, of a pool of its own."""
    await wire.add_pool(pool, targetDedicatedNodes=1, **changes)
    return f"/pools/{pool}/nodes/{await wire.idle_node(pool)}"


async def wait_for_state(wire: Wire, node: str, state: str) -> dict:
    async def is_there() -> bool:
        return (await wire.get(node))["state"] == state

    await eventually(is_there)
    return await wire.get(node)


@pytest.mark.parametrize(("operation", "is_new"), [("reboot", False), ("reimage", True)])
async def test_node_agent_is_as_old_as_its_disk(wire: Wire, operation: str, is_new: bool) -> None:
    """A reboot starts the agent that is there; a new disk gets a new one."""
    node = await add_node(wire)
    before = await wire.get(node)
    assert before["nodeAgentInfo"]["lastUpdateTime"] == before["lastBootTime"]
    await wire.post(f"{node}/{operation}")
    after = await wait_for_state(wire, node, "idle")
    assert after["lastBootTime"] > before["lastBootTime"]
    assert (after["nodeAgentInfo"] != before["nodeAgentInfo"]) is is_new


async def test_deallocated_node_takes_no_tasks_until_it_is_up(wire: Wire) -> None:
    """Its scheduling state is disabled for as long, though nobody has disabled it; its agent stays. What its
    last start task did is told until the next begins."""
    node = await add_node(wire, startTask={"commandLine": "true"})
    before = await wire.get(node)
    await wire.post(f"{node}/deallocate")
    goes = await wire.get(node)
    assert goes["schedulingState"] == "disabled"
    found = await wait_for_state(wire, node, "deallocated")
    assert found["stateTransitionTime"] == goes["stateTransitionTime"]
    assert (found["schedulingState"], found["ipAddress"]) == ("disabled", before["ipAddress"])
    await wire.post(f"{node}/start")
    starts = await wire.get(node)
    assert starts == found | {"state": "starting"}
    up = await wait_for_state(wire, node, "idle")
    assert (up["schedulingState"], up["nodeAgentInfo"]) == ("enabled", before["nodeAgentInfo"])


async def test_log_of_a_node_lies_under_the_request_that_uploads_it(wire: Wire) -> None:
    """Below the account, the pool in small letters, and the node."""
    node = await add_node(wire, "Pool")
    wanted = {"containerUrl": "http://127.0.0.1:9", "startTime": "2030-01-01T00:00:00Z"}
    answer = await wire.post(f"{node}/uploadbatchservicelogs", wanted)
    folder = answer.json()["virtualDirectoryName"].split("/")
    assert folder[1:] == ["pool", node.rpartition("/")[2], answer.headers["request-id"]]


async def test_recent_tasks_of_a_node_are_in_the_order_in_which_they_ended(wire: Wire) -> None:
    """The latest is last, as recorded in 2018."""
    node = await add_node(wire)
    await wire.add_job()

    async def recent() -> list[str]:
        return [each["taskId"] for each in (await wire.get(node)).get("recentTasks", ())]

    async def both() -> bool:
        return len(await recent()) == 2

    await wire.add_task("zz")
    await eventually(recent)
    await wire.add_task("aa")
    await eventually(both)
    assert await recent() == ["zz", "aa"]
