"""Small requests and their answers over kept connections, read by httptools.

For what is done once for each file of a run, in a tenth of the time that a general client takes. It knows the
plain case alone: a body whose length is told, no proxy. Whatever else happens is Unusual, and the caller
asks again through the client that knows all cases, has the retries and the words for errors.

Of many requests several are under way at once, sent and read by one thread: what waits for an answer then is
the network, and not a thread that has to be woken.
"""

import os
import ssl
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

import certifi
import requests.utils

from tasks.azure.answers import Answer, Unusual, read_answer
from tasks.azure.patience import Patience
from tasks.base.deadlines import LEAST_SECONDS, current_deadline
from tasks.base.limits import open_within

TIMEOUT_SECONDS = 10.0
# Of many requests, so many are sent before the first is answered.
UNDER_WAY = 8
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
        self.is_new = True
        """Whether nothing was answered over it so far."""

    def send(self, request: Request) -> None:
        """Raises OSError or Unusual, and then is of no more use."""
        socket = self._client.sock
        socket.settimeout(_find_timeout())
        socket.sendall(_write_head(request, self._host) + request.body)

    def receive(self, request: Request, body_max_bytes: int) -> Answer:
        """Read the answer to what was sent. Raises OSError or Unusual, and then is of no more use."""
        socket = self._client.sock
        patience = Patience(socket)

        def read() -> bytes:
            return patience.receive(lambda: socket.recv(READ_BYTES), len)

        answer = read_answer(read, request.method != "HEAD", body_max_bytes)
        self.used_seconds, self.is_new = time.monotonic(), False
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
    return open_within(timeout, lambda: _open(client))


def _open(client: HTTPConnection) -> HTTPConnection:
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
        return self._finish(self._begin(request), request, body_max_bytes)

    def exchange_all(
        self, requests: Iterable[Request | None], body_max_bytes: int
    ) -> Generator[Answer | None, None, None]:
        """The answers to requests that may be sent twice, in their order; None where the other client has to
        do it, as for a request that could not be made."""
        under_way = deque[tuple[Connection, Request] | None]()
        try:
            for request in requests:
                if len(under_way) >= UNDER_WAY:
                    yield self._end(under_way.popleft(), body_max_bytes)
                under_way.append(self._start(request))
            while under_way:
                yield self._end(under_way.popleft(), body_max_bytes)
        finally:
            for sent in filter(None, under_way):
                sent[0].close()

    def _start(self, request: Request | None) -> tuple[Connection, Request] | None:
        with suppress(Unusual):
            return (self._begin(request), request) if request else None
        return None

    def _end(self, sent: tuple[Connection, Request] | None, body_max_bytes: int) -> Answer | None:
        if sent is None:
            return None
        if self._is_resting:
            # Those sent before would each be waited for as long as the one that was not answered.
            sent[0].close()
            return None
        with suppress(Unusual):
            return self._finish(*sent, body_max_bytes)
        return None

    @property
    def _is_resting(self) -> bool:
        return time.monotonic() < self._resting_until_seconds

    def _begin(self, request: Request) -> Connection:
        """Send a request over a kept connection, else over a new one. Raises Unusual."""
        if self.has_proxy or self._is_resting:
            raise Unusual("the other client has to do it")
        connection = self._take_idle()
        if connection is not None:
            try:
                return _send(connection, request)
            except TimeoutError as error:
                raise self._give_up(error) from error
            except OSError:
                # It may have been closed at the other end.
                pass
        return self._begin_anew(request)

    def _begin_anew(self, request: Request) -> Connection:
        try:
            return _send(Connection(self.url), request)
        except OSError as error:
            raise self._give_up(error) from error

    def _finish(self, connection: Connection, request: Request, body_max_bytes: int) -> Answer:
        """Read the answer to a request. One that a kept connection was closed under is sent over a new one.
        Raises Unusual."""
        was_new = connection.is_new
        try:
            return self._receive(connection, request, body_max_bytes)
        except OSError as error:
            if was_new or isinstance(error, TimeoutError):
                raise self._give_up(error) from error
        return self._finish(self._begin_anew(request), request, body_max_bytes)

    def _give_up(self, error: OSError) -> Unusual:
        """Leave the endpoint alone for a while."""
        self._resting_until_seconds = time.monotonic() + RESTING_SECONDS
        return Unusual(str(error))

    def _receive(self, connection: Connection, request: Request, body_max_bytes: int) -> Answer:
        try:
            answer = connection.receive(request, body_max_bytes)
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


def _send(connection: Connection, request: Request) -> Connection:
    """Raises OSError or Unusual, and then the connection is closed."""
    try:
        connection.send(request)
    except BaseException:
        connection.close()
        raise
    return connection


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        connections.pop().close()
