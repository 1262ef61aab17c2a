"""Core hours that pools have used, by half hours, from how long each node was there.

Source: REST operation List Pool Usage Metrics, and recorded answers of it. Not kept over a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from batch_emulator.catalogue.vm_sizes import core_count
from batch_emulator.resources.model import Pool, key
from batch_emulator.resources.store import Store
from batch_emulator.ticks import from_seconds

INTERVAL = from_seconds(30 * 60)
_HOUR = from_seconds(3600)


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """One pool in one interval; times in ticks."""

    pool_id: str
    vm_size: str
    start: int
    core_hours: float

    @property
    def end(self) -> int:
        return self.start + INTERVAL


@dataclass(slots=True)
class Usage:
    """Core hours of nodes that are gone, by (start of the interval, pool id, VM size)."""

    core_hours: dict[tuple[int, str, str], float] = field(default_factory=dict)

    def add(self, pool: Pool, start: int, end: int) -> None:
        """A node of the pool was there from `start` to `end`."""
        _add(self.core_hours, pool, start, end)

    def core_ticks(self, pool_id: str) -> int:
        """What the nodes of a pool that are gone have used, in cores times ticks."""
        return round(_HOUR * sum(hours for (_, pool, _), hours in self.core_hours.items() if pool == pool_id))

    def between(self, store: Store, start: int, end: int, now: int) -> Iterator[PoolUsage]:
        """The intervals that lie between `start` and `end`, of the nodes that are still there too; by time,
        then pool."""
        found = dict(self.core_hours)
        for pool in store.pools.values():
            for node in store.nodes(key(pool.id)):
                _add(found, pool, node.allocated, now)
        for (begun, pool_id, vm_size), hours in sorted(found.items()):
            if start <= begun and begun + INTERVAL <= end:
                yield PoolUsage(pool_id, vm_size, begun, hours)


def _add(core_hours: dict[tuple[int, str, str], float], pool: Pool, start: int, end: int) -> None:
    cores = core_count(pool.spec["vmSize"]) or 1
    while start < end:
        interval = start - start % INTERVAL
        part = min(end, interval + INTERVAL) - start
        place = (interval, pool.id, pool.spec["vmSize"])
        core_hours[place] = core_hours.get(place, 0.0) + cores * part / _HOUR
        start += part


def last_interval(now: int) -> tuple[int, int]:
    """The last interval that can be asked for: its data are complete two hours after its end."""
    latest = now - 2 * _HOUR
    end = latest - latest % INTERVAL
    return end - INTERVAL, end
