"""What the nodes of a run cost, from their own lives."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import models
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.spec.prices import (
    NodeHours,
    Prices,
    PriceSpec,
    Spent,
    check_max_cost,
    describe_estimate,
    describe_hours,
    find_prices,
    say_amount,
)
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import PoolSpec
from tasks.watch.spending import Spending, Tally

START = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
PRICES = Prices(0.1, 0.02, "EUR")


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def node(name: str, since: float, *, is_dedicated: bool = True, state: str = "running") -> models.BatchNode:
    found = models.BatchNode({"id": name, "state": state, "isDedicated": is_dedicated})
    found.allocation_time = after(since)
    return found


def test_hours_are_those_that_nodes_have_lived_in_the_run():
    """From a node's allocation, but not from before the run, until it is gone; each kind by itself."""
    spending = Spending(START, PRICES)
    spending.update([node("old", -5), node("spot", 0.5, is_dedicated=False)], after(1))
    assert spending.count_hours(after(2)) == NodeHours(2, 1.5)
    spending.update([node("old", -5)], after(2.5))
    assert spending.count_hours(after(4)) == NodeHours(4, 2)
    assert spending.sum_up(after(4)) == Spent(NodeHours(4, 2), pytest.approx(0.44), "EUR")
    assert str(spending.sum_up(after(4))) == "4.00 dedicated and 2.00 Spot node-hours, about 0.4400 EUR"


def test_a_node_that_was_taken_away_is_not_paid_for_until_it_is_back():
    """It keeps its id and the time of its first allocation."""
    spending = Spending(START)
    for state, hour in (("running", 1), ("preempted", 2), ("preempted", 3), ("idle", 5)):
        spending.update([node("spot", 1, is_dedicated=False, state=state)], after(hour))
    assert spending.count_hours(after(6)) == NodeHours(0, 2)


def test_a_node_that_a_clock_ahead_of_ours_has_allocated_counts_from_when_it_is_seen():
    """Its life is never negative, so that a limit holds."""
    spending = Spending(START)
    spending.update([node("a", 1.2)], after(1))
    assert spending.count_hours(after(2)) == NodeHours(1, 0)


def test_the_next_attempt_goes_on_with_what_the_last_one_has_noted():
    """Nodes that are there count on; those that went while nobody watched, until they were seen last."""
    first, noted = Spending(START, PRICES, max_cost=0.5), []
    first.note = noted.append
    first.update([node("gone", 0), node("there", 0)], after(0.5))
    first.note_now(after(1))
    second = Spending(after(3), PRICES, max_cost=0.5)
    second.go_on_with(noted[0])
    assert second.count_hours(after(3)) == second.earlier == NodeHours(2, 0)
    second.update([node("there", 0), node("new", 3)], after(3.5))
    assert second.count_hours(after(4)) == NodeHours(1 + 4 + 1, 0)
    assert str(second.sum_up(after(4))) == (
        "6.00 dedicated node-hours (2.00 dedicated in earlier attempts), about 0.6000 EUR"
    )
    assert second.is_over(after(4))
    assert not second.is_over(after(2))


def test_nodes_of_a_shared_pool_do_not_count_between_attempts():
    """What the earlier attempt has had of them does."""
    noted = Tally(after(1), {True: 0.0, False: 3600.0}, {"shared": (True, START)}).close()
    second = Spending(after(5))
    second.go_on_with(noted)
    second.update([node("shared", 0)], after(5))
    assert second.count_hours(after(6)) == NodeHours(2, 1)


def test_a_tally_is_noted_each_minute_and_closed_at_the_end():
    """What a killed run has noted is a minute old at the most; a run that completes leaves nothing to add."""
    spending, noted = Spending(START), []
    spending.note = noted.append
    spending.update([node("a", 0)], START)
    spending.states = {"idle": 1}
    for seconds in range(0, 130, 10):
        spending.look(None, "pool", {"idle": 1}, START + timedelta(seconds=seconds))
    assert [tally.noted_at for tally in noted] == [START + timedelta(minutes=m) for m in (1, 2)]
    assert noted[-1].is_open
    spending.note_end(after(1))
    assert not noted[-1].is_open


def test_what_has_no_price_is_told_and_the_rest_counts_for_the_limit():
    """A named pool may have nodes of a kind that nobody has given a price for."""
    spending = Spending(START, Prices(0.1, None, "EUR"), max_cost=0.15)
    spending.update([node("a", 0), node("spot", 0, is_dedicated=False)], after(1))
    assert str(spending.sum_up(after(1))) == (
        "1.00 dedicated and 1.00 Spot node-hours, "
        "about 0.1000 EUR without 1.00 Spot, whose price is not known"
    )
    assert not spending.is_over(after(1))
    assert spending.is_over(after(2))
    only_spot = Spending(START, Prices(0.1, None, "EUR"))
    only_spot.update([node("spot", 0, is_dedicated=False)], after(1))
    assert str(only_spot.sum_up(after(1))) == "1.00 Spot node-hours"


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (1234.5, "1,234.50 EUR"),
        (0.5, "0.5000 EUR"),
        (0.012, "0.0120 EUR"),
        (0.0000291, "0.000029 EUR"),
        (0, "0.00 EUR"),
    ],
)
def test_amounts_are_told_with_digits_that_say_something(amount, said):
    """Also of a run that takes seconds."""
    assert say_amount(amount, "EUR") == said


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf")])
def test_what_is_no_price_or_limit_is_refused(price):
    """Neither could be held."""
    with pytest.raises(ValidationError):
        PriceSpec(per_hour=price)
    with pytest.raises(ValidationError):
        RunSpec(inputs="in", command="cat", max_cost=price)


def test_nothing_is_said_of_a_run_that_had_no_nodes():
    """Nor is a limit over that nothing has touched."""
    spending = Spending(START, PRICES, max_cost=0.01)
    assert spending.sum_up(after(1)) is None
    assert not spending.is_over(after(1))


@pytest.mark.parametrize(("hours", "is_over"), [(0.9, False), (1.1, True)])
def test_the_limit_is_one_of_all_nodes(hours, is_over):
    """Two nodes reach it in half of the time of one."""
    spending = Spending(START, PRICES, max_cost=0.2)
    spending.update([node("a", 0), node("b", 0)], after(0.1))
    assert spending.is_over(after(hours)) == is_over


def test_prices_come_from_parameters_or_from_a_table(tmp_path):
    """The size is found whatever its case; a parameter counts more than the table."""
    table = tmp_path / "prices.csv"
    table.write_text("vm_size,per_hour,spot_per_hour\nSTANDARD_D4S_V3,1,\nStandard_D2s_v3,0.5,0.05\n")
    assert find_prices(PriceSpec(), PoolSpec()) is None
    assert find_prices(PriceSpec(table=str(table)), PoolSpec()) == Prices(0.5, 0.05, "USD")
    assert find_prices(PriceSpec(table=str(table), per_hour=2), PoolSpec()) == Prices(2, 0.05, "USD")
    only = find_prices(PriceSpec(table=str(table)), PoolSpec(vm_size="standard_d4s_v3"))
    assert only == Prices(1, None, "USD")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vm_size,per_hour\nother,1\n", "no line for STANDARD_D2S_V3"),
        ("size,price\na,1\n", "has to be vm_size,per_hour,spot_per_hour"),
        ("vm_size,per_hour\nSTANDARD_D2S_V3,cheap\n", "'cheap' in .* is no price"),
        ("vm_size,per_hour\nSTANDARD_D2S_V3,-1\n", "'-1' in .* is no price"),
        ("vm_size,per_hour\nSTANDARD_D2S_V3,nan\n", "'nan' in .* is no price"),
        (None, "can't be read"),
    ],
)
def test_a_table_that_says_no_price_is_refused(tmp_path, text, said):
    """The message has the file, and what is wrong with it."""
    table = tmp_path / "prices.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(InputError, match=said):
        find_prices(PriceSpec(table=str(table)), PoolSpec())


@pytest.mark.parametrize(
    ("prices", "pool", "missing"),
    [
        (None, PoolSpec(), r"prices\.per_hour"),
        (None, PoolSpec(dedicated_nodes=0, low_priority_nodes=1), r"prices\.spot_per_hour"),
        (Prices(0.1, None, "USD"), PoolSpec(low_priority_nodes=1), r"prices\.spot_per_hour"),
        (Prices(None, 0.1, "USD"), PoolSpec(), r"prices\.per_hour"),
    ],
)
def test_a_limit_that_cannot_be_held_is_refused(prices, pool, missing):
    """It needs the price of each kind of node that the pool is to have."""
    with pytest.raises(InputError, match=missing):
        check_max_cost(1.0, prices, pool, PriceSpec())
    with pytest.raises(InputError, match=f"the public list has not told it: give {missing}, or prices.table"):
        check_max_cost(1.0, prices, pool, PriceSpec(public=True))
    check_max_cost(None, prices, pool, PriceSpec())


def test_the_estimate_is_what_all_nodes_cost_for_the_whole_time():
    """Nothing is estimated without the price of each kind."""
    pool = PoolSpec(dedicated_nodes=20, low_priority_nodes=50)
    assert describe_estimate(PRICES, pool, 7200) == (
        "at most 3.00 EUR an hour, 6.00 EUR within the time limit of the run"
    )
    assert describe_estimate(Prices(0.1, None, "EUR"), pool, 7200) is None


def test_node_hours_are_estimated_by_what_such_files_have_taken():
    """At the most all nodes for the whole time; no more than the work, where that is known."""
    pool = PoolSpec(dedicated_nodes=4, task_slots_per_node=2)
    assert describe_hours(pool, 7200) == "at most 8 node-hours within the time limit of the run"
    assert describe_hours(pool, 7200, files=3600, seconds_each=4, files_per_node=2).endswith(
        "; about 2, and the nodes' start and idle time, as such a file has taken 4 s so far"
    )


@pytest.mark.parametrize(
    ("required_slots", "files_per_task", "files_per_node"),
    [(1, 1, 8), (3, 1, 2), (3, 10, 6), (3, "auto", 6), (8, 1, 1), (8, 10, 8)],
)
def test_a_node_works_on_as_many_files_as_its_tasks_have_room(required_slots, files_per_task, files_per_node):
    """A wide task of one file takes a node's slots from others; of several it runs one in each slot."""
    spec = RunSpec(
        inputs="in",
        command="cat {input}",
        pool=PoolSpec(vm_size="Standard_D8s_v3", task_slots_per_node="cores"),
        task={"overrides": {"requiredSlots": required_slots}},
        files_per_task=files_per_task,
    )
    assert spec.files_per_node == files_per_node


def test_both_kinds_are_estimated_where_the_one_stands_in_for_the_other():
    """For a while both are there: Spot nodes again, and dedicated ones that finish what they run."""
    pool = PoolSpec(dedicated_nodes=2, low_priority_nodes=5, node_order="spot_or_dedicated")
    assert describe_estimate(Prices(1, 0.1, "EUR"), pool, 3600) == (
        "at most 2.50 EUR an hour, 2.50 EUR within the time limit of the run"
    )
    assert describe_hours(pool, 3600).startswith("at most 7 node-hours")
