"""Pages of a list: `maxresults`, `$skiptoken` and `odata.nextLink`.

A list is ordered by key, and a token holds the key that the page before it ended with, so that items which
come or go between two pages move nothing else. A key is the id; of a job also where it stood at first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from urllib.parse import quote

from batch_emulator.errors import BatchError

MAX_PAGE = 1000
_PREFIX = "WATV2:"

# What the service leaves bare in the query of a nextLink; clients follow it as it is.
_BARE = "$:=/,'()*!@;"


def parse_maxresults(text: str | None, most: int = MAX_PAGE) -> int:
    """The greatest number of items that the client wants in one page; 400 unless 1 to `most`."""
    if text is None:
        return most
    try:
        number = int(text)
    except ValueError:
        raise invalid_query("maxresults", text, "MaxResults is not a number") from None
    if number < 1:
        raise invalid_query("maxresults", text, "MaxResults cannot be less than 1")
    if number > most:
        raise invalid_query("maxresults", text, f"MaxResults cannot be greater than {most}")
    return number


def encode_skiptoken(last: str) -> str:
    """An opaque token in characters that need no escaping in a query."""
    return _PREFIX + base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def decode_skiptoken(token: str) -> str:
    """The key that the page before ended with; 400 for a token that is none of ours."""
    body = token.removeprefix(_PREFIX)
    try:
        if body == token:
            raise ValueError(token)
        return base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise invalid_query("$skiptoken", token, "The specified skip token is invalid") from None


def next_link(url: str, query: Iterable[tuple[str, str]], token: str) -> str:
    """`url` (without a query) with the same decoded `query` in the same order, and the token last."""
    parts = [f"{quote(name, _BARE)}={quote(value, _BARE)}" for name, value in query if name != "$skiptoken"]
    return f"{url}?{'&'.join([*parts, f'$skiptoken={token}'])}"


def invalid_query(name: str, value: str, reason: str) -> BatchError:
    """400 InvalidQueryParameterValue."""
    return BatchError(
        "InvalidQueryParameterValue",
        ("QueryParameterName", name),
        ("QueryParameterValue", value),
        ("Reason", reason),
    )
