"""Reading the times that clients send; `ticks` writes them."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from batch_emulator import ticks

_ISO_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?",
    re.ASCII | re.IGNORECASE,
)


def parse_time(text: str) -> int:
    """Ticks of an ISO 8601 time, UTC where it names no offset; ValueError for anything else."""
    match = _ISO_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    *parts, fraction, offset = match.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    return ticks.from_datetime(moment) + int((fraction or "0")[:7].ljust(7, "0")) - _parse_offset(offset)


def _parse_offset(text: str | None) -> int:
    """Ticks east of Greenwich."""
    if text is None or text in "Zz":
        return 0
    size = (int(text[1:3]) * 60 + int(text[4:6])) * 60 * ticks.TICKS_PER_SECOND
    return -size if text[0] == "-" else size


def parse_http_date(text: str) -> datetime:
    """An HTTP date (RFC 1123, 850 or asctime), UTC where it names no zone; ValueError for anything else."""
    try:
        time = parsedate_to_datetime(text)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"not an HTTP date: {text!r}") from error
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
