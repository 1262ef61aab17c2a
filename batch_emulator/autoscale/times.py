"""Reading the times that `time("...")` takes: W3C-DTF and RFC 1123."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from batch_emulator.autoscale.problems import Problem
from batch_emulator.autoscale.values import Timestamp, from_datetime

_W3C = re.compile(
    r"""
    (?P<year>\d{4})
    (?:-(?P<month>\d\d)
        (?:-(?P<day>\d\d)
            (?:T(?P<hour>\d\d):(?P<minute>\d\d)
                (?: :(?P<second>\d\d)(?:\.(?P<fraction>\d{1,7}))? )?
                (?:Z|(?P<sign>[+-])(?P<zone_hours>\d\d):(?P<zone_minutes>\d\d))
            )?
        )?
    )?
    """,
    re.VERBOSE | re.ASCII,
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC1123 = re.compile(
    rf"(?P<weekday>{'|'.join(_DAYS)}), (?P<day>\d\d) (?P<month>{'|'.join(_MONTHS)}) (?P<year>\d{{4}})"
    r" (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) GMT",
    re.ASCII,
)


def parse_time(text: str) -> Timestamp:
    """The timestamp that a string names; a fraction of a second has at most seven digits, as in .NET."""
    try:
        if match := _W3C.fullmatch(text):
            return _from_w3c(match)
        if match := _RFC1123.fullmatch(text):
            return _from_rfc1123(match)
    except (ValueError, OverflowError):
        pass
    raise Problem(f"Invalid time: {text}")


def _from_w3c(match: re.Match[str]) -> Timestamp:
    part = {
        name: int(digits) for name, digits in match.groupdict("0").items() if name not in ("sign", "fraction")
    }
    offset = timedelta(hours=part["zone_hours"], minutes=part["zone_minutes"])
    zone = timezone(-offset if match["sign"] == "-" else offset)
    moment = datetime(
        part["year"],
        part["month"] if match["month"] else 1,
        part["day"] if match["day"] else 1,
        part["hour"],
        part["minute"],
        part["second"],
        tzinfo=zone,
    )
    fraction_ticks = int((match["fraction"] or "").ljust(7, "0"))
    return Timestamp(from_datetime(moment).ticks + fraction_ticks)


def _from_rfc1123(match: re.Match[str]) -> Timestamp:
    month = _MONTHS.index(match["month"]) + 1
    clock = (int(match[name]) for name in ("hour", "minute", "second"))
    moment = datetime(int(match["year"]), month, int(match["day"]), *clock, tzinfo=timezone.utc)
    if _DAYS[moment.weekday()] != match["weekday"]:
        raise ValueError(match["weekday"])
    return from_datetime(moment)
