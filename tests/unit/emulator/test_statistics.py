"""The statistics of `$expand=stats`: times of the clock, waits, ends and retries up to now."""

from __future__ import annotations

from typing import Any

import pytest

from batch_emulator.api.views.statistics import render_statistics
from batch_emulator.scheduler import pools
from tests.unit.emulator.driver import FAILED, Driver

NOT_MEASURED = ("userCPUTime", "kernelCPUTime", "readIOps", "writeIOps", "readIOGiB", "writeIOGiB")


@pytest.fixture
def driver() -> Driver:
    """A pool of one node since ten seconds, and a job in it of three tasks: one has run for twenty seconds,
    its second try failed after ten more; one has run for thirty seconds since; one waits."""
    driver = Driver()
    driver.add_pool()
    driver.add_job()
    for each in ("failed", "runs", "waits"):
        driver.add_task(each, constraints={"maxTaskRetryCount": 1})
    driver.pass_seconds(20)
    driver.end("/failed", FAILED)
    driver.pass_seconds(10)
    driver.end("/failed", FAILED)
    driver.pass_seconds(30)
    return driver


def statistics(driver: Driver, kind: str, resource: Any) -> dict[str, Any]:
    return render_statistics(driver.world, kind, resource, "http://batch/x", driver.world.now)


def seconds(duration: str) -> int:
    """Of `PT1M30.0000012S`, whole ones: each command takes a tick."""
    minutes, _, rest = duration.removeprefix("PT").rpartition("M")
    return int(minutes or 0) * 60 + int(float(rest.removesuffix("S")))


@pytest.mark.parametrize(("name", "ran", "waited"), [("failed", 30, 0), ("runs", 30, 30), ("waits", 0, 60)])
def test_a_task_has_run_and_waited(driver: Driver, name: str, ran: int, waited: int) -> None:
    """A task that goes on is counted up to now; tries are one time, waits end with the start."""
    found = statistics(driver, "tasks", driver.task(name))
    assert (seconds(found["wallClockTime"]), seconds(found["waitTime"])) == (ran, waited)
    assert {found[each] for each in NOT_MEASURED} == {"PT0S", "0", 0.0}


def test_a_job_is_the_sum_of_its_tasks(driver: Driver) -> None:
    """Its times and its counts are those of its tasks."""
    found = statistics(driver, "jobs", driver.world.job("job"))
    assert (seconds(found["wallClockTime"]), seconds(found["waitTime"])) == (60, 90)
    assert (found["numSucceededTasks"], found["numFailedTasks"], found["numTaskRetries"]) == ("0", "1", "1")
    driver.end("/runs")
    found = statistics(driver, "jobs", driver.world.job("job"))
    assert (found["numSucceededTasks"], found["numFailedTasks"]) == ("1", "1")


def test_a_pool_has_used_cores_as_long_as_it_had_nodes(driver: Driver) -> None:
    """Two cores since the node was allocated, also when it is gone; what it did is not measured."""
    found = statistics(driver, "pools", driver.world.pool("pool"))
    used = seconds(found["usageStats"]["dedicatedCoreTime"])
    assert 2 * 69 <= used <= 2 * 70
    assert {each for name, each in found["resourceStats"].items() if "Time" not in name} == {0.0, "0"}
    removal = {"nodeList": [driver.nodes[0].id], "nodeDeallocationOption": "terminate"}
    driver.do(pools.remove_nodes, "pool", removal)
    driver.pass_seconds(1000)
    found = statistics(driver, "pools", driver.world.pool("pool"))
    assert used <= seconds(found["usageStats"]["dedicatedCoreTime"]) <= used + 2
