"""How long an answer may take as a whole: a socket's timeout is for the next byte, each time.

A service, proxy or gateway that sends a byte a second would hold a call past any deadline. So all of an
answer has the seconds of its socket, and more only for what has come of it: work that gets through isn't cut
off.
"""

import io
import socket
import time
from collections.abc import Callable
from functools import cache
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

from tasks.base.deadlines import note_if_late
from tasks.base.limits import open_within

# Slower than any line that 64 threads could share in earnest.
SLOWEST_BYTES_PER_SECOND = 512
# What a socket waits that has no timeout.
UNSET_SECONDS = 60.0


class Patience:
    """The waiting for one answer. Between its parts whoever reads may take what time it needs."""

    def __init__(self, connection: socket.socket):
        self.connection = connection
        timeout = connection.gettimeout()
        self.seconds_left = self.most_seconds = UNSET_SECONDS if timeout is None else timeout

    def receive(self, read: Callable[[], Any], count: Callable[[Any], int]) -> Any:
        """The next part, by `read`; `count` says how many bytes that are. Raises TimeoutError."""
        began_seconds = time.monotonic()
        try:
            if self.seconds_left <= 0:
                raise TimeoutError("The answer came too slowly.")
            self.connection.settimeout(min(self.seconds_left, self.most_seconds))
            part = read()
        except TimeoutError:
            note_if_late()
            raise
        self.seconds_left -= time.monotonic() - began_seconds
        self.seconds_left += count(part) / SLOWEST_BYTES_PER_SECOND
        return part


class _PatientReader(io.RawIOBase):
    """What reads from a socket, as `makefile` makes it, but waits no longer for the whole."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket):
        self._raw = raw
        self._patience = Patience(connection)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._patience.receive(lambda: self._raw.readinto(buffer), lambda count: count or 0)

    def close(self) -> None:
        super().close()
        self._raw.close()


class _PatientResponse(HTTPResponse):
    """An answer with its status line, headers and body."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any):
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_PatientReader(self.fp.detach(), sock))


class _Patient:
    """Of a connection: how it is opened, and what reads its answers."""

    response_class = _PatientResponse

    def _new_conn(self: Any) -> socket.socket:
        connection: Any = super()
        try:
            return open_within(self.timeout, connection._new_conn)
        except TimeoutError as error:
            # Looking for the host's address knows no timeout, and each of several addresses has its own.
            raise ConnectTimeoutError(self, f"Connection to {self.host}: {error}") from error


@cache
def _make_patient(pool: Any) -> Any:
    """A kind of pool with patient connections, of whatever kind these are: to a service, a proxy or Socks."""
    connection = type("PatientConnection", (_Patient, pool.ConnectionCls), {})
    return type("PatientPool", (pool,), {"ConnectionCls": connection})


class PatientAdapter(HTTPAdapter):
    """What sends for a session of requests, to a service or by way of a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _make_all_patient(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        return _make_all_patient(manager) if is_new else manager


def _make_all_patient(manager: Any) -> Any:
    pools = manager.pool_classes_by_scheme.items()
    manager.pool_classes_by_scheme = {scheme: _make_patient(pool) for scheme, pool in pools}
    return manager
