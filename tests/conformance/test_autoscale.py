"""Pools that size themselves, through the official client.

On a real account an evaluation on the interval takes five minutes and more; what is shown here is what the
service does at once.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.conformance.conftest import pool_parameters, states
from tests.waiting import wait_until

NO_NODES = "$TargetDedicatedNodes=0;"


@pytest.fixture
def scaling_pool(client, new_pool) -> str:
    """A pool without nodes that scales itself."""
    return new_pool(
        target_dedicated_nodes=None,
        enable_auto_scale=True,
        auto_scale_formula=NO_NODES,
        auto_scale_evaluation_interval=timedelta(minutes=6),
    )


def steady(client, pool_id: str) -> None:
    wait_until(lambda: client.get_pool(pool_id).allocation_state == "steady", 120, "steady pool")


def test_formula_of_a_new_pool(client, scaling_pool):
    """A pool that scales itself shows its formula, its interval and the last run."""
    pool = wait_until(
        lambda: (found := client.get_pool(scaling_pool)).auto_scale_run and found, 120, "a first evaluation"
    )
    assert (pool.enable_auto_scale, pool.auto_scale_formula) == (True, NO_NODES)
    assert pool.auto_scale_evaluation_interval == timedelta(minutes=6)
    assert pool.auto_scale_run.error is None
    assert pool.auto_scale_run.results == (
        "$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )


def test_interval_is_a_quarter_of_an_hour(client, new_pool):
    """Without an interval the service takes 15 minutes."""
    name = new_pool(target_dedicated_nodes=None, enable_auto_scale=True, auto_scale_formula=NO_NODES)
    assert client.get_pool(name).auto_scale_evaluation_interval == timedelta(minutes=15)


def test_enabling_sizes_the_pool(client, new_pool, target):
    """A formula that is enabled for a steady pool is applied at once, which is a change of the pool."""
    name = new_pool()
    steady(client, name)
    before = client.get_pool(name)
    client.enable_pool_auto_scale(
        name, models.BatchPoolEnableAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes=1;")
    )
    pool = client.get_pool(name)
    assert pool.etag != before.etag
    assert (pool.enable_auto_scale, pool.target_dedicated_nodes) == (True, 1)
    wait_until(lambda: states(client, name) == ["idle"], target.node_seconds, "an idle node")


def test_evaluation_on_request(client, scaling_pool):
    """Evaluate computes a formula for the pool as it is, and leaves it so."""
    run = client.evaluate_pool_auto_scale(
        scaling_pool, models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes=3")
    )
    assert run.error is None
    assert run.results == "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    assert client.get_pool(scaling_pool).target_dedicated_nodes == 0


def test_evaluation_of_a_bad_formula(client, scaling_pool):
    """An evaluation that fails is an answer with the error in it, not an error."""
    run = client.evaluate_pool_auto_scale(
        scaling_pool, models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula="$something_useless")
    )
    assert run.error.code == "AutoScalingFormulaEvaluationError"
    assert [(each.name, each.value) for each in run.error.error_values] == [
        ("Message", "Line 1, Col 1: Undefined symbol: $something_useless")
    ]


def test_disabling_keeps_the_size(client, scaling_pool):
    """A pool whose autoscale is disabled shows no formula and can be resized by hand."""
    steady(client, scaling_pool)
    client.disable_pool_auto_scale(scaling_pool)
    pool = client.get_pool(scaling_pool)
    assert (pool.enable_auto_scale, pool.auto_scale_formula, pool.auto_scale_run) == (False, None, None)
    client.begin_resize_pool(
        scaling_pool, models.BatchPoolResizeOptions(target_dedicated_nodes=0), polling_interval=0.1
    ).wait()


def refusal(call, *arguments, **options) -> tuple[int, str]:
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return refused.value.status_code, refused.value.model.code


def test_resize_of_a_scaling_pool_is_refused(client, scaling_pool):
    """A pool that scales itself is not resized by hand: 409."""
    steady(client, scaling_pool)
    request = models.BatchPoolResizeOptions(target_dedicated_nodes=1)
    assert refusal(client.begin_resize_pool, scaling_pool, request)[0] == 409


def test_evaluation_needs_autoscale(client, new_pool):
    """A formula is evaluated only for a pool that scales itself."""
    request = models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=NO_NODES)
    assert refusal(client.evaluate_pool_auto_scale, new_pool(), request) == (409, "AutoScaleNotEnabled")


def test_bad_formula_is_not_enabled(client, new_pool):
    """A formula with an undefined symbol is refused, and the pool stays as it was."""
    name = new_pool()
    steady(client, name)
    request = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula="$something_useless")
    assert refusal(client.enable_pool_auto_scale, name, request)[0] == 400
    assert client.get_pool(name).enable_auto_scale is False


def test_pool_with_bad_formula_is_not_made(client):
    """A pool is not made with a formula that cannot be evaluated."""
    pool = pool_parameters(
        "never",
        target_dedicated_nodes=None,
        enable_auto_scale=True,
        auto_scale_formula="$TargetDedicatedNodes=;",
    )
    assert refusal(client.create_pool, pool)[0] == 400


def test_interval_has_bounds(client, new_pool):
    """Five minutes to a week: 400 InvalidPropertyValue for any other interval."""
    name = new_pool()
    for interval in (timedelta(minutes=4, seconds=59), timedelta(hours=168, seconds=1)):
        request = models.BatchPoolEnableAutoScaleOptions(
            auto_scale_formula=NO_NODES, auto_scale_evaluation_interval=interval
        )
        assert refusal(client.enable_pool_auto_scale, name, request) == (400, "InvalidPropertyValue")


def test_formula_has_a_greatest_length(client, new_pool):
    """A formula of more than 8 KB is refused."""
    request = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=NO_NODES + " " * 8192)
    assert refusal(client.enable_pool_auto_scale, new_pool(), request)[0] == 400


def test_enabling_too_often_is_refused(client, new_pool):
    """Two enable requests for a pool within 30 seconds: 503 TooManyEnableAutoScaleRequests."""
    name = new_pool()
    steady(client, name)
    request = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=NO_NODES)
    client.enable_pool_auto_scale(name, request)
    assert refusal(client.enable_pool_auto_scale, name, request, retry_total=0) == (
        503,
        "TooManyEnableAutoScaleRequests",
    )


def test_scaling_pools_are_found_by_filter(client, scaling_pool, new_pool):
    """Pools can be listed by whether they scale themselves."""
    other = new_pool()
    found = {pool.id for pool in client.list_pools(filter="enableAutoScale eq true", select=["id"])}
    assert scaling_pool in found
    assert other not in found
