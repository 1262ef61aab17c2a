"""Pools that grow and shrink, and nodes that come and go."""

from __future__ import annotations

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.scheduler import nodes, pools
from batch_emulator.scheduler.world import CloseNode
from batch_emulator.settings import Settings
from tests.unit.emulator.driver import FAILED, Driver


def test_failing_start_task(driver):
    """A start task that fails, after its retries, makes the node starttaskfailed and keeps tasks off it."""
    driver.add_pool(startTask={"commandLine": "x", "waitForSuccess": True, "maxTaskRetryCount": 1})
    driver.add_job()
    driver.add_task("t")
    driver.end("startup", FAILED)
    assert driver.nodes[0].state == "waitingforstarttask"
    driver.end("startup", FAILED)
    assert driver.nodes[0].state == "starttaskfailed"
    assert driver.nodes[0].start_task.exit_code == 3
    assert driver.task("t").state == "active"


def test_quota_stops_growth(driver):
    """Cores over the quota are not allocated; the pool is steady with the service's resize error."""
    driver.world.settings = Settings(core_quota=5)
    driver.add_pool(4)
    pool = driver.world.pool("pool")
    assert len(driver.nodes) == 2
    assert pool.allocation_state == "steady"
    assert [each["code"] for each in pool.resize_errors] == ["AccountCoreQuotaReached"]


@pytest.mark.parametrize(
    ("option", "state"), [("requeue", "active"), ("terminate", "completed"), ("taskcompletion", "running")]
)
def test_resize_to_zero(driver, option, state):
    """Shrinking treats running tasks as its node deallocation option says, then the nodes are gone."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 0, "nodeDeallocationOption": option})
    driver.pass_seconds(5)
    assert driver.task("t").state == state
    if option == "taskcompletion":
        assert driver.world.pool("pool").allocation_state == "resizing"
        driver.end("t")
        driver.pass_seconds(5)
    assert not driver.nodes
    assert driver.world.pool("pool").allocation_state == "steady"
    assert any(isinstance(each, CloseNode) for each in driver.done)


def test_waiting_shrink_times_out(driver):
    """A resize that waits for tasks ends at its timeout, with an error that says so."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    request = {"targetDedicatedNodes": 0, "nodeDeallocationOption": "taskcompletion", "resizeTimeout": "PT5M"}
    driver.do(pools.resize_pool, "pool", request)
    driver.pass_seconds(301)
    pool = driver.world.pool("pool")
    assert (pool.allocation_state, pool.resize_errors[0]["code"]) == ("steady", "AllocationTimedout")


def test_reboot_requeues_and_runs_the_start_task_again(driver):
    """A reboot takes tasks off the node, and the start task runs again before the node takes others."""
    driver.add_pool(startTask={"commandLine": "x", "waitForSuccess": True})
    driver.end("startup")
    driver.add_job()
    driver.add_task("t")
    node = driver.nodes[0]
    driver.do(nodes.interrupt_node, "pool", node.id, "requeue", "reboot")
    assert (node.state, driver.task("t").state) == ("rebooting", "active")
    driver.pass_seconds(5)
    assert node.state == "waitingforstarttask"
    driver.end("startup")
    assert driver.task("t").state == "running"


def test_offline_node_takes_no_tasks(driver):
    """Scheduling off keeps new tasks away; on again lets them come."""
    driver.add_pool()
    driver.add_job()
    node = driver.nodes[0]
    driver.do(nodes.disable_scheduling, "pool", node.id, "requeue")
    driver.add_task("t")
    assert (node.state, driver.task("t").state) == ("offline", "active")
    driver.do(nodes.enable_scheduling, "pool", node.id)
    assert driver.task("t").state == "running"


def test_deleted_pool_stops_its_resize_then_resizes_to_none(driver):
    """As recorded, a pool that is deleted while it resizes is stopping first; one with nodes wants none."""
    driver.add_pool()
    driver.do(pools.add_pool, {"id": "other", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
    driver.do(pools.delete_pool, "other")
    assert driver.world.pool("other").allocation_state == "stopping"
    driver.do(pools.delete_pool, "pool")
    assert _show_deletion(driver.world.pool("pool")) == _RESIZING_TO_NONE
    driver.pass_seconds(10)
    assert not driver.world.store.pools


_RESIZING_TO_NONE = ("deleting", "resizing", 0, "PT7M9.497S")


def _show_deletion(pool):
    return pool.state, pool.allocation_state, pool.target_dedicated, pool.spec["resizeTimeout"]


@pytest.mark.parametrize("seconds", [0, 10], ids=["new", "steady"])
def test_deleted_pool_without_nodes_resizes_to_none(driver, seconds):
    """As recorded, also a new pool that wants no nodes, which has no resize to be stopped."""
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3"})
    driver.pass_seconds(seconds)
    driver.do(pools.delete_pool, "pool")
    assert _show_deletion(driver.world.pool("pool")) == _RESIZING_TO_NONE


def test_deleted_pool_that_was_stopped_resizes_to_none_until_its_nodes_have_left():
    """As recorded: stopping, then resizing to none."""
    driver = Driver(node_removal_seconds=5.0)
    driver.add_pool()
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})
    driver.do(pools.delete_pool, "pool")
    assert driver.world.pool("pool").allocation_state == "stopping"
    driver.pass_seconds(1)
    assert _show_deletion(driver.world.pool("pool")) == _RESIZING_TO_NONE


@pytest.mark.parametrize("wanted", [0, 1], ids=["empty", "with a node"])
def test_deleted_pool_is_steady_before_it_is_gone(wanted):
    """As recorded: resizing to none ends a while before the pool does, however it began."""
    driver = Driver(deletion_seconds=10.0)
    driver.add_pool(wanted)
    driver.do(pools.delete_pool, "pool")
    driver.pass_seconds(2)
    assert driver.world.pool("pool").allocation_state == "resizing"
    driver.pass_seconds(6)
    assert driver.world.pool("pool").allocation_state == "steady"
    driver.pass_seconds(5)
    assert not driver.world.store.pools


def test_delete_pool_requeues_tasks(driver):
    """Deleting a pool removes its nodes; what ran there is active again."""
    driver.add_pool(2)
    driver.add_job()
    driver.add_task("t")
    driver.do(pools.delete_pool, "pool")
    assert driver.world.pool("pool").state == "deleting"
    driver.pass_seconds(5)
    with pytest.raises(BatchError, match="PoolNotFound"):
        driver.world.pool("pool")
    assert driver.task("t").state == "active"
