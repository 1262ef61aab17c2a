"""How long the directories of Batch tasks stay on their nodes, in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.scheduler import nodes, pools, tasks
from batch_emulator.scheduler.world import RemoveDirectory
from tests.unit.emulator.driver import FAILED, Driver

HOUR = {"retentionTime": "PT1H"}


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.add_pool(taskSlotsPerNode=4)
    driver.add_job()
    return driver


def removed(driver: Driver) -> list[str]:
    found = [each.directory for each in driver.done if isinstance(each, RemoveDirectory)]
    return [each.rsplit("/", 1)[1] for each in found]


def test_directory_goes_when_its_time_is_over(driver):
    """A task's directory is removed its retention time after the end of the task, seven days by default."""
    driver.add_task("short", constraints=HOUR)
    driver.add_task("long")
    driver.end("/short")
    driver.end("/long")
    driver.pass_seconds(3599)
    assert removed(driver) == []
    driver.pass_seconds(2)
    assert removed(driver) == ["short"]
    driver.pass_seconds(7 * 24 * 3600)
    assert removed(driver) == ["short", "long"]


def test_each_directory_has_its_own_time(driver):
    """Of tasks that ended one after the other the directories go one after the other."""
    for each in "abc":
        driver.add_task(each, constraints=HOUR)
        driver.end(f"/{each}")
        driver.pass_seconds(600)
    driver.pass_seconds(1801)
    assert removed(driver) == ["a"]
    driver.pass_seconds(1200)
    assert removed(driver) == ["a", "b", "c"]


def test_many_tasks_share_a_timer(driver):
    """There is one timer for all tasks of a retention time, not one for each."""
    before = len(driver.timers)
    for number in range(50):
        driver.add_task(f"t{number}", constraints=HOUR)
        driver.end(f"/t{number}")
    assert len(driver.timers) == before + 1


def test_task_that_runs_again_keeps_its_directory(driver):
    """The time of a reactivated task counts from its last end."""
    driver.add_task("t", constraints=HOUR)
    driver.end("/t", FAILED)
    driver.pass_seconds(3000)
    driver.do(tasks.reactivate_task, "job", "t")
    driver.pass_seconds(1000)
    assert removed(driver) == []
    driver.end("/t")
    driver.pass_seconds(3500)
    assert removed(driver) == []
    driver.pass_seconds(101)
    assert removed(driver) == ["t"]


def test_directory_of_a_deleted_task_goes_once(driver):
    """A task that was deleted has no directory left to remove."""
    driver.add_task("t", constraints=HOUR)
    driver.end("/t")
    driver.do(tasks.delete_task, "job", "t")
    driver.pass_seconds(4000)
    assert removed(driver) == ["t"]


def test_unlimited_retention(driver):
    """A directory that is to be kept without limit is never removed."""
    driver.add_task("t", constraints={"retentionTime": "P10675199DT2H48M5.4775807S"})
    driver.end("/t")
    driver.pass_seconds(30 * 24 * 3600)
    assert removed(driver) == []


@pytest.mark.parametrize("event", ["reboot", "reimage", "deallocate"])
def test_node_waits_for_retained_data(driver, event):
    """With `retaineddata` a node goes down when the retention of the last task on it is over, not before."""
    node = driver.nodes[0]
    driver.add_task("running", constraints={"retentionTime": "PT1H10S"})
    driver.do(nodes.interrupt_node, "pool", node.id, "retaineddata", event)
    driver.add_task("later")
    driver.end("/running")
    driver.pass_seconds(3605)
    assert node.state == "idle"
    assert driver.task("later").state == "active"
    driver.pass_seconds(35)
    assert node.state != "idle"


def test_removed_node_waits_for_retained_data(driver):
    """A node that is removed with `retaineddata` stays until then, or until the task is deleted."""
    node = driver.nodes[0]
    driver.add_task("a")
    driver.end("/a")
    driver.do(pools.remove_nodes, "pool", {"nodeList": [node.id], "nodeDeallocationOption": "retaineddata"})
    driver.pass_seconds(24 * 3600)
    assert driver.nodes == [node]
    driver.do(tasks.delete_task, "job", "a")
    driver.pass_seconds(60)
    assert driver.nodes == []


def test_a_node_that_is_named_twice_is_removed_once(driver):
    """The pool's target shrinks by the nodes that leave, however often they are named."""
    before, node = driver.world.live_pool("pool").target_dedicated, driver.nodes[0]
    driver.do(pools.remove_nodes, "pool", {"nodeList": [node.id, node.id]})
    assert driver.world.live_pool("pool").target_dedicated == before - 1
