"""Conditional headers: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since.

Source: REST documentation page "Specifying conditional headers".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from batch_emulator import ticks
from batch_emulator.api.times import parse_http_date
from batch_emulator.errors import BatchError

NAMES = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")

# The only pairs allowed together; the first of each decides.
_PAIRS = (("if-none-match", "if-modified-since"), ("if-match", "if-unmodified-since"))

_NOT_MODIFIED = ("if-none-match", "if-modified-since")


def check_conditions(headers: Mapping[str, str], *, etag: str, last_modified: int, reading: bool) -> None:
    """Raise 412 ConditionNotMet, or 304 NotModified for a read, unless the headers' condition is met.

    The names in `headers` are in lower case; `etag` is unquoted, `last_modified` in ticks.
    """
    name = _deciding_header(headers)
    if name is None:
        return
    if not CONDITIONS[name](headers[name], etag, last_modified):
        raise BatchError("NotModified" if reading and name in _NOT_MODIFIED else "ConditionNotMet")


def _deciding_header(headers: Mapping[str, str]) -> str | None:
    """The one conditional header that counts; 400 where the request has two that don't go together."""
    given = [name for name in NAMES if headers.get(name)]
    if len(given) < 2:
        return given[0] if given else None
    for pair in _PAIRS:
        if set(given) == set(pair):
            return pair[0]
    raise BatchError("MultipleConditionHeadersNotSupported")


def _is_match(value: str, etag: str, last_modified: int) -> bool:
    """Whether `value` is `*` or lists the ETag; quoted, unquoted and weak ones are alike."""
    return any(unquote(part) in ("*", etag) for part in value.split(","))


def unquote(text: str) -> str:
    return text.strip().removeprefix("W/").strip('"')


def _is_modified_since(value: str, etag: str, last_modified: int) -> bool:
    return _to_whole_seconds(last_modified) > _parse_header_date("If-Modified-Since", value)


def _is_unmodified_since(value: str, etag: str, last_modified: int) -> bool:
    return _to_whole_seconds(last_modified) <= _parse_header_date("If-Unmodified-Since", value)


def _to_whole_seconds(moment: int) -> datetime:
    """What a `Last-Modified` header says: clients send that back, without the fraction."""
    return ticks.to_datetime(moment).replace(microsecond=0)


def _parse_header_date(name: str, value: str) -> datetime:
    try:
        return parse_http_date(value)
    except ValueError:
        raise BatchError("InvalidHeaderValue", ("HeaderName", name), ("HeaderValue", value)) from None


CONDITIONS: dict[str, Callable[[str, str, int], bool]] = {
    "if-match": _is_match,
    "if-none-match": lambda value, etag, moment: not _is_match(value, etag, moment),
    "if-modified-since": _is_modified_since,
    "if-unmodified-since": _is_unmodified_since,
}
