"""The formula of a lease: written, read back, and evaluated at any time."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_emulator.autoscale import Samples, evaluate
from tasks.watch.lease_formula import Lease, build_formula, merge_leases, read_formula

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
LEASE = Lease(dedicated_nodes=3, low_priority_nodes=2, ends_at=NOW + timedelta(hours=1), idle_minutes=15)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(timezone.utc))
counts = st.integers(0, 1000)
leases = st.builds(Lease, counts, counts, moments.map(lambda at: at.replace(microsecond=0)), counts)


def targets(lease: Lease, now: datetime, pending: list[float], every_seconds: int = 30) -> tuple[int, int]:
    """The nodes that the formula asks for, when the service has seen these numbers of tasks, newest last."""
    samples = Samples()
    for age, count in reversed(list(enumerate(reversed(pending)))):
        samples.record("$PendingTasks", now - timedelta(seconds=age * every_seconds), count)
    size = {"$TargetDedicatedNodes": 9, "$TargetLowPriorityNodes": 9, "$NodeDeallocationOption": "requeue"}
    found = evaluate(build_formula(lease), now=now, samples=samples, current=size)
    assert found.node_deallocation_option == "requeue"
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


def test_a_new_pool_has_its_nodes():
    """Before there is any sample the nodes are held: tasks are still to come."""
    assert targets(LEASE, NOW, []) == (3, 2)


def test_a_pool_with_tasks_holds_its_nodes():
    """A task within the idle time keeps the nodes, also one that has ended since."""
    assert targets(LEASE, NOW, [0] * 25 + [1] + [0] * 5) == (3, 2)


def test_a_pool_without_tasks_gives_its_nodes_back():
    """After the idle time nothing is left, though the lease lasts."""
    assert targets(LEASE, NOW, [0] * 31) == (0, 0)
    assert targets(LEASE, NOW, [7] * 20 + [0] * 31) == (0, 0)


def test_a_pool_that_is_young_is_not_idle():
    """Too few samples say nothing yet."""
    assert targets(LEASE, NOW, [0] * 15) == (3, 2)


def test_at_the_end_of_the_lease_no_node_is_left():
    """Whatever waits, from that second on there are no nodes."""
    assert targets(LEASE, LEASE.ends_at - timedelta(seconds=1), [5] * 31) == (3, 2)
    assert targets(LEASE, LEASE.ends_at, [5] * 31) == (0, 0)


def test_two_runs_share_what_the_one_needs_more():
    """While a lease lasts, a second run adds to it and takes nothing away."""
    second = Lease(1, 5, NOW + timedelta(minutes=30), 60)
    assert merge_leases(LEASE, second, NOW) == Lease(3, 5, LEASE.ends_at, 60)


def test_of_a_lease_that_is_over_nothing_remains():
    """A later run on a kept pool gets what it asked for and no more."""
    over = replace(LEASE, ends_at=NOW)
    second = Lease(1, 0, NOW + timedelta(minutes=30), 5)
    assert merge_leases(over, second, NOW) == second
