"""ISO 8601 durations as .NET's XmlConvert reads and writes them, which is what the service answers with.

A duration is a whole number of ticks of 100 ns. A year counts 365 days and a month 30. The greatest,
`UNLIMITED_TICKS`, is how the service says "no limit".
"""

from __future__ import annotations

import functools
import re
from datetime import timedelta

from batch_emulator.ticks import TICKS_PER_SECOND

UNLIMITED_TICKS = 2**63 - 1
UNLIMITED = "P10675199DT2H48M5.4775807S"

DAY, HOUR, MINUTE = 86_400, 3_600, 60

_DURATION = re.compile(
    r"(-)?P(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?"
    r"(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """The length of `P1DT2H3M4.5S`, to the microsecond; ValueError as `parse_duration_ticks`."""
    return timedelta(microseconds=parse_duration_ticks(text) // 10)


def parse_duration_ticks(text: str) -> int:
    """Ticks of `P1DT2H3M4.5S`; ValueError for what is not a duration, or longer than the service can hold."""
    match = _DURATION.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        raise ValueError("The value is not a valid ISO 8601 duration")
    sign, years, months, days, hours, minutes, seconds, fraction = match.groups()
    whole_days = int(years or 0) * 365 + int(months or 0) * 30 + int(days or 0)
    whole = whole_days * DAY + int(hours or 0) * HOUR + int(minutes or 0) * MINUTE + int(seconds or 0)
    size = whole * TICKS_PER_SECOND + int((fraction or "0")[:7].ljust(7, "0"))
    if size > UNLIMITED_TICKS:
        raise ValueError("The duration is too long")
    return -size if sign else size


def format_duration_ticks(length: int) -> str:
    """`P1279DT12H30M5S`: days are the largest unit, zero parts are left out, nothing at all is `PT0S`."""
    sign = "-" if length < 0 else ""
    whole, fraction = divmod(abs(length), TICKS_PER_SECOND)
    days, rest = divmod(whole, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, seconds = divmod(rest, MINUTE)
    decimals = f".{fraction:07d}".rstrip("0") if fraction else ""
    time = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    time += f"{seconds}{decimals}S" * bool(seconds or fraction)
    date = f"{days}D" * bool(days)
    return f"{sign}P{date}T{time}" if time else f"{sign}P{date}" if date else "PT0S"


@functools.lru_cache(maxsize=1024)
def normalise_duration(text: str) -> str:
    """`text` as the service writes it back; ValueError as `parse_duration_ticks`."""
    return format_duration_ticks(parse_duration_ticks(text))
