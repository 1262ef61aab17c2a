"""What a run's nodes cost so far: the hours that they have lived, from their own allocation times."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceNotFoundError

from tasks.spec.prices import SECONDS_PER_HOUR, NodeHours, Prices, Spent

NODE_SELECT = ["id", "state", "isDedicated", "allocationTime"]


@dataclass
class Spending:
    """The lives of the nodes that a run has had, of a pool that others use too since the run began.

    Nodes are listed when their number or states have changed, and not at every look.
    """

    since: datetime
    """When the run began. Hours before it are of those who had the nodes then."""

    prices: Prices | None = None
    max_cost: float | None = None
    alive: dict[str, tuple[bool, datetime]] = field(default_factory=dict)
    """Whether a node is dedicated, and since when it counts."""

    ended_seconds: dict[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    """The lives of those that are gone or were taken away, dedicated and Spot."""

    known: set[str] = field(default_factory=set)
    states: Mapping[str, int] | None = None
    is_ending: bool = False
    """Whether no more tasks begin, as the nodes have cost as much as they may."""

    def look(
        self, client: BatchClient, pool_id: str, states: Mapping[str, int] | None, now: datetime
    ) -> None:
        """See which nodes there are, if their states are others than at the last look; None: not known."""
        if states is not None and states == self.states:
            return
        self.states = states
        try:
            self.update(client.list_nodes(pool_id, select=NODE_SELECT), now)
        except ResourceNotFoundError:
            self.update([], now)

    def update(self, nodes: Iterable[models.BatchNode], now: datetime) -> None:
        """Take over which nodes there are now."""
        here = {node.id: node for node in nodes if node.state != models.BatchNodeState.PREEMPTED}
        for node_id in self.alive.keys() - here.keys():
            is_dedicated, began = self.alive.pop(node_id)
            self.ended_seconds[is_dedicated] += _seconds_between(began, now)
        for node_id, node in here.items():
            if node_id not in self.alive:
                # A node that was taken away keeps the time of its first allocation.
                began = now if node_id in self.known else max(node.allocation_time or now, self.since)
                self.alive[node_id] = bool(node.is_dedicated), began
                self.known.add(node_id)

    def count_hours(self, now: datetime) -> NodeHours:
        """The hours of all nodes until now."""
        seconds = dict(self.ended_seconds)
        for is_dedicated, began in self.alive.values():
            seconds[is_dedicated] += _seconds_between(began, now)
        return NodeHours(seconds[True] / SECONDS_PER_HOUR, seconds[False] / SECONDS_PER_HOUR)

    def is_over(self, now: datetime) -> bool:
        """Whether the nodes have cost more than they may."""
        if self.max_cost is None or self.prices is None:
            return False
        return (self.prices.cost(self.count_hours(now)) or 0.0) > self.max_cost

    def sum_up(self, now: datetime) -> Spent | None:
        """The hours, and what they cost if that is known; None if no node was ever seen."""
        if not self.known:
            return None
        hours = self.count_hours(now)
        if self.prices is None:
            return Spent(hours)
        return Spent(hours, self.prices.cost(hours), self.prices.currency)


def _seconds_between(began: datetime, ended: datetime) -> float:
    return max(0.0, (ended - began).total_seconds())
