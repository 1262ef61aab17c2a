"""The values of formulas: double (float), doubleVec (tuple of floats), string (str), timestamp, timeinterval.

Times are counted in ticks of 100 ns, the smallest interval that formulas can name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from batch_emulator.autoscale.problems import Problem

TICKS_PER_SECOND = 10_000_000
_MAX_VECTOR = 5_000

_EPOCH = datetime(1, 1, 1, tzinfo=timezone.utc)
_MAX_TIMESTAMP_TICKS = (datetime.max - datetime.min) // timedelta(microseconds=1) * 10 + 9
_MAX_INTERVAL_TICKS = 2**63 - 1


@dataclass(frozen=True, order=True)
class TimeInterval:
    """A signed duration in ticks of 100 ns."""

    ticks: int

    def __post_init__(self) -> None:
        if abs(self.ticks) > _MAX_INTERVAL_TICKS:
            raise Problem("The timeinterval is out of range")


@dataclass(frozen=True, order=True)
class Timestamp:
    """A moment in ticks of 100 ns since 0001-01-01T00:00:00Z, within the years 1 to 9999."""

    ticks: int

    def __post_init__(self) -> None:
        if not 0 <= self.ticks <= _MAX_TIMESTAMP_TICKS:
            raise Problem("The timestamp is out of range")


Value = float | tuple[float, ...] | str | Timestamp | TimeInterval

_TYPE_NAMES = {
    float: "double",
    tuple: "doubleVec",
    str: "string",
    Timestamp: "timestamp",
    TimeInterval: "timeinterval",
}


def type_name(value: Value) -> str:
    return _TYPE_NAMES[type(value)]


def from_datetime(moment: datetime) -> Timestamp:
    """The timestamp of a datetime; one without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return Timestamp((aware - _EPOCH) // timedelta(microseconds=1) * 10)


def to_datetime(moment: Timestamp) -> datetime:
    return _EPOCH + timedelta(microseconds=moment.ticks // 10)


def to_double(value: Value) -> float:
    """A double as it is, a doubleVec of one element as that element; anything else is a Problem."""
    value = unwrap(value)
    if isinstance(value, float):
        return value
    if isinstance(value, tuple):
        raise Problem(f"Cannot convert doubleVec of {len(value)} elements to double")
    raise Problem(f"Cannot convert {type_name(value)} to double")


def unwrap(value: Value) -> Value:
    """The one element of a doubleVec that has just one, else the value."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def to_vector(values: Iterable[Value]) -> tuple[float, ...]:
    """A doubleVecList, any mix of double and doubleVec, as one doubleVec."""
    joined: list[float] = []
    for value in values:
        if not isinstance(value, (float, tuple)):
            raise Problem(f"Cannot convert {type_name(value)} to doubleVec")
        joined.extend(value if isinstance(value, tuple) else (value,))
        if len(joined) > _MAX_VECTOR:
            raise Problem(f"The doubleVec has more than {_MAX_VECTOR} elements")
    return tuple(joined)


def to_integer(value: Value, what: str) -> int:
    """A finite double without its fraction (2.9 is 2), as the service takes a number of nodes."""
    number = to_double(value)
    if not math.isfinite(number):
        raise Problem(f"Invalid value for {what}: {render(number)}")
    return int(number)


def render(value: Value) -> str:
    """A value as the service writes it in `results`: six digits, `[1,2]`, 2016-10-13T19:18:47.805Z."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return f"[{','.join(map(render, value))}]"
    if isinstance(value, Timestamp):
        return to_datetime(value).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, TimeInterval):
        return _render_interval(value)
    return str(value)


def _render_interval(interval: TimeInterval) -> str:
    """`[-][d.]hh:mm:ss[.fffffff]`, the way .NET writes a TimeSpan."""
    seconds, fraction = divmod(abs(interval.ticks), TICKS_PER_SECOND)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    sign = "-" if interval.ticks < 0 else ""
    whole = f"{sign}{f'{days}.' if days else ''}{hour:02}:{minute:02}:{second:02}"
    return f"{whole}.{fraction:07}" if fraction else whole
