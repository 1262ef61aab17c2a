"""HTTP between nodes and storage: one client and one limit for all nodes of an emulator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from xml.etree import ElementTree

import httpx

READ_BYTES = 256 * 1024
_CONNECT_TIMEOUT_SECONDS = 10
_MAX_ERROR_BYTES = 64 * 1024
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# No proxy between this machine and itself, whatever the environment says.
_DIRECT: dict[str, None] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}

T = TypeVar("T")


class StorageError(Exception):
    """An answer with status >= 400; `code` is storage's error code, or empty."""

    def __init__(self, status: int, code: str):
        self.status = status
        self.code = code
        super().__init__(f"HTTP status {status} {code}".rstrip())


@dataclass(slots=True)
class Transfers:
    """Requests to storage, at most `limit` under way at once, those that met a passing fault tried again.

    `retry_delays_seconds` has one pause for each further try. `timeout_seconds` is the longest silence of
    storage. Belongs to one event loop from its first use.
    """

    limit: int = 16
    timeout_seconds: float = 60
    retry_delays_seconds: tuple[float, ...] = (0.2, 1.0, 3.0)
    _client: httpx.AsyncClient | None = None
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.limit)

    async def attempt(self, request: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        """What `request` returns, tried again after a passing fault. Raises what its last try raised:
        StorageError, httpx.HTTPError, httpx.InvalidURL, or an error of its own."""
        for delay_seconds in self.retry_delays_seconds:
            try:
                return await self._once(request)
            except (StorageError, httpx.TransportError) as error:
                if not _is_passing(error):
                    raise
            await asyncio.sleep(delay_seconds)
        return await self._once(request)

    async def _once(self, request: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        async with self._places:
            if self._client is None:
                self._client = _open_client(self.limit, self.timeout_seconds)
            return await request(self._client)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _open_client(limit: int, timeout_seconds: float) -> httpx.AsyncClient:
    timeout = httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_TIMEOUT_SECONDS))
    # `Transfers` counts the requests itself: thousands that wait would slow the client's own queue down.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=limit)
    return httpx.AsyncClient(timeout=timeout, limits=limits, mounts=_DIRECT)


def _is_passing(error: Exception) -> bool:
    if isinstance(error, StorageError):
        return error.status in _PASSING_STATUSES
    return not isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError))


@asynccontextmanager
async def answer(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes | AsyncIterator[bytes] | None = None,
) -> AsyncIterator[httpx.Response]:
    """A successful answer, its body not yet read. Raises StorageError for any other, and httpx.InvalidURL for
    a URL that can lead nowhere."""
    response = await _send(client, method, url, dict(headers), content)
    try:
        if response.status_code >= 400:
            raise StorageError(response.status_code, await _error_code(response))
        yield response
    finally:
        await response.aclose()


async def _send(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: dict[str, str],
    content: bytes | AsyncIterator[bytes] | None,
) -> httpx.Response:
    try:
        request = client.build_request(method, _checked(url), headers=headers, content=content)
        return await client.send(request, stream=True, follow_redirects=method == "GET")
    except ValueError as error:
        # URLs are any text that clients give, and httpx does not refuse each as such.
        raise httpx.InvalidURL(str(error)) from error


def _checked(url: str) -> httpx.URL:
    parsed = httpx.URL(url)
    if parsed.port is not None and not 0 < parsed.port < 65536:
        # The socket would say so, in an error that is not httpx's.
        raise httpx.InvalidURL(f"There is no port {parsed.port}")
    return parsed


async def _error_code(response: httpx.Response) -> str:
    code = response.headers.get("x-ms-error-code")
    if code or "xml" not in response.headers.get("content-type", ""):
        return code or ""
    body = b""
    async for chunk in response.aiter_bytes():
        body = (body + chunk)[:_MAX_ERROR_BYTES]
    try:
        return ElementTree.fromstring(body).findtext("Code", "")
    except ElementTree.ParseError:
        return ""


async def for_each(action: Callable[[T], Awaitable[None]], items: Sequence[T], width: int) -> None:
    """`action` on each item, `width` at once. The first error ends the others and is raised."""
    if len(items) == 1:
        await action(items[0])
        return
    source = iter(items)

    async def work() -> None:
        for item in source:
            await action(item)

    workers = [asyncio.ensure_future(work()) for _ in range(min(width, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def read_slice(
    path: str | os.PathLike[str], offset: int, size_bytes: int
) -> AsyncGenerator[bytes, None]:
    """Exactly these bytes of a file, in pieces. Raises OSError if it has become shorter."""
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        while size_bytes > 0:
            piece = file.read(min(READ_BYTES, size_bytes))
            if not piece:
                raise OSError(f"{path} became shorter while it was read")
            size_bytes -= len(piece)
            yield piece
