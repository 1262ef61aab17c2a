"""Times, durations, pages and conditional headers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from azure.core.rest import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

import batch_emulator
from batch_emulator import ticks
from batch_emulator.api.conditions import check_conditions
from batch_emulator.api.paging import decode_skiptoken, encode_skiptoken, next_link, parse_maxresults
from batch_emulator.api.times import parse_http_date, parse_time
from batch_emulator.catalogue.error_codes import CATALOGUE
from batch_emulator.durations import (
    UNLIMITED,
    UNLIMITED_TICKS,
    format_duration_ticks,
    normalise_duration,
    parse_duration,
    parse_duration_ticks,
)
from batch_emulator.errors import BatchError


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("P3Y6M4DT12H30M5S", "P1279DT12H30M5S"),
        (UNLIMITED, UNLIMITED),
        ("PT90M", "PT1H30M"),
        ("P7D", "P7D"),
        ("P1DT24H", "P2D"),
        ("PT0S", "PT0S"),
        ("P0D", "PT0S"),
        ("PT1.50S", "PT1.5S"),
        ("PT0.0000001S", "PT0.0000001S"),
        ("-PT5M", "-PT5M"),
    ],
)
def test_durations_are_written_as_dotnet_does(text: str, normal: str) -> None:
    """Years and months become days, smaller units carry over, zero parts go."""
    assert normalise_duration(text) == normal


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1h", "PT5", "P1W", "PT1.S", "P١D", "P99999999D", "P" * 99]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Text of another form, or longer than the service can hold, raises ValueError."""
    with pytest.raises(ValueError):
        parse_duration(text)


def test_durations_are_lengths_of_time() -> None:
    """A duration is a timedelta, to the microsecond."""
    assert parse_duration("P1DT2H3M4.5S") == timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    assert parse_duration(UNLIMITED).days == 10675199


@given(st.integers(-UNLIMITED_TICKS, UNLIMITED_TICKS))
def test_every_duration_survives_being_written(length: int) -> None:
    """Writing and reading a duration gives the same ticks."""
    assert parse_duration_ticks(format_duration_ticks(length)) == length


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(timezone.utc)))
def test_every_time_survives_being_written(moment: datetime) -> None:
    """Writing and reading a time gives the same ticks."""
    assert parse_time(ticks.format_ticks(ticks.from_datetime(moment))) == ticks.from_datetime(moment)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-02-30T00:00:00Z", "2024-01-01 00:00:00", "24-01-01T00:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Text of another form and days that do not exist raise ValueError."""
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize("text", ["", "x", "Thu, 99 Jan 2026 20:18:17 GMT", "0"])
def test_what_is_no_http_date_is_refused(text: str) -> None:
    """A header date that cannot be read raises ValueError and nothing else."""
    with pytest.raises(ValueError):
        parse_http_date(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-5", "MaxResults cannot be less than 1"),
        ("0", "MaxResults cannot be less than 1"),
        ("1001", "MaxResults cannot be greater than 1000"),
        ("many", "MaxResults is not a number"),
    ],
)
def test_maxresults_has_bounds(text: str, reason: str) -> None:
    """A page has 1 to 1000 items; anything else is refused in the service's words."""
    with pytest.raises(BatchError) as caught:
        parse_maxresults(text)
    assert caught.value.values == (
        ("QueryParameterName", "maxresults"),
        ("QueryParameterValue", text),
        ("Reason", reason),
    )


def test_maxresults_may_be_missing() -> None:
    """Without it a page is as long as the service makes them."""
    assert parse_maxresults(None) == 1000
    assert parse_maxresults("7") == 7


@given(st.text(min_size=1))
def test_tokens_lead_back_to_the_id(last_id: str) -> None:
    """A token is the id that the page ended with, in characters that a query needs not escape."""
    token = encode_skiptoken(last_id)
    assert decode_skiptoken(token) == last_id
    assert set(token.removeprefix("WATV2:")) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@pytest.mark.parametrize("token", ["", "job-1", "WATV2:!!", "WATV2:_w", "watv2:YQ"])
def test_foreign_tokens_are_refused(token: str) -> None:
    """A token that the service did not give is a bad query value."""
    with pytest.raises(BatchError, match="InvalidQueryParameterValue"):
        decode_skiptoken(token)


@given(st.text(max_size=20))
def test_the_next_link_has_the_same_query(value: str) -> None:
    """A client that follows the link as it is sends the same query with the token."""
    query = [("api-version", "2025-06-01"), ("$filter", value), ("$skiptoken", "old")]
    link = next_link("http://127.0.0.1:1/pools", query, "WATV2:new")
    followed = urlsplit(HttpRequest("GET", link).url)
    assert followed.path == "/pools"
    assert parse_qsl(followed.query, keep_blank_values=True) == [*query[:2], ("$skiptoken", "WATV2:new")]


def test_the_next_link_leaves_marks_bare() -> None:
    """Dollar signs, commas and colons stand in the link as the service writes them."""
    link = next_link("http://h/pools", [("$select", "id,state"), ("maxresults", "1")], "WATV2:x")
    assert link == "http://h/pools?$select=id,state&maxresults=1&$skiptoken=WATV2:x"


ETAG = "0x8DE59F3614E3954"
MODIFIED = parse_time("2026-01-22T20:18:17.6076943Z")
SAME, EARLIER, LATER = (f"Thu, 22 Jan 2026 20:18:{second} GMT" for second in ("17", "16", "18"))


def outcome(headers: dict[str, str], *, reading: bool) -> int | None:
    """The status that a condition ends with; None where the request goes on."""
    try:
        check_conditions(headers, etag=ETAG, last_modified=MODIFIED, reading=reading)
    except BatchError as error:
        return error.status
    return None


@pytest.mark.parametrize(
    ("header", "value", "read", "write"),
    [
        ("if-match", ETAG, None, None),
        ("if-match", f'"{ETAG}"', None, None),
        ("if-match", f'"0x1", W/"{ETAG}"', None, None),
        ("if-match", "*", None, None),
        ("if-match", '"0x1"', 412, 412),
        ("if-none-match", ETAG, 304, 412),
        ("if-none-match", f'"{ETAG}"', 304, 412),
        ("if-none-match", "*", 304, 412),
        ("if-none-match", "0x1", None, None),
        ("if-modified-since", SAME, 304, 412),
        ("if-modified-since", LATER, 304, 412),
        ("if-modified-since", EARLIER, None, None),
        ("if-unmodified-since", SAME, None, None),
        ("if-unmodified-since", LATER, None, None),
        ("if-unmodified-since", EARLIER, 412, 412),
    ],
)
def test_conditions(header: str, value: str, read: int | None, write: int | None) -> None:
    """Each condition lets the request on, or ends it as a read or a write does."""
    assert outcome({header: value}, reading=True) == read
    assert outcome({header: value}, reading=False) == write


def test_no_condition_is_met() -> None:
    """A request without conditional headers goes on."""
    assert outcome({}, reading=False) is None
    assert outcome({"if-match": ""}, reading=False) is None


def test_the_etag_outranks_the_date() -> None:
    """Of a pair that may be sent together the ETag decides."""
    assert outcome({"if-match": ETAG, "if-unmodified-since": EARLIER}, reading=False) is None
    assert outcome({"if-none-match": "0x1", "if-modified-since": LATER}, reading=True) is None


def test_other_pairs_are_refused() -> None:
    """Two conditions that do not go together are a bad request."""
    assert outcome({"if-match": ETAG, "if-none-match": ETAG}, reading=True) == 400
    assert outcome({"if-modified-since": SAME, "if-unmodified-since": SAME}, reading=True) == 400


def test_a_condition_without_a_date_is_refused() -> None:
    """A date that cannot be read is a bad header, named."""
    with pytest.raises(BatchError) as caught:
        check_conditions({"if-modified-since": "x"}, etag=ETAG, last_modified=MODIFIED, reading=True)
    assert caught.value.code == "InvalidHeaderValue"
    assert ("HeaderName", "If-Modified-Since") in caught.value.values


def test_every_code_has_a_status_and_a_message() -> None:
    """The catalogue gives each code a status that is an error (or 304) and one line of text."""
    for code, (status, message) in CATALOGUE.items():
        assert status == 304 or 400 <= status <= 503
        assert message
        assert "\n" not in message
        assert BatchError(code).status == status


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    """No part of the service raises an error that it could not answer with."""
    package = Path(batch_emulator.__file__).parent
    sources = [path.read_text() for path in package.rglob("*.py")]
    raised = {code for source in sources for code in re.findall(r'BatchError\(\s*"(\w+)"', source)}
    assert raised
    assert raised <= CATALOGUE.keys()
