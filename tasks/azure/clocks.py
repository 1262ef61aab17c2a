"""This machine's clock against a service's: requests are signed with the time, and refused if that is off."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import requests

# The services refuse what is signed for another time than 15 minutes before or after theirs.
SKEW_MAX = timedelta(minutes=5)
TIMEOUT_SECONDS = 10


def describe_skew(headers: Mapping[str, str], now: datetime | None = None) -> str | None:
    """How far this clock is from that of the service which sent an answer; None if it is near enough."""
    try:
        theirs = parsedate_to_datetime(headers["Date"])
        skew = (now or datetime.now(timezone.utc)) - theirs
    except (KeyError, TypeError, ValueError):
        return None
    if abs(skew) <= SKEW_MAX:
        return None
    minutes, way = round(abs(skew).total_seconds() / 60), "ahead of" if skew > timedelta() else "behind"
    return (
        f"This machine's clock is {minutes:,} minutes {way} the service's, which refuses what is signed for "
        f"another time. Set the clock (timedatectl set-ntp true)."
    )


def ask_clock(endpoint: str) -> str | None:
    """The same of an endpoint; it needs no credentials, as a refusal is dated too. Raises OSError."""
    return describe_skew(requests.get(endpoint, timeout=TIMEOUT_SECONDS).headers)
