"""Rows of the page of deviations that are of the core alone: what is forgotten, what is never measured."""

from __future__ import annotations

from datetime import timedelta

import pytest

from batch_emulator.scheduler import autoscaling, nodes, pools
from batch_emulator.scheduler.measures import measure
from batch_emulator.scheduler.world import CloseNode
from batch_emulator.ticks import from_seconds
from tests.unit.emulator.driver import Driver
from tests.unit.emulator.kept import KeptDriver

FORMULA = "$TargetDedicatedNodes = $ActiveTasks.GetSample(1) + 1;"
COUNT = "$TargetDedicatedNodes = $ActiveTasks.Count();"
HOUR_SECONDS = timedelta(hours=1).total_seconds()


def add_scaling_pool(driver: Driver) -> None:
    scaling = {
        "enableAutoScale": True,
        "autoScaleFormula": FORMULA,
        "autoScaleEvaluationInterval": "PT5M",
    }
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", **scaling})


def evaluate(driver: Driver, formula: str) -> str:
    return driver.do(autoscaling.evaluate_formula, "pool", formula)["results"]


def test_samples_are_there_at_once() -> None:
    """A pool has a sample from the moment that it scales itself; on Azure the first comes later."""
    driver = Driver()
    driver.add_job()
    driver.add_task("t")
    add_scaling_pool(driver)
    assert evaluate(driver, FORMULA).startswith("$TargetDedicatedNodes=2;")


def test_history_is_forgotten_at_a_restart() -> None:
    """Samples of the time before are gone, and so is what nodes have used that are gone; the pool goes on."""
    driver = KeptDriver()
    add_scaling_pool(driver)
    driver.pass_seconds(HOUR_SECONDS)
    assert not evaluate(driver, COUNT).startswith("$TargetDedicatedNodes=0;")
    driver.do(autoscaling.disable, "pool")
    driver.do(pools.remove_nodes, "pool", removal(driver))
    driver.pass_seconds(60)
    assert driver.world.usage.core_ticks("pool") > from_seconds(HOUR_SECONDS)
    driver.do(autoscaling.enable, "pool", {"autoScaleFormula": FORMULA})
    driver.crash()
    assert driver.world.usage.core_ticks("pool") == 0
    assert evaluate(driver, COUNT).startswith("$TargetDedicatedNodes=0;")


def removal(driver: Driver) -> dict[str, object]:
    return {"nodeList": [node.id for node in driver.nodes], "nodeDeallocationOption": "requeue"}


@pytest.mark.parametrize(
    "name",
    [
        "$MemoryBytes",
        "$DiskBytes",
        "$DiskReadBytes",
        "$DiskWriteBytes",
        "$DiskReadOps",
        "$DiskWriteOps",
        "$NetworkInBytes",
        "$NetworkOutBytes",
        "$WallClockSeconds",
    ],
)
def test_what_is_not_measured_has_no_samples(name: str) -> None:
    """A formula may ask for it, and learns that there are none."""
    driver = Driver()
    driver.add_pool()
    assert name not in measure(driver.world, driver.world.pool("pool"))
    driver.do(autoscaling.enable, "pool", {"autoScaleFormula": FORMULA})
    wanted = f"$TargetDedicatedNodes = {name}.GetSamplePercent(TimeInterval_Hour) > 0 ? 9 : {name}.Count();"
    assert evaluate(driver, wanted).startswith("$TargetDedicatedNodes=0;")


def test_a_reimaged_node_has_an_empty_folder() -> None:
    """Its folder goes, of a pool of virtual machines too, where a reboot leaves it."""
    for event, is_emptied in (("reboot", False), ("reimage", True)):
        driver = Driver()
        driver.add_pool()
        node = driver.nodes[0]
        driver.do(nodes.interrupt_node, "pool", node.id, "requeue", event)
        driver.pass_seconds(5)
        assert (CloseNode(node.id) in driver.done, node.state) == (is_emptied, "idle")
