"""One small request and its answer over a kept connection, read by httptools.

For what is done once for each file of a run, in a tenth of the time that a general client takes. It knows the
plain case alone: a body whose length is told, no proxy. Whatever else happens raises Unusual, and the caller
asks again through the client that knows all cases, has the retries and the words for errors.
"""

import os
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

import certifi
import requests.utils

from tasks.azure.answers import Answer, Unusual, read_answer
from tasks.base.deadlines import LEAST_SECONDS, current_deadline

TIMEOUT_SECONDS = 10.0
READ_BYTES = 1 << 16
# A connection that was idle for longer may be closed at the other end, which is seen too late.
IDLE_SECONDS = 20.0
# After a failure the other client has the endpoint to itself for so long.
RESTING_SECONDS = 30.0


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


class Connection:
    """One connection to an endpoint."""

    def __init__(self, endpoint: SplitResult):
        self._client = _connect(endpoint)
        self._host = endpoint.netloc.rpartition("@")[2]
        self.used_seconds = time.monotonic()

    def exchange(self, request: Request, body_max_bytes: int) -> Answer:
        """Send a request and read its answer. Raises OSError or Unusual, and then is of no more use."""
        socket = self._client.sock
        socket.settimeout(_find_timeout())
        socket.sendall(_write_head(request, self._host) + request.body)
        answer = read_answer(lambda: socket.recv(READ_BYTES), request.method != "HEAD", body_max_bytes)
        self.used_seconds = time.monotonic()
        return answer

    def close(self) -> None:
        self._client.close()


def _write_head(request: Request, host: str) -> bytes:
    """The request's line and headers. Raises Unusual for what can't stand in them."""
    lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(lines)
    if not head.isascii() or head.count("\n") + 1 != len(lines) or head.count("\r") + 1 != len(lines):
        raise Unusual("a header that is more than a line, or not ASCII")
    return f"{head}\r\n\r\n".encode()


def _connect(endpoint: SplitResult) -> HTTPConnection:
    host, port, timeout = endpoint.hostname or "", endpoint.port, _find_timeout()
    if endpoint.scheme == "https":
        client: HTTPConnection = HTTPSConnection(
            host, port, timeout=timeout, context=_trust(_name_authorities())
        )
    else:
        client = HTTPConnection(host, port, timeout=timeout)
    client.connect()
    return client


def _find_timeout() -> float:
    """No longer than the run has time. Raises Unusual if it has none: the other client says so."""
    left = current_deadline().seconds_left
    if left <= LEAST_SECONDS:
        raise Unusual("there is no time left")
    return min(TIMEOUT_SECONDS, left)


def _name_authorities() -> str:
    """The file, or folder, of the authorities that the other client trusts too."""
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return next((path for name in variables if (path := os.environ.get(name))), certifi.where())


@cache
def _trust(authorities: str) -> ssl.SSLContext:
    if os.path.isdir(authorities):
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)


class Endpoint:
    """The kept connections to one service, for many threads: as many as there are at once."""

    def __init__(self, url: str):
        self.url = urlsplit(url.rstrip("/"))
        self.has_proxy = bool(requests.utils.get_environ_proxies(url))
        # Taken and given back at one end, without a lock, so that few are used where few are needed.
        self._idle: deque[Connection] = deque()
        self._resting_until_seconds = 0.0
        self._process_id = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def exchange(self, request: Request, body_max_bytes: int) -> Answer:
        """Send a request that may be sent twice, and read its answer. Raises Unusual."""
        if self.has_proxy or time.monotonic() < self._resting_until_seconds:
            raise Unusual("the other client has to do it")
        connection = self._take_idle()
        if connection is not None:
            try:
                return self._exchange(connection, request, body_max_bytes)
            except TimeoutError as error:
                self._resting_until_seconds = time.monotonic() + RESTING_SECONDS
                raise Unusual(str(error)) from error
            except (OSError, Unusual):
                # It may have been closed at the other end.
                pass
        try:
            return self._exchange(Connection(self.url), request, body_max_bytes)
        except OSError as error:
            self._resting_until_seconds = time.monotonic() + RESTING_SECONDS
            raise Unusual(str(error)) from error

    def _exchange(self, connection: Connection, request: Request, body_max_bytes: int) -> Answer:
        try:
            answer = connection.exchange(request, body_max_bytes)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if answer.status < 400:
            current_deadline().note_answer()
        return answer

    def _take_idle(self) -> Connection | None:
        if self._process_id != os.getpid():
            # Those are the parent's too.
            self.close()
            self._process_id = os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if time.monotonic() - connection.used_seconds < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close the connections that are not in use."""
        _close_all(self._idle)


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        connections.pop().close()
