"""What the nodes of a run cost, from their own lives."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore
from prefect.serializers import JSONSerializer

from tasks.reuse.tallies import read_tally, write_tally
from tasks.spec.prices import (
    NodeHours,
    Prices,
)
from tasks.spec.spent import SizeSpent, Spent
from tasks.watch.spending import Spending, Tally

START = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
PRICES = Prices(0.1, 0.02, "EUR")


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def node(name: str, since: float, *, is_dedicated: bool = True, state: str = "running") -> dict[str, Any]:
    allocated_at = after(since).isoformat().replace("+00:00", "Z")
    return {"id": name, "state": state, "isDedicated": is_dedicated, "allocationTime": allocated_at}


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


@pytest.mark.parametrize(
    ("currency", "all_cost"), [("EUR", "0.7000 EUR"), ("USD", "0.2000 USD without 5.00")]
)
def test_an_attempt_with_another_vm_size_counts_by_its_own_price(currency, all_cost):
    """What nodes of the former size have cost by then comes to it, if that is in the same currency."""
    first, noted = Spending(START, PRICES, vm_size="STANDARD_D2S_V3"), []
    first.note = noted.append
    first.update([node("a", 0)], after(1))
    first.note_now(after(5))
    second = Spending(after(6), Prices(0.2, None, currency), max_cost=0.6, vm_size="STANDARD_F4S_V2")
    second.go_on_with(noted[0])
    second.update([node("b", 6)], after(6))
    said = str(second.sum_up(after(7)))
    assert said.startswith(
        "1.00 dedicated node-hours of STANDARD_F4S_V2 "
        f"and 5.00 dedicated of STANDARD_D2S_V3 in earlier attempts, about {all_cost}"
    )
    assert second.sum_up(after(7)).brief().startswith("6.00 dedicated node-hours, ")
    assert second.is_over(after(7)) == (currency == "EUR")
    second.note = noted.append
    second.note_now(after(7))
    third = Spending(after(8), vm_size="standard_f4s_v2")
    third.go_on_with(noted[-1])
    assert str(third.sum_up(after(8))).startswith("1.00 dedicated node-hours of standard_f4s_v2 (1.00 ded")
    assert [one.vm_size for one in third.others] == ["STANDARD_D2S_V3"]


def test_an_attempt_that_saw_no_node_hands_on_what_it_was_told():
    """As one that is refused: what was seen last stays so long ago, however often somebody tries again."""
    tally, noted = Tally(after(1), {True: 0.0, False: 0.0}, {"a": (True, START)}), []
    for hour in (5, 9):
        attempt = Spending(after(hour), note=noted.append)
        attempt.go_on_with(tally)
        assert attempt.count_hours(after(hour)) == NodeHours(1, 0)
        attempt.note_now(after(hour))
        tally = noted[-1]
        assert tally.noted_at == after(1)


def test_a_tally_is_read_as_it_was_written(monkeypatch, tmp_path):
    """By run and account: another account's run of that key is another run."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "local")
    store = ResultStore(
        result_storage=LocalFileSystem(basepath=str(tmp_path)),
        serializer=JSONSerializer(),
        cache_result_in_memory=False,
        lock_manager=None,
    )
    monkeypatch.setattr("tasks.reuse.tallies.find_result_store", lambda: store)
    key, other = "a-key", SizeSpent("STANDARD_F4S_V2", NodeHours(1, 2), None)
    tally = Tally(after(1), {True: 1.5, False: 0.0}, {"a": (False, START)}, "size", 0.5, "EUR", (other,))
    write_tally(key, tally)
    assert read_tally(key) == tally
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "http://127.0.0.1:2")
    assert read_tally(key) is None
    (tmp_path / next(tmp_path.iterdir()).name).write_text("nonsense")
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "http://127.0.0.1:1")
    assert read_tally(key) is None


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
    for seconds in range(0, 130, 10):
        spending.note_in_time(START + timedelta(seconds=seconds))
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


def test_nodes_are_listed_when_their_states_change_and_each_minute():
    """One that went and one that came in between leave the same states behind; where there is none, none is
    listed."""
    spending, idle = Spending(START), {"idle": 1}
    assert spending.is_news(idle, START)
    spending.states, spending.listed_at = idle, START
    assert not spending.is_news(idle, START + timedelta(seconds=50))
    assert spending.is_news({"running": 1}, START + timedelta(seconds=50))
    assert spending.is_news(None, START + timedelta(seconds=50))
    assert spending.is_news(idle, START + timedelta(seconds=60))
    spending.states = {}
    assert not spending.is_news({}, after(1))


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


def test_nodes_that_could_not_be_listed_are_listed_at_the_next_look():
    """Also where there are none by then: who looked in vain knows no more than before."""

    class Nodes:
        is_away = True

        def send_request(self, _request):
            if self.is_away:
                raise OSError("the service is away")
            return SimpleNamespace(status_code=200, content=b'{"value": []}')

    client, spending = Nodes(), Spending(START)
    spending.update([node("a", 0)], START)
    spending.states = {"running": 1}
    with pytest.raises(OSError, match="away"):
        spending.look(client, "pool", {}, after(1))  # pyright: ignore[reportArgumentType]
    client.is_away = False
    spending.look(client, "pool", {}, after(2))  # pyright: ignore[reportArgumentType]
    assert spending.count_hours(after(5)) == NodeHours(2, 0)
