"""What is made of a pool's state while tasks wait for it."""

from datetime import datetime, timedelta, timezone

import pytest

from tasks.watch.health import PoolView, judge_pool

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
QUOTA = (("AccountCoreQuotaReached", "The specified account has reached core quota"),)
TIMED_OUT = (("AllocationTimedOut", "Desired number of dedicated nodes could not be allocated"),)


def view(**changes) -> PoolView:
    usual = {
        "is_deleting": False,
        "is_steady": True,
        "has_autoscale": False,
        "targets": (2, 0),
        "node_count": 2,
        "resized_at": NOW,
    }
    return PoolView(**{**usual, **changes})


@pytest.mark.parametrize(
    "seen",
    [
        view(),
        view(node_count=0, is_steady=False),
        view(node_count=0, has_autoscale=True, targets=(0, 0)),
        view(lost_nodes=1, is_steady=False),
        view(lost_nodes=2, is_steady=False),
        view(resize_errors=QUOTA, resized_at=NOW - timedelta(hours=1)),
    ],
    ids=["idle", "allocating", "scaled to zero", "one lost", "growing", "errors of old"],
)
def test_a_pool_that_may_yet_work_is_waited_for(seen):
    """Neither nodes still coming, nor errors of another time, end a run."""
    assert judge_pool(seen, NOW) == ("well", "")


def test_a_pool_none_of_whose_nodes_can_work_is_lost():
    """When all nodes have failed and no more are coming, waiting is over."""
    verdict, reason = judge_pool(view(lost_nodes=2), NOW)
    assert (verdict, reason) == ("lost", "none of its 2 nodes can run tasks")


def test_a_quota_that_leaves_no_node_is_final_and_says_what_helps():
    """A quota error without any node ends the run, with the remedy."""
    verdict, reason = judge_pool(view(node_count=0, resize_errors=QUOTA), NOW)
    assert verdict == "lost"
    assert "AccountCoreQuotaReached" in reason
    assert "quota of dedicated cores" in reason


def test_a_quota_that_leaves_some_nodes_is_only_told():
    """Fewer nodes than asked for still do the work."""
    verdict, reason = judge_pool(view(node_count=1, resize_errors=QUOTA), NOW)
    assert verdict == "well"
    assert "AccountCoreQuotaReached" in reason


def test_an_allocation_that_timed_out_is_asked_for_again():
    """Passing errors are no reason to give up."""
    verdict, reason = judge_pool(view(node_count=0, resize_errors=TIMED_OUT), NOW)
    assert verdict == "ask again"
    assert "AllocationTimedOut" in reason


@pytest.mark.parametrize("seen", [view(is_deleting=True), view(node_count=0, targets=(0, 0))])
def test_a_pool_that_somebody_took_away_is_lost(seen):
    """A pool that is deleted, or resized to nothing, won't run tasks."""
    assert judge_pool(seen, NOW)[0] == "lost"


def test_a_quota_may_be_given_back_to_a_pool_that_sizes_itself():
    """A formula asks again, and others end; but a quota is no help where something else is wrong as well."""
    verdict, reason = judge_pool(view(node_count=0, has_autoscale=True, resize_errors=QUOTA), NOW)
    assert verdict == "over quota"
    assert "quota of dedicated cores" in reason
    both = (*QUOTA, ("UnsupportedVMSize", "The region has none"))
    assert judge_pool(view(node_count=0, has_autoscale=True, resize_errors=both), NOW)[0] == "lost"


def test_what_passes_is_asked_for_again_of_a_pool_that_sizes_itself():
    """An allocation that timed out needn't wait for the formula's next evaluation."""
    assert judge_pool(view(node_count=0, has_autoscale=True, resize_errors=TIMED_OUT), NOW)[0] == "ask again"


def test_errors_of_old_do_not_count_where_a_formula_asks_again():
    """What a pool that sizes itself could not get before the run came is no reason to give up."""
    old = view(node_count=0, has_autoscale=True, resize_errors=QUOTA, resized_at=NOW - timedelta(hours=1))
    assert judge_pool(old, NOW) == ("well", "")


def test_a_formula_that_cannot_be_evaluated_is_told():
    """A pool that scales itself to nothing because its formula is wrong says so."""
    told = judge_pool(
        view(node_count=0, has_autoscale=True, targets=(0, 0), formula_error="Undefined symbol"), NOW
    )
    assert told == ("well", "Undefined symbol")
