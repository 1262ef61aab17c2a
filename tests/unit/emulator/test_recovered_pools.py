"""What nodes, pools and jobs become that an earlier service has left."""

from __future__ import annotations

import pytest

from batch_emulator.scheduler import autoscaling, jobs, node_faults, nodes, pools
from batch_emulator.scheduler.world import CloseNode
from tests.unit.emulator.kept import KeptDriver, crash, done

FORMULA = "$TargetDedicatedNodes = 2;"


@pytest.fixture
def driver() -> KeptDriver:
    return KeptDriver()


@pytest.mark.parametrize(
    ("event", "then"), [("reboot", "idle"), ("reimage", "idle"), ("deallocate", "deallocated")]
)
def test_node_goes_on_where_it_was(driver, event, then):
    """A node that was on its way somewhere gets there; the folder of one that loses its disk is removed."""
    driver.add_pool()
    driver.do(nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", event)
    crash(driver)
    assert (driver.nodes[0].id in done(driver, CloseNode)) == (event == "reimage")
    driver.pass_seconds(5)
    assert driver.nodes[0].state == then


def test_node_that_waited_for_its_tasks_goes_at_once(driver):
    """A shrinking resize that waited for tasks need not wait for tasks that the restart has ended."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    request = {"targetDedicatedNodes": 0, "nodeDeallocationOption": "taskcompletion"}
    driver.do(pools.resize_pool, "pool", request)
    crash(driver)
    driver.pass_seconds(5)
    assert not driver.nodes
    assert driver.world.pool("pool").allocation_state == "steady"
    assert driver.task("t").state == "active"


def test_lost_node_stays_lost_until_it_recovers(driver):
    """A node that was lost on purpose comes back when it was to come back."""
    driver.add_pool()
    mishap = {"recoverSeconds": 60}
    driver.do(node_faults.strike_node, "pool", driver.nodes[0].id, "lose", mishap)
    crash(driver)
    driver.pass_seconds(50)
    assert driver.nodes[0].state == "unknown"
    driver.pass_seconds(20)
    assert driver.nodes[0].state == "idle"


@pytest.mark.parametrize("seconds", [0.05, 0.25, 0.45])
def test_growing_pool_gets_its_nodes(driver, seconds):
    """A resize goes on from wherever it was: no node yet, nodes that are created, nodes that start."""
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 3})
    driver.pass_seconds(seconds)
    crash(driver)
    driver.pass_seconds(10)
    assert [node.state for node in driver.nodes] == ["idle"] * 3
    assert driver.world.pool("pool").allocation_state == "steady"


@pytest.mark.parametrize("command", ["delete_job", "terminate_job", "disable_job"])
def test_job_comes_out_of_its_transitional_state(driver, command):
    """A job that was about to be gone, completed or disabled is so soon after the restart."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    arguments = {"delete_job": (), "terminate_job": (None,), "disable_job": ("wait",)}[command]
    driver.do(getattr(jobs, command), "job", *arguments)
    crash(driver)
    driver.pass_seconds(5)
    job = driver.world.store.jobs.get("job")
    wanted = {"delete_job": None, "terminate_job": "completed", "disable_job": "disabled"}[command]
    assert (job and job.state) == wanted


def test_wall_clock_counts_through_the_restart(driver):
    """A job's time limit is counted from its creation."""
    driver.add_job(constraints={"maxWallClockTime": "PT1M"})
    driver.pass_seconds(40)
    crash(driver)
    driver.pass_seconds(15)
    assert driver.world.job("job").state == "active"
    driver.pass_seconds(10)
    assert driver.world.job("job").terminate_reason == "MaxWallClockTimeExpiry"


@pytest.mark.parametrize("seconds", [0, 0.05, 0.15, 0.25, 0.35])
@pytest.mark.parametrize("resizing", [False, True], ids=["steady", "resizing"])
def test_deleted_pool_goes(driver, resizing, seconds):
    """A pool that was being deleted is gone, with its nodes, from wherever it was."""
    driver.add_pool(0 if resizing else 2)
    if resizing:
        driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})
    driver.do(pools.delete_pool, "pool")
    driver.pass_seconds(seconds)
    crash(driver)
    driver.pass_seconds(5)
    assert not driver.world.store.has_pool("pool")


def test_pool_goes_on_scaling_itself(driver):
    """Formulas are evaluated when they were to be, with a history that begins anew."""
    driver.add_pool(0)
    driver.do(
        autoscaling.enable, "pool", {"autoScaleFormula": FORMULA, "autoScaleEvaluationInterval": "PT5M"}
    )
    driver.pass_seconds(100)
    before = driver.world.pool("pool").auto_scale_run["timestamp"]
    crash(driver)
    driver.pass_seconds(190)
    assert driver.world.pool("pool").auto_scale_run["timestamp"] == before
    driver.pass_seconds(20)
    assert driver.world.pool("pool").auto_scale_run["timestamp"] > before
    assert len(driver.nodes) == 2


def test_resize_that_was_being_stopped_ends(driver):
    driver.add_pool(0)
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})
    driver.do(pools.stop_resize, "pool")
    crash(driver)
    driver.pass_seconds(5)
    assert driver.world.pool("pool").allocation_state == "steady"
