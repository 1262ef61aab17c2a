"""One small request and its answer over a kept connection, for a tenth of what a general client takes.

For what is done once for each file of a run. It knows the plain case alone: HTTP/1.1, a body whose length is
told, no proxy. Whatever else happens raises Unusual, and the caller asks again through the client that knows
all cases, has the retries and the words for errors.
"""

import os
import socket
import ssl
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from io import BufferedReader
from urllib.parse import SplitResult, urlsplit

import certifi
import requests.utils

from tasks.deadlines import LEAST_SECONDS, current_deadline

TIMEOUT_SECONDS = 10.0
# A connection that was idle for longer may be closed at the other end, which is seen too late.
IDLE_SECONDS = 20.0
# After a failure the other client has the endpoint to itself for so long.
RESTING_SECONDS = 30.0
LINE_MAX_BYTES = 65536
HEADERS_MAX = 200


class Unusual(Exception):
    """Not the plain case: the request may or may not have been done."""


class NoAnswer(Unusual):
    """The other end has closed the connection instead."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By their names in lower case."""

    body: bytes = field(repr=False)


class Connection:
    """One connection to an endpoint."""

    def __init__(self, endpoint: SplitResult):
        host, port = endpoint.hostname or "", endpoint.port
        is_secure = endpoint.scheme == "https"
        plain = socket.create_connection((host, port or (443 if is_secure else 80)), _find_timeout())
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = (
            _trust(_name_authorities()).wrap_socket(plain, server_hostname=host) if is_secure else plain
        )
        self._answers: BufferedReader = self._socket.makefile("rb")
        self.used_seconds = time.monotonic()

    def exchange(self, request: bytes, body_max_bytes: int) -> Answer:
        """Send a request and read its answer. Raises OSError or Unusual, and then is of no more use."""
        self._socket.settimeout(_find_timeout())
        self._socket.sendall(request)
        status, headers = self._read_status(), self._read_headers()
        if "transfer-encoding" in headers or headers.get("connection", "").lower() == "close":
            raise Unusual("the answer has no length, or is the last one")
        length = headers.get("content-length", "")
        size_bytes = int(length) if length.isdecimal() else -1
        if not 0 <= size_bytes <= body_max_bytes:
            raise Unusual(f"the answer has {size_bytes} bytes")
        body = self._answers.read(size_bytes)
        if len(body) != size_bytes:
            raise Unusual("the answer ends early")
        self.used_seconds = time.monotonic()
        return Answer(status, headers, body)

    def _read_status(self) -> int:
        line = self._answers.readline(LINE_MAX_BYTES)
        if not line:
            raise NoAnswer("the connection was closed")
        parts = line.split(None, 2)
        if len(parts) < 2 or parts[0] != b"HTTP/1.1" or not parts[1].isdigit():
            raise Unusual("there is no status line")
        return int(parts[1])

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(HEADERS_MAX):
            line = self._answers.readline(LINE_MAX_BYTES)
            if line in (b"\r\n", b"\n"):
                return headers
            name, colon, value = line.partition(b":")
            if not colon:
                break
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        raise Unusual("the headers can't be read")

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


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

    def exchange(self, request: bytes, body_max_bytes: int) -> Answer:
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
        except (OSError, NoAnswer) as error:
            self._resting_until_seconds = time.monotonic() + RESTING_SECONDS
            raise Unusual(str(error)) from error

    def _exchange(self, connection: Connection, request: bytes, body_max_bytes: int) -> Answer:
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
