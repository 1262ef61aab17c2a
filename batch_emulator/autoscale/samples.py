"""The sample history of one pool: what its metrics were, every 30 seconds."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime

from batch_emulator.autoscale.values import TICKS_PER_SECOND, TimeInterval, Timestamp, from_datetime

SAMPLE_PERIOD_SECONDS = 30
SAMPLE_PERIOD = TimeInterval(SAMPLE_PERIOD_SECONDS * TICKS_PER_SECOND)
_ONE_DAY_OF_SAMPLES = 24 * 3600 // SAMPLE_PERIOD_SECONDS


@dataclass
class _Series:
    """Samples of one metric, oldest first."""

    ticks: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def put(self, ticks: int, value: float) -> None:
        index = bisect_left(self.ticks, ticks)
        if index < len(self.ticks) and self.ticks[index] == ticks:
            self.values[index] = value
        else:
            self.ticks.insert(index, ticks)
            self.values.insert(index, value)

    def keep_last(self, count: int) -> None:
        excess = max(len(self.ticks) - count, 0)
        del self.ticks[:excess], self.values[:excess]


class Samples:
    """Metric samples by name (`$PendingTasks`, ...), the last `history_samples` of each.

    Whoever owns it records one value a metric each 30 seconds; a second one for a moment replaces the first.
    """

    def __init__(self, history_samples: int = _ONE_DAY_OF_SAMPLES):
        self._history_samples = history_samples
        self._series: dict[str, _Series] = {}

    def record(self, name: str, time: datetime, value: float) -> None:
        """Add one sample; `value` must be finite."""
        if not math.isfinite(value):
            raise ValueError(f"sample of {name} is not a finite number: {value}")
        series = self._series.setdefault(name, _Series())
        series.put(from_datetime(time).ticks, float(value))
        series.keep_last(self._history_samples)

    def count(self, name: str) -> int:
        return len(self._find_series(name).ticks)

    def begin(self, name: str) -> Timestamp | None:
        """When the oldest sample that is kept was taken."""
        ticks = self._find_series(name).ticks
        return Timestamp(ticks[0]) if ticks else None

    def last(self, name: str, count: int) -> tuple[float, ...]:
        """The `count` most recent samples or as many as there are, oldest first."""
        return tuple(self._find_series(name).values[-count:]) if count > 0 else ()

    def between(self, name: str, start: Timestamp, end: Timestamp) -> tuple[float, ...]:
        """The samples taken after `start` and until `end`, oldest first.

        One bound is left out, so that ten minutes hold at most twenty samples, as documented.
        """
        series = self._find_series(name)
        return tuple(
            series.values[bisect_right(series.ticks, start.ticks) : bisect_right(series.ticks, end.ticks)]
        )

    def _find_series(self, name: str) -> _Series:
        return self._series.get(name) or _Series()
