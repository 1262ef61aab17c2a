"""The official client, up to the wire: what it would send, signed, without a socket."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from azure.batch import BatchClient
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline.transport import AsyncHttpTransport, HttpTransport

ACCOUNT = "testaccount"
KEY = b"a key of the account"
ENDPOINT = "http://127.0.0.1:10003"


class SentError(Exception):
    """Carries the request out of the client's pipeline, instead of an answer into it."""

    def __init__(self, request: Any):
        self.request = request


@dataclass(frozen=True)
class SentRequest:
    """A request as a server would see it: the path encoded, the query decoded, header names in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


class Wire(HttpTransport):
    def send(self, request: Any, **kwargs: Any) -> Any:
        raise SentError(request)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def __exit__(self, *args: object) -> None: ...


class AsyncWire(AsyncHttpTransport):
    async def send(self, request: Any, **kwargs: Any) -> Any:
        raise SentError(request)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def __aexit__(self, *args: object) -> None: ...


def credential(key: bytes = KEY) -> AzureNamedKeyCredential:
    return AzureNamedKeyCredential(ACCOUNT, base64.b64encode(key).decode())


def sent_by(call: Callable[[BatchClient], object], **options: Any) -> SentRequest:
    """The request that `call` makes the client send."""
    client = BatchClient(ENDPOINT, credential(), transport=Wire(), **options)
    try:
        call(client)
    except SentError as sent:
        return as_seen(sent.request)
    raise AssertionError("the client sent nothing")


async def sent_by_async(call: Callable[[AsyncBatchClient], Awaitable[object]]) -> SentRequest:
    """The request that `call` makes the asynchronous client send."""
    client = AsyncBatchClient(ENDPOINT, credential(), transport=AsyncWire())
    try:
        await call(client)
    except SentError as sent:
        return as_seen(sent.request)
    raise AssertionError("the client sent nothing")


def as_seen(request: Any) -> SentRequest:
    url = urlsplit(request.url)
    body = getattr(request, "content", None) or b""
    return SentRequest(
        method=request.method,
        path=url.path,
        query=parse_qsl(url.query, keep_blank_values=True),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body.encode() if isinstance(body, str) else body,
    )
