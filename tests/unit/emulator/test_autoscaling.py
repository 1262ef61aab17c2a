"""Pools that size themselves, in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.node.launch import Outcome
from batch_emulator.scheduler import jobs, nodes, pools, tasks
from batch_emulator.scheduler.measures import measure
from tests.unit.emulator.driver import FAILED, Driver
from tests.unit.emulator.scaling_pools import ONE_A_TASK, add_scaling_pool, enable, size

STOPPED = Outcome(exit_code=None, stopped=True)


def test_new_pool_is_sized_by_its_formula(driver):
    """The formula of a new pool is evaluated at once, and its run is kept as the service writes it."""
    add_scaling_pool(driver, "$TargetDedicatedNodes = 2; $TargetLowPriorityNodes = 1;")
    pool = driver.world.pool("pool")
    assert (pool.allocation_state, pool.target_dedicated, pool.target_spot) == ("resizing", 2, 1)
    assert pool.auto_scale_run["results"] == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=1;$NodeDeallocationOption=requeue"
    )
    driver.pass_seconds(10)
    assert size(driver) == (2, 1)


def test_pool_follows_its_tasks(driver):
    """At each interval, and not before, the pool gets the nodes that its tasks ask for, or loses them."""
    add_scaling_pool(driver, ONE_A_TASK)
    driver.add_job()
    for each in "abc":
        driver.add_task(each)
    driver.pass_seconds(299)
    assert size(driver) == (0, 0)
    driver.pass_seconds(10)
    assert driver.running() == ["a", "b", "c"]
    for each in "abc":
        driver.end(each)
    driver.pass_seconds(301)
    assert size(driver) == (0, 0)


def test_deallocation_option_of_the_formula(driver):
    """`$NodeDeallocationOption = taskcompletion` lets a node go only when its task has ended."""
    add_scaling_pool(
        driver,
        "$TargetDedicatedNodes = $RunningTasks.GetSample(1) > 0 ? 0 : 1; "
        "$NodeDeallocationOption = taskcompletion;",
    )
    driver.pass_seconds(10)
    driver.add_job()
    driver.add_task("t")
    driver.pass_seconds(330)
    assert driver.task("t").state == "running"
    assert driver.world.pool("pool").target_dedicated == 0
    driver.end("t")
    driver.pass_seconds(1)
    assert size(driver) == (0, 0)


def test_resize_timeout_is_for_manual_scaling_only(driver):
    """A pool that scales itself waits longer for a node that finishes its task."""
    formula = "$TargetDedicatedNodes = $RunningTasks.GetSample(1) > 0 ? 0 : 1; "
    add_scaling_pool(driver, f"{formula} $NodeDeallocationOption = taskcompletion;", resizeTimeout="PT5M")
    driver.add_job()
    driver.add_task("a")
    driver.pass_seconds(301 + 360)
    pool = driver.world.pool("pool")
    assert (pool.allocation_state, pool.resize_errors, size(driver)) == ("resizing", [], (1, 0))
    assert driver.running() == ["a"]


def test_insufficient_samples_are_reported(driver):
    """A formula that wants more history than there is can be enabled; its run says what is missing."""
    driver.add_pool(1)
    enable(
        driver, autoScaleFormula="$TargetDedicatedNodes = avg($ActiveTasks.GetSample(TimeInterval_Hour, 70));"
    )
    driver.pass_seconds(1)
    run = driver.world.pool("pool").auto_scale_run
    assert run["error"]["code"] == "InsufficientSampleData"
    assert "$ActiveTasks wanted 70%" in run["error"]["values"][0]["value"]
    assert size(driver) == (1, 0)
    driver.pass_seconds(3600)
    assert "error" not in driver.world.pool("pool").auto_scale_run
    driver.pass_seconds(10)
    assert size(driver) == (0, 0)


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("$TargetDedicatedNodes = ;", "AutoScalingFormulaSyntaxError"),
        ("$TargetDedicatedNodes = $Nonsense;", "AutoScalingFormulaEvaluationError"),
        ("$TargetDedicatedNodes = -1;", "AutoScalingFormulaEvaluationError"),
    ],
)
def test_bad_formula_changes_nothing(driver, formula, code):
    """A formula that cannot be evaluated is refused at enabling and at creation, and nothing has changed."""
    driver.add_pool(1)
    before = dict(driver.world.pool("pool").spec)
    with pytest.raises(BatchError) as refused:
        enable(driver, autoScaleFormula=formula)
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert refused.value.values[0][1].startswith("Line 1, Col ")
    assert driver.world.pool("pool").spec == before
    with pytest.raises(BatchError, match=code):
        driver.do(
            pools.add_pool,
            {
                "id": "other",
                "vmSize": "standard_d2s_v3",
                "enableAutoScale": True,
                "autoScaleFormula": formula,
            },
        )
    assert "other" not in driver.world.store.pools


def test_short_pool_is_asked_for_again(driver):
    """Nodes that a quota kept back are asked for again at the next evaluation."""
    driver.world.settings = type(driver.world.settings)(core_quota=2)
    add_scaling_pool(driver, "$TargetDedicatedNodes = 2;")
    driver.pass_seconds(10)
    assert size(driver) == (1, 0)
    assert driver.world.pool("pool").resize_errors
    driver.world.settings = type(driver.world.settings)(core_quota=4)
    driver.pass_seconds(300)
    assert (size(driver), driver.world.pool("pool").resize_errors) == ((2, 0), [])


def test_pool_of_the_same_name_is_another(driver):
    """The timers of a deleted pool do nothing to a new one of its name."""
    add_scaling_pool(driver, "$TargetDedicatedNodes = 1;")
    driver.do(pools.delete_pool, "pool")
    driver.pass_seconds(60)
    add_scaling_pool(driver, "$TargetDedicatedNodes = 0;", autoScaleEvaluationInterval="PT1H")
    evaluated = driver.world.pool("pool").auto_scale_run["timestamp"]
    driver.pass_seconds(600)
    assert driver.world.pool("pool").auto_scale_run["timestamp"] == evaluated
    assert driver.world.samples["pool"].count("$PendingTasks") in (20, 21)


def test_measures_are_those_of_the_tasks(driver):
    """Sums are kept through every change of tasks, jobs and their pool; blocked tasks are not active ones."""
    by_age = {"jobDefaultOrder": "creationtime"}
    driver.add_pool(2, taskSlotsPerNode=2, taskSchedulingPolicy=by_age)
    driver.add_job(usesTaskDependencies=True)
    driver.add_job("other")
    for each in "abcdef":
        driver.add_task(each)
    driver.add_task("blocked", dependsOn={"taskIds": ["f"]})
    driver.add_task("x", "other")
    driver.end("/a")
    driver.end("/b", FAILED)
    assert wanted(driver) == {"$ActiveTasks": 1, "$RunningTasks": 4, "$SucceededTasks": 1, "$FailedTasks": 1}
    assert measure(driver.world, driver.world.pool("pool"))["$CPUPercent"] == 100
    driver.do(tasks.delete_task, "job", "a")
    driver.do(jobs.disable_job, "job", "requeue")
    assert wanted(driver) == {"$ActiveTasks": 1, "$RunningTasks": 0, "$SucceededTasks": 0, "$FailedTasks": 1}
    for each in "cdef":
        driver.end(f"/{each}", STOPPED)
    driver.do(jobs.delete_job, "job")
    driver.end("/x")
    assert measure(driver.world, driver.world.pool("pool"))["$CPUPercent"] == 0
    driver.pass_seconds(5)
    assert wanted(driver) == {"$ActiveTasks": 0, "$RunningTasks": 0, "$SucceededTasks": 1, "$FailedTasks": 0}


def wanted(driver: Driver) -> dict[str, float]:
    names = ("$ActiveTasks", "$RunningTasks", "$SucceededTasks", "$FailedTasks")
    found = measure(driver.world, driver.world.pool("pool"))
    return {name: found[name] for name in names}


def test_job_takes_its_tasks_to_another_pool(driver):
    """A disabled job that is given another pool is counted there."""
    driver.add_pool()
    driver.do(pools.add_pool, {"id": "second", "vmSize": "standard_d2s_v3"})
    driver.add_job()
    driver.add_task("t")
    driver.add_task("u")
    driver.do(jobs.disable_job, "job", "requeue")
    driver.pass_seconds(1)
    driver.do(jobs.change_job, "job", {"poolInfo": {"poolId": "second"}})
    driver.do(jobs.enable_job, "job")
    driver.pass_seconds(1)
    assert measure(driver.world, driver.world.pool("second"))["$ActiveTasks"] == 2
    assert measure(driver.world, driver.world.pool("pool"))["$ActiveTasks"] == 0


def test_unusable_nodes_are_not_counted(driver):
    """`$UsableNodeCount` holds the nodes that take tasks."""
    driver.add_pool(2)
    driver.do(nodes.disable_scheduling, "pool", driver.nodes[0].id, "requeue")
    assert measure(driver.world, driver.world.pool("pool"))["$UsableNodeCount"] == 1


def test_multi_instance_tasks_count_by_instances(driver):
    """`$ActiveTasks` has a multi-instance task as many times as it has instances."""
    driver.add_pool(1, enableInterNodeCommunication=True)
    driver.add_job()
    driver.add_task("m", multiInstanceSettings={"numberOfInstances": 3, "coordinationCommandLine": "true"})
    assert measure(driver.world, driver.world.pool("pool"))["$ActiveTasks"] == 3
