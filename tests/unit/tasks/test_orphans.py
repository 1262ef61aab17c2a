"""What counts as left behind."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from tasks.leftovers.orphans import Resource, Rules, extend_to_lease, judge_resource
from tasks.spec.ownership import Ownership
from tasks.watch.lease_formula import Lease, build_formula

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
RULES = Rules(NOW, grace=HOUR, include_kept=False)


def resource(expires_at: datetime | None, delete_when="always", kind="container", **changes) -> Resource:
    return Resource(kind, "r", NOW, Ownership("run-1", expires_at, delete_when), **changes)


FRESH, OLD, ANCIENT = NOW + HOUR, NOW - HOUR, NOW - timedelta(days=2)


@pytest.mark.parametrize(
    ("expires_at", "standing", "is_orphan"),
    [
        (FRESH, "going on", False),
        (OLD, "going on", False),
        (ANCIENT, "going on", True),
        (FRESH, "succeeded", True),
        (FRESH, "failed", True),
        (FRESH, "unknown", False),
        (NOW - HOUR / 2, "unknown", False),
        (OLD, "unknown", True),
        (None, "unknown", False),
        (None, "going on", False),
        (None, "failed", True),
    ],
)
def test_a_run_s_state_counts_and_without_one_the_expiry(expires_at, standing, is_orphan):
    """What ended is swept at once, what is unknown after its grace, what goes on not for a day."""
    assert judge_resource(resource(expires_at), standing, RULES).is_orphan is is_orphan


@pytest.mark.parametrize(
    ("delete_when", "standing", "is_orphan"),
    [
        ("never", "succeeded", False),
        ("never", "failed", False),
        ("on_success", "succeeded", True),
        ("on_success", "failed", False),
        ("on_success", "unknown", False),
    ],
)
def test_a_policy_keeps_what_it_keeps_until_that_is_asked_for_too(delete_when, standing, is_orphan):
    """The sweep does what the run would have done; `include_kept` takes the rest once it has expired."""
    old = resource(OLD, delete_when)
    assert judge_resource(old, standing, RULES).is_orphan is is_orphan
    everything = replace(RULES, include_kept=True)
    assert judge_resource(old, standing, everything).is_orphan
    assert judge_resource(resource(FRESH, delete_when), standing, everything).is_orphan is is_orphan


def test_an_active_job_of_an_unknown_run_keeps_its_containers():
    """While a run's job is active its files are in use, whatever the metadata says."""
    assert not judge_resource(resource(OLD, is_active=True), "unknown", RULES).is_orphan
    assert judge_resource(resource(OLD, is_active=True), "failed", RULES).is_orphan


def test_a_pool_with_a_guest_stays():
    """A pool of a run that has ended isn't taken from another run that uses it."""
    verdict = judge_resource(resource(OLD, kind="pool", has_guests=True), "succeeded", RULES)
    assert (verdict.is_orphan, verdict.reason) == (False, "another job runs on it")


def test_a_pool_expires_no_sooner_than_its_lease():
    """A lease that was renewed counts, also where the metadata still has the old time."""
    owned = Ownership("run-1", OLD, "always")
    formula = build_formula(Lease(1, 0, FRESH, 15))
    assert extend_to_lease(owned, formula).expires_at == FRESH
    assert extend_to_lease(owned, "$TargetDedicatedNodes=1;").expires_at == OLD
    assert extend_to_lease(replace(owned, expires_at=None), None).expires_at is None
