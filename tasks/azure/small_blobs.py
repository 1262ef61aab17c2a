"""Small blobs, written and read by one plain request each, and any blob's properties.

What a run does for each of its files; all else, and these too where anything is unusual, is done by the
storage client, which takes ten times as long. None in an answer here means that: do it by the client.
Why: docs/decisions/0014-small-blobs-by-plain-requests.md.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import cache, lru_cache
from urllib.parse import quote

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient

from tasks.azure.answers import Answer, Unusual
from tasks.azure.exchanges import Endpoint, Request
from tasks.azure.foreign_answers import is_foreign

SIZE_MAX_BYTES = 1024 * 1024
API_VERSION = "2021-12-02"
CONTENT_TYPE = "application/octet-stream"
SCOPE = "https://storage.azure.com/.default"
# A token is renewed so long before its end.
TOKEN_MARGIN_SECONDS = 300
METADATA = "x-ms-meta-"


@dataclass(frozen=True)
class SmallBlob:
    """A blob with its content."""

    content: bytes = field(repr=False)
    content_md5: bytes | None
    etag: str
    modified_at: datetime
    metadata: dict[str, str]


def write(service: BlobServiceClient, container: str, name: str, content: bytes, md5: bytes) -> str | None:
    """Write a blob with its MD5, which the service compares; its ETag, or None if the client has to do it."""
    headers = {
        "Content-Length": str(len(content)),
        "Content-MD5": base64.b64encode(md5).decode(),
        "Content-Type": CONTENT_TYPE,
        "x-ms-blob-type": "BlockBlob",
    }
    answer = _exchange(service, "PUT", container, name, headers, content)
    if answer is None or answer.status != 201:
        return None
    return answer.headers.get("etag", "").strip('"') or None


def read(service: BlobServiceClient, container: str, name: str) -> SmallBlob | None:
    """Read a blob; None if the client has to do it, as it has if there is no such blob, or a large one."""
    answer = _exchange(service, "GET", container, name, {}, b"")
    if answer is None or answer.status != 200 or not {"etag", "last-modified"} <= answer.headers.keys():
        return None
    return SmallBlob(answer.body, *read_properties(answer.headers))


def look(service: BlobServiceClient, container: str, name: str) -> Answer | None:
    """Ask for a blob's properties; the answer, 200 or 404, or None if the client has to do it."""
    answer = _exchange(service, "HEAD", container, name, {}, b"")
    if answer is None or answer.status not in (200, 404):
        return None
    is_whole = answer.status == 404 or {"etag", "last-modified", "content-length"} <= answer.headers.keys()
    return answer if is_whole else None


def read_properties(headers: Mapping[str, str]) -> tuple[bytes | None, str, datetime, dict[str, str]]:
    """MD5, ETag, time of the last change and metadata, as headers have them."""
    md5 = headers.get("content-md5")
    metadata = {name[len(METADATA) :]: value for name, value in headers.items() if name.startswith(METADATA)}
    return (
        base64.b64decode(md5) if md5 else None,
        headers["etag"].strip('"'),
        _read_time(headers["last-modified"]),
        metadata,
    )


# Many blobs of a run were written in the same second.
_read_time = lru_cache(maxsize=64)(parsedate_to_datetime)


def _exchange(
    service: BlobServiceClient,
    method: str,
    container: str,
    name: str,
    headers: dict[str, str],
    content: bytes,
) -> Answer | None:
    channel = _open_channel(service)
    if channel is None:
        return None
    path = f"{channel.endpoint.url.path}/{container}/{quote(name, safe='~/')}"
    try:
        request = Request(method, path, _sign(channel, method, path, headers), content)
        answer = channel.endpoint.exchange(request, SIZE_MAX_BYTES)
        return None if is_foreign("Storage", answer.headers) else answer
    except (AzureError, Unusual):
        return None


@dataclass
class Channel:
    """An account's endpoint, and what signs requests to it: the account's key, or tokens."""

    endpoint: Endpoint
    account: str
    key: bytes | None
    credential: TokenCredential | None
    token: AccessToken | None = None


@cache
def _open_channel(service: BlobServiceClient) -> Channel | None:
    """None for an account whose requests something else signs, such as a signature in its URL."""
    credential, key = service.credential, getattr(service.credential, "account_key", None)
    tokens = credential if hasattr(credential, "get_token") else None
    if key is None and tokens is None:
        return None
    decoded = base64.b64decode(key) if key else None
    return Channel(Endpoint(service.url), service.account_name or "", decoded, tokens)


def _sign(channel: Channel, method: str, path: str, headers: dict[str, str]) -> dict[str, str]:
    """The headers with those that say who asks, and when."""
    sent = {**headers, "x-ms-date": formatdate(usegmt=True), "x-ms-version": API_VERSION}
    return {**sent, "Authorization": _authorize(channel, method, path, sent)}


def _authorize(channel: Channel, method: str, path: str, headers: dict[str, str]) -> str:
    """The header Authorization, as "Authorize with Shared Key" describes it, or with a token."""
    if channel.key is None:
        return f"Bearer {_get_token(channel)}"
    own = sorted(f"{name}:{value}" for name, value in headers.items() if name.startswith("x-ms-"))
    length = headers.get("Content-Length", "")
    plain = [
        method,
        *("", ""),
        "" if length == "0" else length,
        headers.get("Content-MD5", ""),
        headers.get("Content-Type", ""),
        *("", "", "", "", "", ""),
        *own,
        f"/{channel.account}{path}",
    ]
    digest = hmac.digest(channel.key, "\n".join(plain).encode(), hashlib.sha256)
    return f"SharedKey {channel.account}:{base64.b64encode(digest).decode()}"


def _get_token(channel: Channel) -> str:
    """The token in use, or a new one where that ends soon. Raises AzureError."""
    token = channel.token
    if token is None or token.expires_on - time.time() < TOKEN_MARGIN_SECONDS:
        assert channel.credential is not None
        token = channel.token = channel.credential.get_token(SCOPE)
    return token.token
