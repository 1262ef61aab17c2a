"""A node's start task is that of its last boot, in the pure core."""

from __future__ import annotations

from batch_emulator.api.views.nodes import render_node
from batch_emulator.scheduler import nodes, pools
from tests.unit.emulator.driver import Driver

OLD = {"commandLine": "old", "waitForSuccess": True}
NEW = {"commandLine": "new", "waitForSuccess": True}


def shown(driver: Driver) -> object:
    node, pool = driver.nodes[0], driver.world.pool("pool")
    return render_node(node, pool, driver.world.store, "http://batch", "2025-06-01").get("startTask")


def run_start_task(driver: Driver) -> str:
    command = next(each.launch.command_line for each in driver.launched.values())
    driver.end("startup")
    return command


def test_new_start_task_runs_after_the_next_boot():
    """A start task that a pool gets is the node's, to see and to run, only once the node has rebooted."""
    driver = Driver()
    driver.add_pool(startTask=OLD)
    assert run_start_task(driver) == "old"
    driver.do(pools.change_pool, "pool", {"startTask": NEW})
    assert shown(driver) == OLD
    driver.do(nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", "reboot")
    driver.pass_seconds(10)
    assert run_start_task(driver) == "new"
    assert shown(driver) == NEW


def test_start_task_taken_away_while_it_runs():
    """A pool that loses its start task lets a node finish it."""
    driver = Driver()
    driver.add_pool(startTask=OLD)
    driver.do(pools.replace_pool_properties, "pool", {"metadata": []})
    assert run_start_task(driver) == "old"
    assert driver.nodes[0].state == "idle"
    assert shown(driver) == OLD
