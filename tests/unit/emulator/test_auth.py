"""Signatures and tokens: what the official client signs is accepted, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from azure.batch import models
from azure.core import MatchConditions

from batch_emulator.api.auth import BATCH_AUDIENCE, verify_bearer_token, verify_shared_key
from batch_emulator.errors import BatchError
from tests.unit.emulator.official_client import ACCOUNT, KEY, SentRequest, sent_by, sent_by_async

CALLS = {
    "list with a filter": lambda client: list(
        client.list_tasks("a job", filter="state eq 'x' & id ge 'ü'", select=["id", "state"], max_results=5)
    ),
    "timeout": lambda client: client.get_pool("p", service_timeout=7),
    "body": lambda client: client.create_task("j", models.BatchTaskCreateOptions(id="t", command_line="ü")),
    "post without a body": lambda client: client.enable_job_schedule(
        "s", etag="0x8D1", match_condition=MatchConditions.IfNotModified
    ),
    "delete": lambda client: client.delete_task("j", "t"),
    "head": lambda client: client.pool_exists("p"),
    "range": lambda client: client.download_task_file("j", "t", "wd/a b#ü%.txt", ocp_range="bytes=0-9"),
    "put": lambda client: client.replace_task("j", "t", models.BatchTask(constraints=None)),
}


def verify(request: SentRequest, key: bytes = KEY, account: str = ACCOUNT, later: float = 0) -> None:
    verify_shared_key(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        account=account,
        key_bytes=key,
        now=datetime.now(timezone.utc) + timedelta(seconds=later),
    )


def refusal(request: SentRequest, **how: Any) -> str:
    with pytest.raises(BatchError) as caught:
        verify(request, **how)
    assert (caught.value.status, caught.value.code) == (403, "AuthenticationFailed")
    [(name, detail)] = caught.value.values
    assert name == "AuthenticationErrorDetail"
    return detail


@pytest.fixture
def request_sent() -> SentRequest:
    return sent_by(CALLS["list with a filter"])


@pytest.mark.parametrize("name", CALLS)
def test_accepts_what_the_official_client_signs(name: str) -> None:
    """Every kind of request of the official client passes, however its URL, headers and body are made."""
    verify(sent_by(CALLS[name]))


async def test_accepts_what_the_asynchronous_client_signs() -> None:
    """The asynchronous client's requests pass like the synchronous one's."""
    verify(await sent_by_async(lambda client: client.delete_task("j", "t")))


def test_account_names_compare_without_case(request_sent: SentRequest) -> None:
    """A client that writes the account's name in another case is let in."""
    verify(request_sent, account=ACCOUNT.upper())


def test_a_server_that_adds_content_length_zero_is_no_harm() -> None:
    """A bodyless POST passes whether its Content-Length of zero was there when it was signed or not."""
    request = sent_by(CALLS["post without a body"])
    verify(replace(request, headers=request.headers | {"content-length": "0"}))


def test_a_date_that_a_proxy_adds_is_no_harm(request_sent: SentRequest) -> None:
    """A Date header beside ocp-date need not be part of what was signed."""
    verify(replace(request_sent, headers=request_sent.headers | {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}))


def sign(method: str, path: str, names: list[str], headers: dict[str, str], length: str) -> SentRequest:
    """A request signed as the REST documentation says, by hand; `names` are `name:value` query lines."""
    standard = ["", "", length, "", headers.get("content-type", ""), headers.get("date", ""), *[""] * 5]
    extra = "".join(f"{name}:{value}\n" for name, value in headers.items() if name.startswith("ocp-"))
    text = "\n".join([method, *standard, ""]) + extra + f"/{ACCOUNT}{path}" + "".join(f"\n{n}" for n in names)
    signature = base64.b64encode(hmac.new(KEY, text.encode(), hashlib.sha256).digest()).decode()
    query = [tuple(name.split(":", 1)) for name in names]
    return SentRequest(
        method, path, query, {**headers, "authorization": f"SharedKey {ACCOUNT}:{signature}"}, b""
    )


def now_text() -> str:
    return datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")


def test_accepts_query_names_signed_in_lower_case() -> None:
    """The documentation has query names in lower case, and clients in other languages sign them so."""
    signed = sign("GET", "/jobs", ["api-version:1", "timeout:5"], {"ocp-date": now_text()}, "")
    verify(replace(signed, query=[("timeOut", "5"), ("api-version", "1")]))


def test_accepts_an_empty_value_whether_signed_or_not() -> None:
    """An empty query value passes both signed, as JavaScript does, and left out, as Python does."""
    headers = {"ocp-date": now_text()}
    verify(sign("GET", "/jobs", ["$filter:", "api-version:1"], headers, ""))
    verify(replace(sign("GET", "/jobs", ["a:1"], headers, ""), query=[("a", "1"), ("b", "")]))


def test_accepts_the_date_header_alone() -> None:
    """Date serves where ocp-date is missing."""
    verify(sign("GET", "/jobs", ["api-version:1"], {"date": now_text()}, ""))


def test_refuses_another_key(request_sent: SentRequest) -> None:
    """A wrong signature is refused with the text that should have been signed."""
    detail = refusal(request_sent, key=b"another key")
    assert "is not the same as any computed signature" in detail
    assert f"/{ACCOUNT}/jobs/a%20job/tasks" in detail


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": "/jobs/another/tasks"},
        {"query": [("api-version", "2025-06-01")]},
        {"query": []},
    ],
)
def test_refuses_a_request_changed_on_the_way(request_sent: SentRequest, change: dict[str, Any]) -> None:
    """Method, path and every query value are part of what is signed."""
    assert "any computed signature" in refusal(replace(request_sent, **change))


def test_refuses_changed_headers() -> None:
    """If-Match and Content-Length are part of what is signed."""
    conditional = sent_by(CALLS["post without a body"])
    refusal(replace(conditional, headers=conditional.headers | {"if-match": '"0x8D2"'}))
    with_body = sent_by(CALLS["body"])
    refusal(replace(with_body, headers=with_body.headers | {"content-length": "1"}))


def test_refuses_an_unknown_account(request_sent: SentRequest) -> None:
    """An account that is not ours is named in the service's words."""
    detail = refusal(request_sent, account="ours")
    assert detail == (
        f"Cannot find the claimed account when trying to GetProperties for the account {ACCOUNT}."
    )


@pytest.mark.parametrize("value", ["", "SharedKey", "SharedKey x", "Basic a:b", "SharedKey :sig"])
def test_refuses_a_malformed_authorization(request_sent: SentRequest, value: str) -> None:
    """No signature at all, or one of another form, is refused before anything is computed."""
    headers = {**request_sent.headers, "authorization": value}
    assert "Authorization header" in refusal(replace(request_sent, headers=headers))


def test_refuses_a_request_without_a_date(request_sent: SentRequest) -> None:
    """A signature without a date could be replayed for ever."""
    headers = {name: value for name, value in request_sent.headers.items() if name != "ocp-date"}
    assert "is missing" in refusal(replace(request_sent, headers=headers))


def test_refuses_a_date_that_is_none(request_sent: SentRequest) -> None:
    """A date that cannot be read is refused, and quoted."""
    headers = request_sent.headers | {"ocp-date": "Do., 02 Mär 2017"}
    assert "Do., 02 Mär 2017" in refusal(replace(request_sent, headers=headers))


@pytest.mark.parametrize(("seconds", "words"), [(901, "too old"), (-902, "in the future")])
def test_refuses_dates_over_15_minutes_away(request_sent: SentRequest, seconds: int, words: str) -> None:
    """A request is good for 15 minutes either way."""
    assert words in refusal(request_sent, later=seconds)


@pytest.mark.parametrize("seconds", [890, -890])
def test_accepts_dates_within_15_minutes(request_sent: SentRequest, seconds: int) -> None:
    """Clocks that differ by less than 15 minutes are no reason to refuse."""
    verify(request_sent, later=seconds)


NOW = datetime(2026, 1, 22, 12, 0, tzinfo=timezone.utc)


def token(**changes: Any) -> str:
    claims = {
        "aud": BATCH_AUDIENCE,
        "iss": "https://sts.windows.net/11111111-1111-1111-1111-111111111111/",
        "nbf": NOW.timestamp() - 60,
        "exp": NOW.timestamp() + 60,
    } | changes
    payload = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    header, body = (
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"none"}', payload)
    )
    return f"Bearer {header}.{body}.signature"


def token_refusal(header: str) -> str:
    with pytest.raises(BatchError) as caught:
        verify_bearer_token(header, now=NOW)
    assert (caught.value.status, caught.value.code) == (401, "AuthenticationFailed")
    return dict(caught.value.values)["AuthenticationErrorDetail"]


@pytest.mark.parametrize("issuer", ["https://sts.windows.net/t/", "https://login.microsoftonline.com/t/v2.0"])
def test_accepts_a_token_of_microsoft_entra(issuer: str) -> None:
    """A token for the Batch service, issued by Entra and valid now, gives its claims."""
    assert verify_bearer_token(token(iss=issuer), now=NOW)["iss"] == issuer


@pytest.mark.parametrize(
    "audience", ["https://batch.core.windows.net", "https://storage.azure.com/", None, 5]
)
def test_refuses_another_audience(audience: object) -> None:
    """The audience must be the service's to the last slash, as the service demands."""
    assert "exactly match (including forward slash)" in token_refusal(token(aud=audience))


@pytest.mark.parametrize("issuer", ["https://accounts.example.com/", None, 5])
def test_refuses_another_issuer(issuer: object) -> None:
    """Only tokens of Microsoft Entra are taken."""
    assert "issuer" in token_refusal(token(iss=issuer)).lower()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": NOW.timestamp()}, "expired"),
        ({"exp": None}, "missing an expiration"),
        ({"exp": "tomorrow"}, "missing an expiration"),
        ({"exp": True}, "missing an expiration"),
        ({"nbf": NOW.timestamp() + 1}, "not yet valid"),
    ],
)
def test_refuses_a_token_out_of_its_time(changes: dict[str, object], words: str) -> None:
    """A token is good from its start to its end, and one without an end is not good at all."""
    assert words in token_refusal(token(**changes))


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer a.b", "Bearer a.!!.c", "Bearer a.W10.c", "Bearer a.eA.c", "Basic a.b.c"]
)
def test_refuses_what_is_no_token(header: str) -> None:
    """Whatever is not a JSON Web Token with an object in it is refused, never an exception."""
    assert token_refusal(header)
