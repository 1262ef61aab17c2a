"""ISO 8601 durations as .NET's XmlConvert reads and writes them, which is what the service answers with.

A duration is a whole number of ticks of 100 ns. A year counts 365 days and a month 30. The greatest,
`UNLIMITED_TICKS`, is how the service says "no limit".
"""

from __future__ import annotations

import functools
import re

from batch_emulator.ticks import TICKS_PER_SECOND

UNLIMITED_TICKS = 2**63 - 1
UNLIMITED = "P10675199DT2H48M5.4775807S"

DAY, HOUR, MINUTE = 86_400, 3_600, 60

DURATION = re.compile(
    r"(-)?P(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?"
    r"(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?"
)


def parse_duration(text: str) -> int:
    """Ticks of `P1DT2H3M4.5S`; ValueError for what is not a duration, or longer than the service can hold."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not an ISO 8601 duration: {text!r}")
    sign, years, months, days, hours, minutes, seconds, fraction = match.groups()
    whole_days = int(years or 0) * 365 + int(months or 0) * 30 + int(days or 0)
    whole = whole_days * DAY + int(hours or 0) * HOUR + int(minutes or 0) * MINUTE + int(seconds or 0)
    size = whole * TICKS_PER_SECOND + int((fraction or "0")[:7].ljust(7, "0"))
    if size > UNLIMITED_TICKS:
        raise ValueError(f"duration too long: {text!r}")
    return -size if sign else size


def format_duration(duration_ticks: int) -> str:
    """`P1279DT12H30M5S`: days are the largest unit, zero parts are left out, nothing at all is `PT0S`."""
    sign = "-" if duration_ticks < 0 else ""
    whole, fraction = divmod(abs(duration_ticks), TICKS_PER_SECOND)
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
    """`text` as the service writes it back; ValueError as `parse_duration`."""
    return format_duration(parse_duration(text))


def to_seconds(text: str) -> float | None:
    """Seconds of a duration as the service writes it, None for the unlimited one."""
    size = parse_duration(text)
    return None if size >= UNLIMITED_TICKS else size / TICKS_PER_SECOND
