"""Which node a Batch task gets, in the pure core, where the task has a wish."""

from __future__ import annotations

import pytest

from tests.unit.emulator.driver import Driver


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.add_pool(3)
    driver.add_job()
    return driver


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_task_goes_to_the_node_of_its_affinity(driver, wanted):
    """A task with the affinity id of a node runs there if the node is free."""
    node = driver.nodes[wanted]
    driver.add_task("t", affinityInfo={"affinityId": f"TVM:{node.id}"})
    assert driver.task("t").node_id == node.id


def test_affinity_is_only_a_wish(driver):
    """Where the wanted node is busy, or there is no such node, the task runs on another."""
    node = driver.nodes[0]
    affinity = {"affinityId": f"TVM:{node.id}"}
    driver.add_task("first", affinityInfo=affinity)
    driver.add_task("second", affinityInfo=affinity)
    driver.add_task("third", affinityInfo={"affinityId": "nowhere"})
    assert driver.running() == ["first", "second", "third"]
    assert driver.task("second").node_id != node.id
