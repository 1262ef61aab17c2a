"""Times and ETags as the service writes them.

Times are aware `datetime`s in UTC, to the microsecond; the service's seventh digit is read and dropped.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

ISO_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE
)

FIRST_ETAG = 0x8D0000000000000


def parse_time(text: str) -> datetime:
    """An ISO 8601 time, UTC where it names no offset; ValueError for anything else."""
    match = ISO_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    time = datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), microsecond
    )
    return (time - parse_offset(offset)).replace(tzinfo=timezone.utc)


def parse_offset(text: str | None) -> timedelta:
    if text is None or text in "Zz":
        return timedelta(0)
    size = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return -size if text[0] == "-" else size


def format_time(time: datetime) -> str:
    """`2025-03-19T19:43:55.33399Z`: no trailing zeros in the fraction, no fraction for whole seconds."""
    text = time.astimezone(timezone.utc).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if time.microsecond else text) + "Z"


def http_date(time: datetime) -> str:
    """`Thu, 22 Jan 2026 20:18:17 GMT`."""
    return format_datetime(time.astimezone(timezone.utc), usegmt=True)


def parse_http_date(text: str) -> datetime:
    """An HTTP date (RFC 1123, 850 or asctime), UTC where it names no zone; ValueError for anything else."""
    try:
        time = parsedate_to_datetime(text)
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"not an HTTP date: {text!r}") from error
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def new_etag(counter: int) -> str:
    """The ETag of the `counter`th write, `0x8D...`; the service writes ETags without quotes."""
    return f"0x{FIRST_ETAG + counter:X}"
