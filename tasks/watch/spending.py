"""What a run's nodes cost so far: the hours that they have lived, from their own allocation times."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceNotFoundError

from tasks.azure.plain_batch import Pages
from tasks.spec.prices import SECONDS_PER_HOUR, NodeHours, Prices
from tasks.spec.spent import SizeSpent, Spent
from tasks.spec.times import find_time

# Nodes that are in the pool, and no machines any more.
UNPAID = (models.BatchNodeState.PREEMPTED, models.BatchNodeState.DEALLOCATED)
NODE_SELECT = "id,state,isDedicated,allocationTime"
LISTED_EVERY = timedelta(minutes=1)
# What a run that is killed has last noted is no older.
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Tally:
    """What an attempt of a run knows of its nodes, for the next."""

    noted_at: datetime
    ended_seconds: Mapping[bool, float]
    """The lives of those that are gone, dedicated and Spot."""

    alive: Mapping[str, tuple[bool, datetime]]
    """Of the others whether they are dedicated, and since when they count."""

    vm_size: str = ""
    """What size all these are, and what they had cost by then, in which currency, if that was known."""

    cost: float | None = None
    currency: str = ""
    others: tuple[SizeSpent, ...] = ()
    """Nodes of other sizes, of attempts before."""

    @property
    def is_open(self) -> bool:
        """Whether there is something to carry on; nothing is of a run that has completed."""
        return bool(self.alive or any(self.ended_seconds.values()) or self.others)

    def close(self) -> "Tally":
        """Without those that live: what they do from then on is not the run's."""
        ended_seconds = _end_all(self.ended_seconds, self.alive, self.noted_at)
        return replace(self, ended_seconds=ended_seconds, alive={})

    def set_apart(self, currency: str) -> tuple[SizeSpent, ...]:
        """All of it as what an attempt with another size takes over, whose prices are in that currency."""
        hours = _as_hours(_end_all(self.ended_seconds, self.alive, self.noted_at))
        one = SizeSpent(self.vm_size, hours, self.cost if self.currency == currency else None)
        return (*self.others, one) if hours.total else self.others


@dataclass
class Spending:
    """The lives of the nodes that a run has had, of a pool that others use too since the run began.

    Nodes are listed when their number or states have changed, and each minute, and not at every look.
    """

    since: datetime
    """When nodes begin to count. Hours before it are of those who had the nodes then."""

    prices: Prices | None = None
    max_cost: float | None = None
    vm_size: str = ""
    note: Callable[[Tally], None] | None = field(default=None, repr=False)
    """Keeps a tally for the next attempt."""

    alive: dict[str, tuple[bool, datetime]] = field(default_factory=dict)
    """Whether a node is dedicated, and since when it counts."""

    ended_seconds: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    """The lives of those that are gone or were taken away, dedicated and Spot."""

    known: set[str] = field(default_factory=set)
    states: Mapping[str, int] | None = None
    listed_at: datetime | None = None
    is_ending: bool = False
    """Whether no more tasks begin, as the nodes have cost as much as they may."""

    is_told_half: bool = False

    earlier: NodeHours = field(default_factory=NodeHours)
    """The hours in earlier attempts."""

    others: tuple[SizeSpent, ...] = ()
    """What nodes of other sizes had come to in those."""

    unwatched_since: datetime | None = None
    """When an earlier attempt saw its nodes last: those that are gone meanwhile count until then."""

    noted_at: datetime | None = None
    is_noted: bool = False

    def go_on_with(self, tally: Tally) -> None:
        """Count what earlier attempts have had."""
        if tally.vm_size.casefold() != self.vm_size.casefold():
            self.others = tally.set_apart(self.prices.currency if self.prices else "")
            return
        self.others = tally.others
        self.ended_seconds, self.alive = dict(tally.ended_seconds), dict(tally.alive)
        self.known, self.unwatched_since = set(tally.alive), tally.noted_at
        self.earlier = self.count_hours(tally.noted_at)

    def look(
        self, client: BatchClient, pool_id: str, states: Mapping[str, int] | None, now: datetime
    ) -> None:
        """See which nodes there are, if that may have changed. `states` are how many are in which; None: not
        known."""
        if self.is_news(states, now):
            try:
                self.update(_list_nodes(client, pool_id), now)
            except ResourceNotFoundError:
                self.update([], now)
            # Not before they were listed: that may fail, and the next look would find no news.
            self.states, self.listed_at = states, now
            self.note_in_time(now)

    def is_news(self, states: Mapping[str, int] | None, now: datetime) -> bool:
        """Whether nodes are to be listed: their states are others than at the last look, or one that went and
        one that came may look like none."""
        is_late = self.listed_at is None or now - self.listed_at >= LISTED_EVERY
        return states is None or states != self.states or (is_late and bool(states))

    def note_in_time(self, now: datetime) -> None:
        """Note what is known, if a while has gone since."""
        self.noted_at = self.noted_at or now
        if now - self.noted_at >= NOTED_EVERY:
            self.note_now(now)

    def update(self, nodes: Iterable[Mapping[str, Any]], now: datetime) -> None:
        """Take over which nodes there are now, each as the service tells of it."""
        here = {node["id"]: node for node in nodes if node.get("state") not in UNPAID}
        gone = {node_id: self.alive.pop(node_id) for node_id in self.alive.keys() - here.keys()}
        self.ended_seconds = _end_all(self.ended_seconds, gone, self.unwatched_since or now)
        self.unwatched_since = None
        for node_id, node in here.items():
            if node_id not in self.alive:
                # A node that was taken away keeps the time of its first allocation. The service's clock may
                # be ahead of ours.
                allocated_at = find_time(node.get("allocationTime")) or now
                counts_from = now if node_id in self.known else max(allocated_at, self.since)
                self.alive[node_id] = bool(node.get("isDedicated")), min(counts_from, now)
                self.known.add(node_id)

    def note_now(self, now: datetime) -> None:
        """Note what is known now, for the next attempt; by who has seen no node, what was known."""
        now = self.unwatched_since or now
        tally = Tally(now, dict(self.ended_seconds), dict(self.alive), self.vm_size, others=self.others)
        if self.prices is not None:
            cost = self.prices.cost_of_known(self.count_hours(now))
            tally = replace(tally, cost=cost, currency=self.prices.currency)
        self._note(tally)

    def note_end(self, now: datetime) -> None:
        """Note that there is nothing to carry on."""
        self._note(Tally(now, {True: 0.0, False: 0.0}, {}))

    def _note(self, tally: Tally) -> None:
        if self.note is not None and (self.known or self.earlier.total or self.others):
            self.note(tally)
            self.noted_at, self.is_noted = tally.noted_at, True

    def count_hours(self, now: datetime) -> NodeHours:
        """The hours of all nodes until now."""
        return _as_hours(_end_all(self.ended_seconds, self.alive, self.unwatched_since or now))

    def is_over(self, now: datetime, part: float = 1.0) -> bool:
        """Whether the nodes, those whose price is known, have cost more than they may, or a part of it."""
        spent = self.sum_up(now) if self.max_cost is not None else None
        return spent is not None and (spent.cost or 0.0) > part * (self.max_cost or 0.0)

    def sum_up(self, now: datetime) -> Spent | None:
        """The hours, and what they cost as far as that is known; None if no node was ever seen."""
        hours = self.count_hours(now)
        if not self.known and not hours.total and not self.others:
            return None
        spent = Spent(hours, earlier=self.earlier, vm_size=self.vm_size, others=self.others)
        if self.prices is None:
            return spent
        unpriced = self.prices.leave_unpriced(hours)
        known = [one.cost for one in self.others if one.cost is not None]
        if unpriced != hours or not hours.total:
            known.append(self.prices.cost_of_known(hours))
        cost = sum(known) if known else None
        return replace(spent, cost=cost, currency=self.prices.currency, unpriced=unpriced)


def _list_nodes(client: BatchClient, pool_id: str) -> Iterator[Mapping[str, Any]]:
    """Those of the pool. Models of the client take 25 times as long, a millisecond for each 20 nodes."""
    for page in Pages(f"/pools/{pool_id}/nodes", {"$select": NODE_SELECT}).read(client):
        yield from page


def _as_hours(seconds: Mapping[bool, float]) -> NodeHours:
    return NodeHours(seconds[True] / SECONDS_PER_HOUR, seconds[False] / SECONDS_PER_HOUR)


def _end_all(
    ended_seconds: Mapping[bool, float], alive: Mapping[str, tuple[bool, datetime]], at: datetime
) -> dict[bool, float]:
    """The seconds of nodes that are gone, and of those that live until then."""
    seconds = dict(ended_seconds)
    for is_dedicated, began in alive.values():
        seconds[is_dedicated] += max(0.0, (at - began).total_seconds())
    return seconds
