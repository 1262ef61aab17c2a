"""Requests that enable, disable and try autoscaling."""

from __future__ import annotations

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.scheduler import autoscaling, pools
from tests.unit.emulator.scaling_pools import ONE_A_TASK, add_scaling_pool, enable, size


def test_enabling_needs_a_formula_once(driver):
    """The first time a formula is required; later an interval alone is enough and keeps the formula."""
    driver.add_pool()
    with pytest.raises(BatchError, match="MissingRequiredProperty"):
        enable(driver, autoScaleEvaluationInterval="PT10M")
    enable(driver, autoScaleFormula="$TargetDedicatedNodes = 1;")
    assert driver.world.pool("pool").spec["autoScaleEvaluationInterval"] == "PT15M"
    driver.pass_seconds(31)
    pool = enable(driver, autoScaleEvaluationInterval="PT10M")
    assert pool.spec["autoScaleFormula"] == "$TargetDedicatedNodes = 1;"
    driver.pass_seconds(31)
    with pytest.raises(BatchError, match="MissingRequiredProperty"):
        enable(driver)


def test_etag_changes_with_a_resize_that_begins(driver):
    """Enabling and disabling change a pool that is steady, and so begins to resize, as recorded; no other."""
    driver.add_pool()
    driver.pass_seconds(10)
    modified = driver.world.pool("pool").modified
    enabled = enable(driver, autoScaleFormula="$TargetDedicatedNodes = 5;").modified
    assert enabled > modified
    driver.pass_seconds(0.01)
    assert driver.world.pool("pool").allocation_state == "resizing"
    assert driver.do(autoscaling.disable, "pool").modified == enabled
    driver.pass_seconds(31)
    enabled = enable(driver, autoScaleFormula="$TargetDedicatedNodes = 5;").modified
    driver.pass_seconds(10)
    assert driver.do(autoscaling.disable, "pool").modified > enabled


def test_enabling_and_disabling_resize_to_the_same_size(driver):
    """As recorded of a pool without nodes whose formula wants none: each is a resize, which ends by itself,
    or with the next; the evaluations that follow are none."""
    driver.add_pool(0)
    pool = driver.world.pool("pool")
    seen = [pool.allocation_since]
    for change in (
        lambda: enable(driver, autoScaleFormula="$TargetDedicatedNodes = 0;"),
        lambda: driver.do(autoscaling.disable, "pool"),
    ):
        assert (change().allocation_state, pool.allocation_since > seen[-1]) == ("resizing", True)
        assert pool.modified == pool.allocation_since
        seen.append(pool.allocation_since)
    driver.pass_seconds(31)
    enable(driver, autoScaleFormula="$TargetDedicatedNodes = 0;")
    driver.pass_seconds(10)
    since = pool.allocation_since
    driver.pass_seconds(3600)
    assert (pool.allocation_state, pool.allocation_since) == ("steady", since)


def test_disabling_stops_a_resize_under_way(driver):
    """As recorded of a pool of four nodes that was to have two, with its ETag and targets as they were."""
    driver.add_pool(4)
    modified = enable(driver, autoScaleFormula="$TargetDedicatedNodes = 2;").modified
    pool = driver.do(autoscaling.disable, "pool")
    assert (pool.allocation_state, pool.target_dedicated, pool.modified) == ("stopping", 2, modified)
    driver.pass_seconds(10)
    assert (pool.allocation_state, size(driver)) == ("steady", (4, 0))
    assert [error["code"] for error in pool.resize_errors] == ["ResizeStopped"]


def test_evaluation_is_told_half_a_second_after_enabling(driver):
    """As recorded: it is applied at once, and the pool asked for right after enabling tells none."""
    driver.add_pool(4)
    pool = enable(driver, autoScaleFormula="$TargetDedicatedNodes = 2;")
    assert (pool.target_dedicated, pool.auto_scale_run) == (2, None)
    driver.pass_seconds(0.6)
    assert pool.auto_scale_run["results"].startswith("$TargetDedicatedNodes=2;")


def test_enabling_twice_in_30_seconds_is_refused(driver):
    """Enable requests for a pool must be 30 seconds apart: 503 TooManyEnableAutoScaleRequests."""
    driver.add_pool()
    enable(driver, autoScaleFormula="$TargetDedicatedNodes = 1;")
    driver.pass_seconds(29)
    with pytest.raises(BatchError) as refused:
        enable(driver, autoScaleFormula="$TargetDedicatedNodes = 2;")
    assert (refused.value.code, refused.value.status) == ("TooManyEnableAutoScaleRequests", 503)
    driver.pass_seconds(2)
    enable(driver, autoScaleFormula="$TargetDedicatedNodes = 2;")
    driver.pass_seconds(1)
    assert driver.world.pool("pool").target_dedicated == 2


def test_formula_is_tried_with_the_targets_that_the_pools_own_gives_it(driver):
    """So recorded of a pool of four nodes that was told to have two, and then tried a bad formula at once."""
    driver.add_pool(4)
    enable(driver, autoScaleFormula="$TargetDedicatedNodes=2")
    tried = driver.do(autoscaling.evaluate_formula, "pool", "$something_useless")
    assert (
        tried["results"]
        == "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )


def test_formula_is_tried_with_the_targets_that_a_changed_one_gives(driver):
    """The same of a pool whose formula was replaced, before it is evaluated: the former one's run is gone."""
    add_scaling_pool(driver, "$TargetDedicatedNodes = 0;")
    enable(driver, autoScaleFormula="$TargetDedicatedNodes = 3;")
    driver.pass_seconds(0.4)
    assert driver.world.pool("pool").auto_scale_run is None
    tried = driver.do(autoscaling.evaluate_formula, "pool", "$TargetLowPriorityNodes = 1;")
    assert tried["results"].startswith("$TargetDedicatedNodes=3;$TargetLowPriorityNodes=1;")
    driver.pass_seconds(10)
    assert size(driver) == (3, 0)


def test_what_is_disabled_soon_after_enabling_is_never_applied(driver):
    """The first evaluation of a pool that was said to resize comes half a second after enabling, and not if
    it is disabled by then; enabling does not change its ETag."""
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 0})
    pool = driver.world.pool("pool")
    assert pool.allocation_state == "resizing"
    enable(driver, autoScaleFormula="$TargetDedicatedNodes = 2;")
    assert (pool.auto_scale_run, pool.allocation_state, pool.target_dedicated) == (None, "steady", 0)
    assert pool.modified == pool.created
    driver.do(autoscaling.disable, "pool")
    driver.pass_seconds(60)
    assert (pool.auto_scale_run, pool.target_dedicated) == (None, 0)


def test_enabling_while_resizing_is_refused(driver):
    """A pool that is being resized cannot be told to scale itself, nor one whose resize is being stopped."""
    driver.add_pool()
    pool = driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 3})
    for state in ("resizing", "stopping"):
        assert pool.allocation_state == state
        with pytest.raises(BatchError, match="PoolBeingResized"):
            enable(driver, autoScaleFormula="$TargetDedicatedNodes = 1;")
        driver.do(pools.stop_resize, "pool")
    driver.pass_seconds(10)
    assert enable(driver, autoScaleFormula="$TargetDedicatedNodes = 1;").target_dedicated == 1


def test_resize_is_refused_while_enabled(driver):
    """A pool that scales itself cannot be resized by hand; disabled, it can."""
    add_scaling_pool(driver, "$TargetDedicatedNodes = 1;")
    driver.pass_seconds(10)
    with pytest.raises(BatchError, match="OperationNotValidOnPool"):
        driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})
    driver.do(autoscaling.disable, "pool")
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})
    driver.pass_seconds(10)
    assert size(driver) == (2, 0)


def test_disabled_pool_stays_as_it_is(driver):
    """Disabling ends the evaluations, drops formula, interval and run, and keeps the size."""
    add_scaling_pool(driver, ONE_A_TASK)
    driver.do(autoscaling.disable, "pool")
    driver.add_job()
    driver.add_task("t")
    driver.pass_seconds(3600)
    pool = driver.world.pool("pool")
    assert (pool.spec["enableAutoScale"], pool.auto_scale_run, size(driver)) == (False, None, (0, 0))
    assert "autoScaleFormula" not in pool.spec
    assert driver.world.samples == {}


def test_disabled_pool_resizes_to_the_size_that_it_has(driver):
    """Whoever waits for the allocation that follows sees it begin and end, and need not wait for a resize."""
    add_scaling_pool(driver, "$TargetDedicatedNodes = 1;")
    driver.pass_seconds(10)
    since = driver.world.now
    pool = driver.do(autoscaling.disable, "pool")
    assert pool.allocation_state == "resizing"
    driver.pass_seconds(1)
    assert (pool.allocation_state, pool.resize_errors, size(driver)) == ("steady", [], (1, 0))
    assert pool.allocation_since > since


@pytest.mark.parametrize("operation", [autoscaling.disable, autoscaling.evaluate_formula])
def test_pool_without_autoscale(driver, operation):
    """Disable and evaluate are AutoScaleNotEnabled on a pool that does not scale itself."""
    driver.add_pool()
    arguments = ["pool"] if operation is autoscaling.disable else ["pool", "$TargetDedicatedNodes = 1;"]
    with pytest.raises(BatchError, match="AutoScaleNotEnabled"):
        driver.do(operation, *arguments)


def test_evaluation_on_request_is_not_applied(driver):
    """Evaluate answers with what the formula comes to, or with its error, and changes no size."""
    add_scaling_pool(driver, "$TargetDedicatedNodes = 1;")
    driver.pass_seconds(10)
    run = driver.do(autoscaling.evaluate_formula, "pool", "$TargetDedicatedNodes=3")
    assert (
        run["results"] == "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )
    bad = driver.do(autoscaling.evaluate_formula, "pool", "$something_useless")
    assert bad["error"] == {
        "code": "AutoScalingFormulaEvaluationError",
        "message": "The specified auto-scaling formula has evaluation error",
        "values": [{"name": "Message", "value": "Line 1, Col 1: Undefined symbol: $something_useless"}],
    }
    driver.pass_seconds(10)
    assert size(driver) == (1, 0)
