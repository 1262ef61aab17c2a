"""The formula of a lease: written, read back, and evaluated at any time."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_emulator.autoscale import Samples, evaluate
from tasks.spec.specs import PoolSpec
from tasks.watch.lease_formula import (
    CALL,
    Lease,
    build_formula,
    build_lease,
    call_nodes,
    covers,
    merge_leases,
    read_formula,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
LEASE = Lease(dedicated_nodes=3, low_priority_nodes=2, ends_at=NOW + timedelta(hours=1), idle_minutes=5)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(timezone.utc)).map(
    lambda at: at.replace(microsecond=0)
)
counts = st.integers(0, 1000)
orders = st.sampled_from(["dedicated_first", "spot_first", "spot_or_dedicated"])
leases = st.builds(
    Lease, counts, counts, moments, counts, st.integers(1, 256), counts, orders, counts, called_until=moments
)


def targets(
    lease: Lease,
    now: datetime,
    pending: list[float],
    size: tuple[int, int] = (0, 0),
    spot_there: int = 0,
    preempted: int = 0,
    late: int = 0,
) -> tuple[int, int]:
    """The nodes that the formula asks for, when the service has seen these numbers of tasks each half minute,
    newest last, of which the latest aren't there yet, the pool is to have that size, and has so many Spot
    nodes."""
    samples = Samples()
    for age, count in enumerate(reversed(pending)):
        if age >= late:
            samples.record("$PendingTasks", now - timedelta(seconds=30 * age), count)
    samples.record("$PreemptedNodeCount", now, preempted)
    current = {"$TargetDedicatedNodes": size[0], "$TargetLowPriorityNodes": size[1]}
    current |= {"$NodeDeallocationOption": "requeue", "$CurrentLowPriorityNodes": spot_there}
    found = evaluate(build_formula(lease), now=now, samples=samples, current=current)
    assert found.node_deallocation_option == "taskcompletion"
    return found.target_dedicated_nodes, found.target_low_priority_nodes


@given(leases)
def test_a_lease_is_read_back_from_its_formula(lease):
    """Whoever finds the pool finds the whole lease."""
    assert read_formula(build_formula(lease)) == lease


@pytest.mark.parametrize(
    "formula",
    [None, "", "$TargetDedicatedNodes=3;", build_formula(LEASE) + "$TargetDedicatedNodes=9;"],
    ids=["none", "empty", "other", "changed"],
)
def test_a_formula_of_others_is_no_lease(formula):
    """What somebody else wrote, or changed, isn't taken for ours."""
    assert read_formula(formula) is None


def test_a_new_pool_has_the_nodes_that_a_run_has_called():
    """Before there is any sample the run's word counts, and no longer than ten minutes."""
    called = call_nodes(LEASE, 4, NOW)
    assert targets(called, NOW, []) == (3, 1)
    assert targets(called, NOW + timedelta(minutes=9), [0] * 18) == (3, 1)
    assert targets(called, NOW + timedelta(minutes=10), [0] * 20, size=(3, 1)) == (0, 0)
    assert targets(call_nodes(LEASE, 99, NOW), NOW, []) == (3, 2)


@pytest.mark.parametrize(("tasks", "nodes"), [(0, 0), (1, 1), (4, 1), (5, 2), (12, 3), (17, 5), (10_000, 5)])
def test_the_nodes_are_those_that_the_tasks_need(tasks, nodes):
    """One for each started node full, never more than the pool may have; and so the run counts them too."""
    lease = replace(LEASE, tasks_per_node=4)
    assert sum(targets(lease, NOW, [tasks] * 10)) == nodes == lease.count_needed(tasks)


def test_nodes_go_when_they_were_not_needed_for_the_idle_time():
    """The most tasks of that time count; whatever went before does not."""
    assert targets(LEASE, NOW, [7] + [1] * 9, size=(3, 2)) == (3, 2)
    assert targets(LEASE, NOW, [7] * 9 + [1] * 10, size=(3, 2)) == (1, 0)
    assert targets(LEASE, NOW, [7] * 9 + [0] * 10, size=(3, 2)) == (0, 0)


def test_too_few_samples_take_no_node_away():
    """They may still bring some."""
    assert targets(LEASE, NOW, [0] * 4, size=(2, 1)) == (3, 0)
    assert targets(LEASE, NOW, [5] * 4, size=(1, 0)) == (3, 2)
    assert targets(LEASE, NOW, [0] * 5, size=(2, 1)) == (0, 0)


def test_the_last_minute_of_samples_need_not_be_there():
    """They take as long to get to a formula, and are not what nodes are kept or given back by."""
    assert targets(LEASE, NOW, [7] * 9 + [0] * 9, size=(3, 2), late=2) == (3, 2)
    assert targets(LEASE, NOW, [7] * 9 + [0] * 10, size=(3, 2), late=2) == (0, 0)
    assert targets(LEASE, NOW, [4] * 10, late=2) == (3, 1)


@pytest.mark.parametrize("order", ["dedicated_first", "spot_first", "spot_or_dedicated"])
@pytest.mark.parametrize("size", [(0, 0), (1, 2)])
def test_without_a_sample_no_evaluation_fails_and_no_node_goes(order, size):
    """They are asked for only where there are some: GetSample may fail without."""
    lease = replace(LEASE, node_order=order)
    strict = re.sub(r"GetSample\(([^()]+)\)", r"GetSample(\1, 1)", build_formula(lease))
    assert strict.count(", 1)") >= 1
    current = {"$TargetDedicatedNodes": size[0], "$TargetLowPriorityNodes": size[1]}
    current |= {"$NodeDeallocationOption": "requeue", "$CurrentLowPriorityNodes": min(1, size[1])}
    found = evaluate(strict, now=NOW, samples=Samples(), current=current)
    assert found.target_dedicated_nodes + found.target_low_priority_nodes == sum(size)


@pytest.mark.parametrize(
    ("dedicated", "spot", "order", "wanted"),
    [
        (4, 0, "spot_first", (3, 0)),
        (0, 4, "dedicated_first", (0, 3)),
        (2, 0, "dedicated_first", (2, 0)),
        (0, 2, "spot_first", (0, 2)),
    ],
)
def test_a_pool_of_one_kind_grows_by_that_kind(dedicated, spot, order, wanted):
    """From no node at all, whichever comes first."""
    lease = Lease(dedicated, spot, LEASE.ends_at, 5, node_order=order)
    assert targets(lease, NOW, [3] * 10) == wanted


def test_a_pool_that_may_have_idle_nodes_has_them_all_for_one_task():
    """And none without a task."""
    spec = PoolSpec(dedicated_nodes=3, low_priority_nodes=2, allow_idle_nodes=True)
    lease = build_lease(spec, LEASE.ends_at)
    assert targets(lease, NOW, [1] * 10) == (3, 2)
    assert targets(lease, NOW, [0] * 10, size=(3, 2)) == (0, 0)


def test_at_the_end_of_the_lease_no_node_is_left():
    """Whatever waits, or was called, from that second on there are no nodes."""
    called = call_nodes(LEASE, 5, LEASE.ends_at)
    assert targets(called, LEASE.ends_at - timedelta(seconds=1), [5] * 10) == (3, 2)
    assert targets(called, LEASE.ends_at, [5] * 10, size=(3, 2)) == (0, 0)


@pytest.mark.parametrize(
    ("order", "tasks", "wanted"),
    [
        ("dedicated_first", 1, (1, 0)),
        ("dedicated_first", 4, (3, 1)),
        ("spot_first", 1, (0, 1)),
        ("spot_first", 4, (2, 2)),
        ("spot_first", 9, (3, 2)),
    ],
)
def test_which_nodes_come_first_is_said(order, tasks, wanted):
    """Of fewer than all, those of the first kind."""
    assert targets(replace(LEASE, node_order=order), NOW, [tasks] * 10) == wanted


@pytest.mark.parametrize(
    ("asked", "there", "preempted", "wanted"),
    [
        (0, 0, 0, (0, 8)),  # asked for just now
        (8, 0, 0, (5, 8)),  # not to be had: as many dedicated ones as there may be
        (8, 6, 0, (2, 8)),
        (8, 8, 3, (3, 8)),  # taken away
        (8, 8, 0, (0, 8)),  # there again: the dedicated ones go
        (2, 2, 0, (0, 8)),  # the queue has grown
    ],
)
def test_dedicated_nodes_stand_in_for_spot_nodes(asked, there, preempted, wanted):
    """Those that were asked for at the last evaluation and are not there, which are still asked for."""
    lease = Lease(5, 8, LEASE.ends_at, 5, node_order="spot_or_dedicated")
    assert lease.most_nodes == 8
    assert targets(lease, NOW, [50] * 10, (0, asked), there, preempted) == wanted


def test_what_tasks_require_of_a_node_counts():
    """Tasks of two slots need twice the nodes."""
    spec = PoolSpec(vm_size="Standard_D4s_v3", task_slots_per_node="cores", dedicated_nodes=9)
    assert build_lease(spec, NOW).count_needed(8) == 2
    assert build_lease(spec, NOW, required_slots=2).count_needed(8) == 4
    assert build_lease(spec, NOW, required_slots=9).count_needed(8) == 8


def test_two_runs_share_what_the_one_needs_more():
    """While a lease lasts, a second run adds to it and takes nothing away."""
    second = Lease(1, 5, NOW + timedelta(minutes=30), 60)
    assert merge_leases(LEASE, second, NOW) == Lease(3, 5, LEASE.ends_at, 60)
    wider = replace(second, tasks_per_node=4, busy_nodes=2)
    assert merge_leases(LEASE, wider, NOW) == Lease(3, 5, LEASE.ends_at, 60, 1, 2)


def test_calls_add_up_to_the_larger_and_are_forgotten_when_over():
    """A run that renews a lease without a call leaves that of another as it is."""
    called = call_nodes(LEASE, 3, NOW)
    assert merge_leases(called, LEASE, NOW) == called
    assert covers(called, LEASE, NOW)
    later = NOW + timedelta(minutes=5)
    both = merge_leases(called, call_nodes(LEASE, 2, later), later)
    assert (both.called_nodes, both.called_until) == (3, later + CALL)
    alone = merge_leases(called, call_nodes(LEASE, 2, NOW + CALL), NOW + CALL)
    assert alone.called_nodes == 2


def test_of_a_lease_that_is_over_nothing_remains():
    """A later run on a kept pool gets what it asked for and no more."""
    over = replace(LEASE, ends_at=NOW)
    second = Lease(1, 0, NOW + timedelta(minutes=30), 5)
    assert merge_leases(over, second, NOW) == second
