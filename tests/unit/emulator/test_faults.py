"""Faults that were asked for, in the pure core: what they do to nodes, pools and tasks, and how often."""

from __future__ import annotations

from itertools import groupby

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.faults import (
    RESIZE_ERRORS,
    AllocationFault,
    DiskFault,
    Faults,
    NodeFault,
    StartTaskFault,
)
from batch_emulator.node.failures import make_failure
from batch_emulator.node.launch import Outcome
from batch_emulator.scheduler import node_faults, nodes, pools
from batch_emulator.scheduler.world import CloseNode
from tests.unit.emulator.driver import Driver

SPOT = {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 1}
STOPPED = Outcome(exit_code=None, stopped=True)


def spot_driver(**settings) -> Driver:
    """A driver with a pool of one Spot node on which task `t` runs."""
    driver = Driver(**settings)
    driver.add_pool(**SPOT)
    driver.add_job()
    driver.add_task("t")
    return driver


def happen(driver: Driver, event: str, **request):
    driver.do(node_faults.strike_node, "pool", driver.nodes[0].id, event, request)


@pytest.mark.parametrize(
    ("event", "state"), [("reboot", "rebooting"), ("reimage", "reimaging"), ("deallocate", "deallocating")]
)
@pytest.mark.parametrize("fault", ["preempt", "lose", "break"])
def test_what_a_node_is_told_is_done_or_refused(fault, event, state):
    """Where there is no machine any more it is refused; one that is lost or broken is acted upon."""
    driver = spot_driver()
    happen(driver, fault)
    told = (nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", event)
    if fault == "preempt":
        with pytest.raises(BatchError, match="NodeNotReady"):
            driver.do(*told)
        state = "preempted"
    else:
        driver.do(*told)
    assert driver.nodes[0].state == state


def test_preempted_node_is_replaced():
    """A preempted Spot node loses its disk and its task, stays in the pool, and begins anew under its id."""
    driver = spot_driver(node_replacement_seconds=60)
    node = driver.nodes[0]
    happen(driver, "preempt")
    assert (node.state, driver.task("t").state, driver.task("t").requeue_count) == ("preempted", "active", 1)
    assert any(isinstance(each, CloseNode) and each.node_id == node.id for each in driver.done)
    assert driver.world.store.nodes("pool").total(dedicated=False) == 1
    driver.end("/t", STOPPED)
    driver.pass_seconds(59)
    assert node.state == "preempted"
    driver.pass_seconds(5)
    assert (driver.nodes, driver.task("t").state, driver.task("t").node_id) == ([node], "running", node.id)


def test_dedicated_node_is_not_preempted():
    """Only Spot nodes can be preempted."""
    driver = Driver()
    driver.add_pool()
    with pytest.raises(BatchError, match="OperationNotValidOnNode"):
        happen(driver, "preempt")


def test_preempted_node_leaves_when_the_pool_shrinks():
    """A pool can be shrunk while its node is preempted: the node goes and is not replaced."""
    driver = spot_driver(node_replacement_seconds=60)
    happen(driver, "preempt")
    driver.do(pools.resize_pool, "pool", {"targetLowPriorityNodes": 0})
    driver.pass_seconds(120)
    assert (driver.nodes, driver.world.pool("pool").allocation_state) == ([], "steady")


def test_node_that_was_to_leave_is_gone_after_a_preemption():
    """A node that waits for its task to leave the pool leaves at once when it is preempted."""
    driver = spot_driver()
    request = {"targetLowPriorityNodes": 0, "nodeDeallocationOption": "taskcompletion"}
    driver.do(pools.resize_pool, "pool", request)
    driver.pass_seconds(1)
    happen(driver, "preempt")
    driver.pass_seconds(5)
    assert (driver.nodes, driver.task("t").state) == ([], "active")


@pytest.mark.parametrize(("event", "state"), [("lose", "unknown"), ("break", "unusable")])
def test_lost_and_broken_nodes(event, state):
    """A node that is lost or broken requeues its task and takes no other until it has recovered."""
    driver = Driver()
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    errors = [{"code": "X", "message": "x"}]
    happen(driver, event, recoverSeconds=300, errors=errors)
    node = driver.nodes[0]
    assert (node.state, node.errors, driver.task("t").state) == (state, errors, "active")
    driver.end("/t", STOPPED)
    driver.pass_seconds(299)
    assert node.state == state
    driver.pass_seconds(5)
    assert (node.state, node.errors) == ("running", [])


def test_node_recovers_when_told():
    """A lost node without a time of recovery stays so until it is told to recover, which others cannot be."""
    driver = Driver()
    driver.add_pool()
    with pytest.raises(BatchError, match="OperationInvalidForCurrentState"):
        happen(driver, "recover")
    happen(driver, "lose")
    driver.pass_seconds(86400)
    assert driver.nodes[0].state == "unknown"
    happen(driver, "recover")
    driver.pass_seconds(5)
    assert driver.nodes[0].state == "idle"


def test_other_tasks_of_a_full_disk_go_on():
    """What else runs on a node whose disk is full runs on until it ends."""
    driver = Driver(faults=Faults(disks=[DiskFault(full=True, skip=1, times=1)]))
    driver.add_pool(taskSlotsPerNode=2)
    driver.add_job()
    driver.add_task("fine")
    driver.add_task("full")
    failure = make_failure("DiskFull", FilePath="x", Message="No space left on device")
    driver.end("/full", Outcome(None, failure, preprocessing_failure=True))
    assert (driver.nodes[0].state, driver.task("fine").state) == ("unusable", "running")
    driver.end("/fine")
    assert driver.task("fine").result == "success"


def test_full_disk():
    """A task that finds its disk full fails; its node is unusable, says why, and can be rebooted."""
    driver = Driver(faults=Faults(disks=[DiskFault(full=True, times=1)]))
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    ((_, start),) = driver.launched.items()
    assert start.launch.disk_full
    failure = make_failure("DiskFull", FilePath="x", Message="No space left on device")
    driver.end("/t", Outcome(None, failure, preprocessing_failure=True))
    node = driver.nodes[0]
    assert (driver.task("t").result, driver.task("t").failure["code"]) == ("failure", "DiskFull")
    assert (node.state, [each["code"] for each in node.errors]) == ("unusable", ["DiskFull"])
    driver.add_task("next")
    assert driver.task("next").state == "active"
    driver.do(nodes.interrupt_node, "pool", node.id, "requeue", "reboot")
    driver.pass_seconds(5)
    assert (driver.task("next").state, node.errors) == ("running", [])


def test_node_faults_come_after_each_boot():
    """A rule for nodes strikes after the boots that it is for, of Spot nodes only where it preempts."""
    fault = NodeFault(event="preempt", after_seconds=100, times=2)
    driver = Driver(faults=Faults(nodes=[fault]), node_replacement_seconds=10)
    driver.add_pool(1, targetLowPriorityNodes=1)
    (spot,) = [node for node in driver.nodes if not node.dedicated]
    seen = []
    for _ in range(400):
        driver.pass_seconds(1)
        seen.append(spot.state)
    assert seen[:80] == ["idle"] * 80
    assert [state for state, _ in groupby(seen) if state in ("idle", "preempted")] == [
        "idle",
        "preempted",
        "idle",
        "preempted",
        "idle",
    ]
    assert driver.world.faults.struck()["nodes"] == [2]
    assert [node.state for node in driver.nodes] == ["idle", "idle"]


def test_start_task_fault():
    """A start task that is to fail fails, once here, though its command succeeded; its retry may help."""
    driver = Driver(faults=Faults(start_tasks=[StartTaskFault(exit_code=9, times=1)]))
    driver.add_pool(startTask={"commandLine": "x", "waitForSuccess": True, "maxTaskRetryCount": 0})
    driver.end("startup")
    node = driver.nodes[0]
    assert (node.state, node.start_task.exit_code) == ("starttaskfailed", 9)
    driver.do(nodes.interrupt_node, "pool", node.id, "requeue", "reboot")
    driver.pass_seconds(5)
    driver.end("startup")
    assert node.state == "idle"


@pytest.mark.parametrize("code", sorted(set(RESIZE_ERRORS) - {"AllocationTimedout", "RemoveNodesFailed"}))
def test_allocation_fault(code):
    """A resize that is to fail ends at once with the error asked for, and with as many nodes as asked for."""
    fault = AllocationFault(code=code, nodes=1, times=1, reason="because")
    driver = Driver(faults=Faults(allocations=[fault]))
    driver.add_pool(3)
    pool = driver.world.pool("pool")
    assert (pool.allocation_state, len(driver.nodes)) == ("steady", 1)
    assert pool.resize_errors[0] | {"message": ""} == {
        "code": code,
        "message": "",
        "values": [{"name": "Reason", "value": "because"}],
    }
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 3})
    driver.pass_seconds(5)
    assert (len(driver.nodes), pool.resize_errors) == (3, [])


def test_allocation_that_times_out():
    """Nodes that do not come keep the pool resizing until its resizeTimeout."""
    driver = Driver(faults=Faults(allocations=[AllocationFault(code="AllocationTimedout", dedicated=False)]))
    driver.add_pool(1, targetLowPriorityNodes=2, resizeTimeout="PT5M")
    pool = driver.world.pool("pool")
    driver.pass_seconds(280)
    assert (pool.allocation_state, len(driver.nodes)) == ("resizing", 1)
    driver.pass_seconds(20)
    assert pool.allocation_state == "steady"
    assert pool.resize_errors == [
        {
            "code": "AllocationTimedout",
            "message": "Desired number of low priority nodes could not be allocated"
            " as the resize timeout was reached",
        }
    ]


def test_removal_that_fails():
    """RemoveNodesFailed is for resizes that take nodes away: those stay."""
    driver = Driver(faults=Faults(allocations=[AllocationFault(code="RemoveNodesFailed", nodes=1)]))
    driver.add_pool(3)
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 0})
    driver.pass_seconds(5)
    pool = driver.world.pool("pool")
    assert (len(driver.nodes), pool.allocation_state) == (2, "steady")
    assert [each["code"] for each in pool.resize_errors] == ["RemoveNodesFailed"]


def test_rules_name_pools():
    """A rule with pool ids is for those pools, whatever the case of their ids."""
    driver = Driver(faults=Faults(allocations=[AllocationFault(pool_ids=["OTHER"])]))
    driver.add_pool(1)
    driver.do(pools.add_pool, {"id": "other", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
    driver.pass_seconds(5)
    assert len(driver.nodes) == 1
    assert driver.world.pool("other").resize_errors[0]["code"] == "AllocationFailed"
