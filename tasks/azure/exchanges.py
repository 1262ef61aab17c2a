"""One small request and its answer over a kept connection, by the standard library's client.

For what is done once for each file of a run, in a fifth of the time that a general client takes. It knows the
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
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

import certifi
import requests.utils

from tasks.deadlines import LEAST_SECONDS, current_deadline

TIMEOUT_SECONDS = 10.0
# A connection that was idle for longer may be closed at the other end, which is seen too late.
IDLE_SECONDS = 20.0
# After a failure the other client has the endpoint to itself for so long.
RESTING_SECONDS = 30.0


class Unusual(Exception):
    """Not the plain case: the request may or may not have been done."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By their names in lower case."""

    body: bytes = field(repr=False)


class Connection:
    """One connection to an endpoint."""

    def __init__(self, endpoint: SplitResult):
        self._client = _connect(endpoint)
        self.used_seconds = time.monotonic()

    def exchange(self, request: Request, body_max_bytes: int) -> Answer:
        """Send a request and read its answer. Raises OSError, HTTPException or Unusual, and then is of no
        more use."""
        self._client.sock.settimeout(_find_timeout())
        self._client.request(request.method, request.path, request.body or None, dict(request.headers))
        answer = self._client.getresponse()
        if answer.length is None or answer.will_close:
            raise Unusual("the answer has no length, or is the last one")
        if answer.length > body_max_bytes:
            raise Unusual(f"the answer has {answer.length} bytes")
        body = answer.read()
        self.used_seconds = time.monotonic()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    def close(self) -> None:
        self._client.close()


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
            except (OSError, HTTPException, Unusual):
                # It may have been closed at the other end.
                pass
        try:
            return self._exchange(Connection(self.url), request, body_max_bytes)
        except OSError as error:
            # An end without an answer, which is an HTTPException too, comes first here.
            self._resting_until_seconds = time.monotonic() + RESTING_SECONDS
            raise Unusual(str(error)) from error
        except HTTPException as error:
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
