"""Who may call: SharedKey signatures, Microsoft Entra bearer tokens, and tasks with a token for their job.

Source: REST documentation page "Authenticate Requests to the Azure Batch Service", and how the official
clients really sign, which differs in small ways; every honest variant is accepted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeGuard
from urllib.parse import unquote

from batch_emulator.api.times import parse_http_date
from batch_emulator.errors import BatchError
from batch_emulator.job_tokens import read_token

Query = Sequence[tuple[str, str]]

SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
"""The standard headers that a signature is over, in this order."""

_MAX_REQUEST_AGE = timedelta(minutes=15)

BATCH_AUDIENCE = "https://batch.core.windows.net/"

_ISSUERS = (
    "https://sts.windows.net/",
    "https://login.microsoftonline.com/",
)


@dataclass(frozen=True, slots=True)
class Access:
    """What opens the account: its key, and access tokens too with `oauth` (`basic`)."""

    account: str
    key_bytes: bytes = field(repr=False)
    oauth: str | None = None


def verify(
    access: Access, *, method: str, path: str, query: Query, headers: Mapping[str, str], now: datetime
) -> None:
    """Raise 403 or 401 unless the request is signed with the account's key or brings an access token: of
    Microsoft Entra, or the one that a task was given for its job."""
    authorization = headers.get("authorization", "")
    if not authorization.lower().startswith("bearer"):
        verify_shared_key(
            method=method,
            path=path,
            query=query,
            headers=headers,
            account=access.account,
            key_bytes=access.key_bytes,
            now=now,
        )
    elif job_id := read_token(access.key_bytes, authorization.partition(" ")[2]):
        _check_job_path(path, job_id)
    elif access.oauth:
        verify_bearer_token(authorization, now=now)
    else:
        raise _unauthorized("This service takes access tokens only when it is started with --oauth basic.")


def _check_job_path(path: str, job_id: str) -> None:
    """403 unless the request is about this job. `path` is percent-encoded."""
    allowed = f"/jobs/{job_id}/".lower()
    if not f"{unquote(path)}/".lower().startswith(allowed):
        raise BatchError("InsufficientPermissions")


def verify_shared_key(
    *,
    method: str,
    path: str,
    query: Query,
    headers: Mapping[str, str],
    account: str,
    key_bytes: bytes,
    now: datetime,
) -> None:
    """Raise 403 AuthenticationFailed unless the request is signed with the account's key within 15 minutes.

    `path` is percent-encoded as it was sent, `query` decoded, the names in `headers` are in lower case.
    """
    claimed, signature = _parse_authorization(headers.get("authorization", ""))
    if claimed.lower() != account.lower():
        raise failed(
            f"Cannot find the claimed account when trying to GetProperties for the account {claimed}."
        )
    _check_date(headers, now)
    resource = f"/{claimed}{path}"
    first = None
    for text in _signable_texts(method, resource, query, headers):
        digest = base64.b64encode(hmac.digest(key_bytes, text.encode(), hashlib.sha256))
        if hmac.compare_digest(digest, signature.encode()):
            return
        first = first or text
    raise failed(
        f"The MAC signature found in the HTTP request '{signature}' is not the same as any computed "
        f"signature. Server used following string to sign: '{first}'."
    )


def _parse_authorization(value: str) -> tuple[str, str]:
    """`SharedKey account:signature` -> (account, signature)."""
    scheme, _, rest = value.partition(" ")
    account, colon, signature = rest.strip().partition(":")
    if not value:
        raise failed("The Authorization header is missing.")
    if scheme.lower() != "sharedkey" or not colon or not account or not signature:
        raise failed("The Authorization header is not of the form 'SharedKey <account>:<signature>'.")
    return account, signature


def _check_date(headers: Mapping[str, str], now: datetime) -> None:
    text = headers.get("ocp-date") or headers.get("date")
    if not text:
        raise failed("The Date header in the request is missing: ocp-date or Date must be given.")
    try:
        sent = parse_http_date(text)
    except ValueError:
        raise failed(f"The Date header in the request is incorrect: '{text}'") from None
    if now - sent > _MAX_REQUEST_AGE:
        raise failed(f"Request date header too old: '{text}'")
    if sent - now > _MAX_REQUEST_AGE:
        raise failed(f"Request date header is in the future: '{text}'")


def _signable_texts(method: str, resource: str, query: Query, headers: Mapping[str, str]) -> Iterator[str]:
    """Every text that an honest client may have signed, the likeliest first.

    Clients differ in an absent or zero Content-Length, in whether a Date beside ocp-date counts, in whether
    query names are put in lower case, whether empty query values count, and in names that are given twice.
    """
    extensions = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in _ocp_names(headers))
    resources = list(dict.fromkeys(resource + text for text in _query_texts(query)))
    for length, date, target in itertools.product(lengths(headers), dates(headers), resources):
        known = {**headers, "content-length": length, "date": date}
        standard = "\n".join(known.get(name, "") for name in SIGNED_HEADERS)
        yield f"{method}\n{standard}\n{extensions}{target}"


def _ocp_names(headers: Mapping[str, str]) -> list[str]:
    return sorted(name for name in headers if name.startswith("ocp-") and headers[name])


def lengths(headers: Mapping[str, str]) -> Iterable[str]:
    length = headers.get("content-length", "")
    return ("0", "") if length == "0" else ("", "0") if not length else (length,)


def dates(headers: Mapping[str, str]) -> Iterable[str]:
    date = headers.get("date", "")
    return (date, "") if date and "ocp-date" in headers else (date,)


def _query_texts(query: Query) -> Iterator[str]:
    for lower, keep_empty, join in itertools.product((False, True), repeat=3):
        values: dict[str, list[str]] = {}
        for name, value in query:
            if value or keep_empty:
                values.setdefault(name.lower() if lower else name, []).append(value)
        yield "".join(
            f"\n{name}:{','.join(sorted(values[name])) if join else values[name][0]}"
            for name in sorted(values)
        )


def verify_bearer_token(header: str, *, now: datetime, audience: str = BATCH_AUDIENCE) -> dict[str, Any]:
    """The claims of a token for `audience` that is valid `now`; 401 AuthenticationFailed for any other.

    As with Azurite's `--oauth basic` the signature is not checked. The audience must match to the last
    slash, as the service demands.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized("The Authorization header is not of the form 'Bearer <token>'.")
    claims = _decode_claims(token.strip())
    _check_audience(claims.get("aud"), audience)
    _check_issuer(claims.get("iss"))
    _check_lifetime(claims, now.timestamp())
    return claims


def _decode_claims(token: str) -> dict[str, Any]:
    """The payload of a JSON Web Token."""
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError(token)
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        claims = json.loads(payload)
    except (ValueError, binascii.Error, RecursionError):
        raise _unauthorized("The access token is not a valid JSON Web Token.") from None
    if not isinstance(claims, dict):
        raise _unauthorized("The access token is not a valid JSON Web Token.")
    return claims


def _check_audience(claimed: Any, audience: str) -> None:
    if claimed != audience and not (isinstance(claimed, list) and audience in claimed):
        raise _unauthorized(
            f"The access token has been obtained from wrong audience or resource '{claimed}'. It should "
            f"exactly match (including forward slash) with one of the allowed audiences '{audience}'"
        )


def _check_issuer(issuer: Any) -> None:
    if not isinstance(issuer, str) or not issuer.startswith(_ISSUERS):
        raise _unauthorized(
            f"Issuer validation failed. The access token is from the wrong issuer '{issuer}'."
        )


def _check_lifetime(claims: Mapping[str, Any], now: float) -> None:
    """Compare `nbf` and `exp`, seconds since 1970, with `now`; a token without an end is refused."""
    start, end = claims.get("nbf", 0), claims.get("exp")
    if not _is_number(start) or not _is_number(end):
        raise _unauthorized("Lifetime validation failed. The token is missing an expiration time.")
    if now < start:
        raise _unauthorized("Lifetime validation failed. The token is not yet valid.")
    if now >= end:
        raise _unauthorized("Lifetime validation failed. The token is expired.")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def failed(detail: str) -> BatchError:
    """403, as for a signature that is wrong."""
    return BatchError("AuthenticationFailed", ("AuthenticationErrorDetail", detail))


def _unauthorized(detail: str) -> BatchError:
    """401, as for a bearer token that is wrong."""
    error = failed(detail)
    error.status = 401
    error.message = error.message.replace(" including the signature", "")
    error.headers = {
        "WWW-Authenticate": f'Bearer authorization_uri="{_ISSUERS[1]}common/oauth2/authorize", '
        f'resource_id="{BATCH_AUDIENCE}"'
    }
    return error
