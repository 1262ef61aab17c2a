"""Small blobs, written and read by one plain request each, many or one, and any blob's properties.

What a run does for each of its files; all else, and these too where anything is unusual, is done by the
storage client, which takes ten times as long. None in an answer here means that: do it by the client.
Why: docs/decisions/0014-small-blobs-by-plain-requests.md.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import cache, lru_cache
from urllib.parse import quote

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient

from tasks.azure.answers import Answer
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


@dataclass(frozen=True)
class NewBlob:
    """A blob as it is to be."""

    name: str
    content: bytes = field(repr=False)
    md5: bytes


def write(service: BlobServiceClient, container: str, blob: NewBlob) -> str | None:
    """Write a blob with its MD5, which the service compares; its ETag, or None if the client has to do it."""
    return _read_written(_exchange(service, _ask_to_write(container, blob)))


def write_all(service: BlobServiceClient, container: str, blobs: Iterable[NewBlob]) -> Iterator[str | None]:
    """The same for many, in their order."""
    return map(_read_written, _exchange_all(service, (_ask_to_write(container, blob) for blob in blobs)))


def _ask_to_write(container: str, blob: NewBlob) -> "Call":
    headers = {
        "Content-Length": str(len(blob.content)),
        "Content-MD5": base64.b64encode(blob.md5).decode(),
        "Content-Type": CONTENT_TYPE,
        "x-ms-blob-type": "BlockBlob",
    }
    return Call("PUT", container, blob.name, headers, blob.content)


def _read_written(answer: Answer | None) -> str | None:
    if answer is None or answer.status != 201:
        return None
    return answer.headers.get("etag", "").strip('"') or None


def read(service: BlobServiceClient, container: str, name: str) -> SmallBlob | None:
    """Read a blob; None if the client has to do it, as it has if there is no such blob, or a large one."""
    return _read_content(_exchange(service, Call("GET", container, name)))


def read_all(service: BlobServiceClient, container: str, names: Iterable[str]) -> Iterator[SmallBlob | None]:
    """The same for many, in their order."""
    return map(_read_content, _exchange_all(service, (Call("GET", container, name) for name in names)))


def _read_content(answer: Answer | None) -> SmallBlob | None:
    if answer is None or answer.status != 200 or not {"etag", "last-modified"} <= answer.headers.keys():
        return None
    return SmallBlob(answer.body, *read_properties(answer.headers))


def look(service: BlobServiceClient, container: str, name: str) -> Answer | None:
    """Ask for a blob's properties; the answer, 200 or 404, or None if the client has to do it."""
    answer = _exchange(service, Call("HEAD", container, name))
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


@dataclass(frozen=True)
class Call:
    """What is asked of a blob."""

    method: str
    container: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = field(default=b"", repr=False)


@lru_cache(maxsize=4)
def _write_time(seconds: int) -> str:
    """Asked for each of hundreds of requests in a second."""
    return formatdate(seconds, usegmt=True)


def _exchange(service: BlobServiceClient, call: Call) -> Answer | None:
    return next(_exchange_all(service, [call]))


def _exchange_all(service: BlobServiceClient, calls: Iterable[Call]) -> Iterator[Answer | None]:
    channel = _open_channel(service)
    if channel is None:
        yield from (None for _ in calls)
        return
    requests = (_build_request(channel, call) for call in calls)
    for answer in channel.endpoint.exchange_all(requests, SIZE_MAX_BYTES):
        yield None if answer is None or is_foreign("Storage", answer.headers) else answer


def _build_request(channel: "Channel", call: Call) -> Request | None:
    """None where it can't be signed, of which the client has the words."""
    path = f"{channel.endpoint.url.path}/{call.container}/{quote(call.name, safe='~/')}"
    try:
        return Request(call.method, path, _sign(channel, call.method, path, call.headers), call.content)
    except AzureError:
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


def _sign(channel: Channel, method: str, path: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with those that say who asks, and when."""
    sent = {**headers, "x-ms-date": _write_time(int(time.time())), "x-ms-version": API_VERSION}
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
