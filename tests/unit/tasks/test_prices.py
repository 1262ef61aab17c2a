"""What nodes cost an hour, and what a run may come to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.spec.prices import (
    Prices,
    PriceSpec,
    check_max_cost,
    describe_estimate,
    describe_hours,
    find_prices,
    say_amount,
)
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import PoolSpec

PRICES = Prices(0.1, 0.02, "EUR")


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
