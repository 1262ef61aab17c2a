"""Times as the service keeps them: whole ticks of 100 ns since 0001-01-01 UTC; an ETag is one in hexadecimal.

Source: recorded answers, in which `eTag` is `lastModified` in ticks.
"""

from __future__ import annotations

import email.utils
import functools
from datetime import datetime, timedelta, timezone

TICKS_PER_SECOND = 10_000_000
_UNIX_EPOCH = 621_355_968_000_000_000
_EPOCH = datetime(1, 1, 1, tzinfo=timezone.utc)


def from_unix(seconds: float) -> int:
    """Ticks of a Unix time."""
    return _UNIX_EPOCH + int(seconds * TICKS_PER_SECOND)


def from_datetime(moment: datetime) -> int:
    """Ticks of an aware datetime."""
    delta = moment - _EPOCH
    return (delta.days * 86400 + delta.seconds) * TICKS_PER_SECOND + delta.microseconds * 10


def to_datetime(ticks: int) -> datetime:
    """Aware UTC datetime of ticks, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ticks // 10)


def from_seconds(seconds: float) -> int:
    """Length in ticks of a span in seconds."""
    return int(seconds * TICKS_PER_SECOND)


# All that one request has changed has the same time.
@functools.lru_cache(maxsize=64)
def format_ticks(ticks: int) -> str:
    """`2026-01-22T20:18:17.6076943Z`: up to seven decimals, trailing zeros dropped."""
    second, fraction = divmod(ticks, TICKS_PER_SECOND)
    text = _format_second(second)
    return f"{text}.{fraction:07d}".rstrip("0") + "Z" if fraction else f"{text}Z"


# Lists hold many times of few seconds.
@functools.lru_cache(maxsize=4096)
def _format_second(second: int) -> str:
    return to_datetime(second * TICKS_PER_SECOND).replace(tzinfo=None).isoformat()


def parse_ticks(text: str) -> int:
    """Ticks of a time as `format_ticks` writes it."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return from_datetime(moment) + int(fraction.ljust(7, "0"))


@functools.lru_cache(maxsize=64)
def etag(ticks: int) -> str:
    """`0x8D…`, unquoted, as the service writes it."""
    return f"0x{ticks:X}"


def http_date(ticks: int) -> str:
    """The date of a `Last-Modified` header."""
    return email.utils.format_datetime(to_datetime(ticks).replace(microsecond=0), usegmt=True)
