"""What a run's nodes cost so far: the hours that they have lived, from their own allocation times."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceNotFoundError

from tasks.spec.prices import SECONDS_PER_HOUR, NodeHours, Prices, Spent

NODE_SELECT = ["id", "state", "isDedicated", "allocationTime"]
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

    @property
    def is_open(self) -> bool:
        """Whether there is something to carry on; nothing is of a run that has completed."""
        return bool(self.alive or any(self.ended_seconds.values()))

    def close(self) -> "Tally":
        """Without those that live: what they do from then on is not the run's."""
        return Tally(self.noted_at, _end_all(self.ended_seconds, self.alive, self.noted_at), {})


@dataclass
class Spending:
    """The lives of the nodes that a run has had, of a pool that others use too since the run began.

    Nodes are listed when their number or states have changed, and not at every look.
    """

    since: datetime
    """When nodes begin to count. Hours before it are of those who had the nodes then."""

    prices: Prices | None = None
    max_cost: float | None = None
    note: Callable[[Tally], None] | None = field(default=None, repr=False)
    """Keeps a tally for the next attempt."""

    alive: dict[str, tuple[bool, datetime]] = field(default_factory=dict)
    """Whether a node is dedicated, and since when it counts."""

    ended_seconds: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    """The lives of those that are gone or were taken away, dedicated and Spot."""

    known: set[str] = field(default_factory=set)
    states: Mapping[str, int] | None = None
    is_ending: bool = False
    """Whether no more tasks begin, as the nodes have cost as much as they may."""

    earlier: NodeHours = field(default_factory=NodeHours)
    """The hours in earlier attempts."""

    unwatched_since: datetime | None = None
    """When an earlier attempt saw its nodes last: those that are gone meanwhile count until then."""

    noted_at: datetime | None = None
    is_noted: bool = False

    def go_on_with(self, tally: Tally) -> None:
        """Count what earlier attempts have had."""
        self.ended_seconds, self.alive = dict(tally.ended_seconds), dict(tally.alive)
        self.known, self.unwatched_since = set(tally.alive), tally.noted_at
        self.earlier = self.count_hours(tally.noted_at)

    def look(
        self, client: BatchClient, pool_id: str, states: Mapping[str, int] | None, now: datetime
    ) -> None:
        """See which nodes there are, if their states are others than at the last look; None: not known."""
        if states is None or states != self.states:
            self.states = states
            try:
                self.update(client.list_nodes(pool_id, select=NODE_SELECT), now)
            except ResourceNotFoundError:
                self.update([], now)
        self.noted_at = self.noted_at or now
        if now - self.noted_at >= NOTED_EVERY:
            self.note_now(now)

    def update(self, nodes: Iterable[models.BatchNode], now: datetime) -> None:
        """Take over which nodes there are now."""
        here = {node.id: node for node in nodes if node.state != models.BatchNodeState.PREEMPTED}
        gone = {node_id: self.alive.pop(node_id) for node_id in self.alive.keys() - here.keys()}
        self.ended_seconds = _end_all(self.ended_seconds, gone, self.unwatched_since or now)
        self.unwatched_since = None
        for node_id, node in here.items():
            if node_id not in self.alive:
                # A node that was taken away keeps the time of its first allocation. The service's clock may
                # be ahead of ours.
                allocated_at = now if node_id in self.known else max(node.allocation_time or now, self.since)
                self.alive[node_id] = bool(node.is_dedicated), min(allocated_at, now)
                self.known.add(node_id)

    def note_now(self, now: datetime) -> None:
        """Note what is known now, for the next attempt."""
        self._note(Tally(now, dict(self.ended_seconds), dict(self.alive)))

    def note_end(self, now: datetime) -> None:
        """Note that there is nothing to carry on."""
        self._note(Tally(now, {True: 0.0, False: 0.0}, {}))

    def _note(self, tally: Tally) -> None:
        if self.note is not None and (self.known or self.earlier.total):
            self.note(tally)
            self.noted_at, self.is_noted = tally.noted_at, True

    def count_hours(self, now: datetime) -> NodeHours:
        """The hours of all nodes until now."""
        seconds = _end_all(self.ended_seconds, self.alive, self.unwatched_since or now)
        return NodeHours(seconds[True] / SECONDS_PER_HOUR, seconds[False] / SECONDS_PER_HOUR)

    def is_over(self, now: datetime) -> bool:
        """Whether the nodes, those whose price is known, have cost more than they may."""
        if self.max_cost is None or self.prices is None:
            return False
        return self.prices.cost_of_known(self.count_hours(now)) > self.max_cost

    def sum_up(self, now: datetime) -> Spent | None:
        """The hours, and what they cost as far as that is known; None if no node was ever seen."""
        hours = self.count_hours(now)
        if not self.known and not hours.total:
            return None
        if self.prices is None:
            return Spent(hours, earlier=self.earlier)
        unpriced = self.prices.leave_unpriced(hours)
        cost = None if unpriced == hours and hours.total else self.prices.cost_of_known(hours)
        return Spent(hours, cost, self.prices.currency, unpriced, self.earlier)


def _end_all(
    ended_seconds: Mapping[bool, float], alive: Mapping[str, tuple[bool, datetime]], at: datetime
) -> dict[bool, float]:
    """The seconds of nodes that are gone, and of those that live until then."""
    seconds = dict(ended_seconds)
    for is_dedicated, began in alive.values():
        seconds[is_dedicated] += max(0.0, (at - began).total_seconds())
    return seconds
