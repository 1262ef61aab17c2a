"""The methods of sampled variables, from "Obtain sample data" of the documentation page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batch_emulator.autoscale.problems import MissingSamples, Problem
from batch_emulator.autoscale.samples import SAMPLE_PERIOD, Samples
from batch_emulator.autoscale.values import TimeInterval, Timestamp, Value, render, to_double, type_name


@dataclass(frozen=True)
class Metric:
    """A sampled variable as a formula sees it at one moment."""

    name: str
    samples: Samples
    now: Timestamp


@dataclass(frozen=True)
class Method:
    fewest: int
    most: int
    apply: Callable[[Metric, Sequence[Value]], Value]

    def takes(self, count: int) -> bool:
        return self.fewest <= count <= self.most


@dataclass(frozen=True)
class _Window:
    start: Timestamp
    end: Timestamp


def latest_value(metric: Metric) -> float:
    """The last sample: what a sampled variable is worth where a number is needed."""
    values = metric.samples.last(metric.name, 1)
    if not values:
        raise MissingSamples(metric.name, 100, 0)
    return values[0]


def _get_sample(metric: Metric, arguments: Sequence[Value]) -> Value:
    """`GetSample(count)`, `GetSample(start[, percent])` or `GetSample(start, end[, percent])`."""
    first, *others = arguments
    if not isinstance(first, (Timestamp, TimeInterval)):
        if others:
            raise Problem(f"GetSample cannot take a start time of type {type_name(first)}")
        return metric.samples.last(metric.name, _to_count(first))
    has_end = bool(others) and isinstance(others[0], (Timestamp, TimeInterval))
    window = _window(metric, arguments[: 1 + has_end])
    if len(others) > 1 and not has_end:
        raise Problem(f"GetSample cannot take an end time of type {type_name(others[0])}")
    for wanted in others[has_end:]:
        _demand(metric, window, to_double(wanted))
    return metric.samples.between(metric.name, window.start, window.end)


def _to_count(value: Value) -> int:
    count = to_double(value)
    if not 0 <= count < math.inf:
        raise Problem(f"Invalid number of samples: {render(count)}")
    return int(count)


def _window(metric: Metric, bounds: Sequence[Value]) -> _Window:
    """From `bounds[0]` to `bounds[1]` or now; either order, since an interval looks back from now."""
    moments = [_moment(bound, metric.now) for bound in bounds]
    other = moments[1] if len(moments) > 1 else metric.now
    return _Window(min(moments[0], other), max(moments[0], other))


def _moment(bound: Value, now: Timestamp) -> Timestamp:
    if isinstance(bound, Timestamp):
        return bound
    if isinstance(bound, TimeInterval):
        return Timestamp(now.ticks - bound.ticks)
    raise Problem(f"Cannot convert {type_name(bound)} to timestamp or timeinterval")


def _percent(metric: Metric, window: _Window) -> float:
    """How many of the samples that the window could hold there are, 0 to 100."""
    possible = max((window.end.ticks - window.start.ticks) // SAMPLE_PERIOD.ticks, 1)
    received = len(metric.samples.between(metric.name, window.start, window.end))
    return min(100.0 * received / possible, 100.0)


def _demand(metric: Metric, window: _Window, wanted_percent: float) -> None:
    received_percent = _percent(metric, window)
    if received_percent < wanted_percent:
        raise MissingSamples(metric.name, wanted_percent, received_percent)


def _get_sample_percent(metric: Metric, arguments: Sequence[Value]) -> Value:
    return _percent(metric, _window(metric, arguments))


def _history_begin_time(metric: Metric, _: Sequence[Value]) -> Value:
    begin = metric.samples.begin(metric.name)
    if begin is None:
        raise MissingSamples(metric.name, 100, 0)
    return begin


METHODS = {
    "GetSample": Method(1, 3, _get_sample),
    "GetSamplePercent": Method(1, 2, _get_sample_percent),
    "GetSamplePeriod": Method(0, 0, lambda _, __: SAMPLE_PERIOD),
    "Count": Method(0, 0, lambda metric, _: float(metric.samples.count(metric.name))),
    "HistoryBeginTime": Method(0, 0, _history_begin_time),
}
