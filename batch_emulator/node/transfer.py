"""HTTP between nodes and storage: one client and one limit for all nodes of an emulator."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass
from xml.etree import ElementTree

import aiohttp
from yarl import URL

READ_BYTES = 256 * 1024
_CONNECT_TIMEOUT_SECONDS = 10
# Servers close a connection that has rested: Azurite after five seconds.
_KEEPALIVE_SECONDS = 4
_MAX_ERROR_BYTES = 64 * 1024
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# All that a URL is made of; the rest has to be quoted.
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[\\]^`{|}~\"<>"
# Headers that the client would add by itself: storage would keep the one with the blob.
_NOT_ADDED = ("Content-Type", "Accept-Encoding")

T = TypeVar("T")


class TransferError(Exception):
    """A request that got no answer, or only a part of one."""


class TransferTimeoutError(TransferError):
    """Storage was silent for too long."""


class InvalidUrlError(TransferError):
    """A URL that can lead nowhere, or a header that nobody can send."""


class StorageError(Exception):
    """An answer that is no success; `code` is storage's error code, or empty."""

    def __init__(self, status: int, code: str):
        self.status = status
        self.code = code
        super().__init__(f"HTTP status {status} {code}".rstrip())


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a successful answer."""

    _response: aiohttp.ClientResponse

    async def read(self) -> bytes:
        """All of it. Raises TransferError if it breaks off."""
        return b"".join([piece async for piece in self.read_pieces()])

    async def read_pieces(self) -> AsyncIterator[bytes]:
        """As it comes. Raises TransferError if it breaks off: an error of the client may also be one of the
        system's, as which a disk fails."""
        with _translated():
            async for piece in self._response.content.iter_chunked(READ_BYTES):
                yield piece


@dataclass(slots=True)
class Transfers:
    """Requests to storage, at most `limit` under way at once, those that met a passing fault tried again.

    `retry_delays_seconds` has one pause for each further try. `timeout_seconds` is the longest silence of
    storage, and `slowest_bytes_per_second` how fast it has to take what is sent. Belongs to one event loop
    from its first use.
    """

    limit: int = 16
    timeout_seconds: float = 60
    retry_delays_seconds: tuple[float, ...] = (0.2, 1.0, 3.0)
    slowest_bytes_per_second: float = 128 * 1024
    _client: aiohttp.ClientSession | None = None
    _trusted: ssl.SSLContext | None = None
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.limit)

    async def attempt(self, request: Callable[[], Awaitable[T]]) -> T:
        """What `request` returns, tried again after a passing fault. Raises what its last try raised:
        StorageError, TransferError, or an error of its own."""
        for delay_seconds in self.retry_delays_seconds:
            try:
                return await self._once(request)
            except (StorageError, TransferError) as error:
                if not _is_passing(error):
                    raise
            await asyncio.sleep(delay_seconds)
        return await self._once(request)

    async def _once(self, request: Callable[[], Awaitable[T]]) -> T:
        async with self._places:
            return await request()

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> AsyncIterator[Answer]:
        """A successful answer, its body not yet read. Raises StorageError for any other, and InvalidUrlError
        for a URL that can lead nowhere."""
        with _translated():
            checked = _check(url)
            self._client = self._client or _make_client()
            async with self._client.request(
                method,
                checked,
                headers=headers,
                data=content,
                allow_redirects=method == "GET",
                proxy=_find_proxy(checked),
                ssl=self._trust() if checked.scheme == "https" else True,
                timeout=self._limit_time(int(headers.get("Content-Length", 0))),
            ) as response:
                # Nor has storage taken what it sends elsewhere.
                if not 200 <= response.status < 300:
                    raise StorageError(response.status, await _read_error_code(response))
                yield Answer(response)

    def _trust(self) -> ssl.SSLContext:
        """What the environment trusts (SSL_CERT_FILE) by now: the client would ask it when it is imported."""
        self._trusted = self._trusted or ssl.create_default_context()
        return self._trusted

    def _limit_time(self, sent_bytes: int) -> aiohttp.ClientTimeout:
        """The limits of a request. The client looks at no silence while it sends."""
        return aiohttp.ClientTimeout(
            total=self.timeout_seconds + sent_bytes / self.slowest_bytes_per_second if sent_bytes else None,
            sock_connect=min(self.timeout_seconds, _CONNECT_TIMEOUT_SECONDS),
            sock_read=self.timeout_seconds,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _make_client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # `Transfers` counts the requests itself.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
        # Blobs are kept as they are stored.
        auto_decompress=False,
        skip_auto_headers=_NOT_ADDED,
        cookie_jar=aiohttp.DummyCookieJar(),
        requote_redirect_url=False,
    )


def _find_proxy(url: URL) -> str | None:
    """The proxy that the environment has for a URL. The client would also take passwords from ~/.netrc, which
    storage refuses beside a SAS."""
    host = url.host or ""
    # None between this machine and itself, whatever the environment says.
    if _is_own(host) or proxy_bypass(f"{host}:{url.port}"):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _is_own(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return f".{host.lower()}".endswith(".localhost")


def _is_passing(error: StorageError | TransferError) -> bool:
    if isinstance(error, StorageError):
        return error.status in _PASSING_STATUSES
    return not isinstance(error, InvalidUrlError)


@contextmanager
def _translated() -> Iterator[None]:
    """A block whose errors of the client become our own."""
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.TooManyRedirects) as error:
        raise InvalidUrlError(str(error)) from error
    except asyncio.TimeoutError as error:
        raise TransferTimeoutError(str(error) or "storage was silent for too long") from error
    except aiohttp.ClientError as error:
        raise TransferError(str(error) or type(error).__name__) from error
    except ValueError as error:
        # The client checks hosts, ports and headers in many places, and not each raises an error of its own.
        raise InvalidUrlError(str(error)) from error


def _check(url: str) -> URL:
    """A URL as it was given, only what no URL has quoted: the client would send that, or leave it out and so
    ask for another blob. Raises InvalidUrlError."""
    try:
        parsed = URL(quote(url, safe=_URL_CHARACTERS), encoded=True)
        port = parsed.port
    except ValueError as error:
        # URLs are any text that clients give.
        raise InvalidUrlError(str(error)) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidUrlError("It is no URL of http or https")
    if not port:
        raise InvalidUrlError(f"There is no port {port}")
    return parsed


async def _read_error_code(response: aiohttp.ClientResponse) -> str:
    code = response.headers.get("x-ms-error-code")
    if code or "xml" not in response.headers.get("content-type", ""):
        return code or ""
    body = b""
    async for chunk in response.content.iter_any():
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
