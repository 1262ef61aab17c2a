"""The socket between the service and the node agent: one JSON array a line, each way.

The service says

    ["start", name, {program, arguments, directory, environment, stdout, stderr, appends, leaves_running,
                     deadline}]
    ["signal", name, number]      to the process group of a running command, which then leaves nothing running
    ["forget", name, ...]         their ends have been written down by the service
    ["settled"]                   what becomes of all that ran before has been written down, too
    ["quit"]                      kill everything and end

and is told `["hello", running, ended, knows]` once, then `["started", name, pid]` and `["ended", name, code,
error, may_have_left]`. `name` is that of an attempt, never used twice. `may_have_left`: something that the
command has started may still run, outside of its process group.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import orjson

# More would be memory that the system maps and takes back for each message.
_READ_BYTES = 1 << 16
_NAME = "agent.socket"

Message = list[Any]


class AgentSocket:
    """The service's end. What is said is gathered until it is sent, and nobody waits for that; what is heard
    is waited for until it is watched."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._unread = b""
        self._unsent = bytearray()

    def wait_for_message(self, seconds: float) -> Message:
        """The next one. Raises OSError if it does not come."""
        ends_at = monotonic() + seconds
        while b"\n" not in self._unread:
            self._wait_until(ends_at)
            self._unread += self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def watch(self, hear: Callable[[Message], None], lost: Callable[[], None]) -> None:
        """Have `hear` called with each message, and `lost` once when the agent is gone."""
        self._connection.setblocking(False)
        asyncio.get_running_loop().add_reader(self._connection, self._read, hear, lost)

    def _read(self, hear: Callable[[Message], None], lost: Callable[[], None]) -> None:
        try:
            received = self._receive()
        except BlockingIOError:
            return
        except OSError:
            lost()
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            hear(orjson.loads(line))

    def _receive(self) -> bytes:
        received = self._connection.recv(_READ_BYTES)
        if not received:
            raise ConnectionError("The node agent has ended")
        return received

    def say(self, *message: Any) -> None:
        self._unsent += _encode(message)

    def send(self) -> None:
        """Send what has been said, as soon as the agent takes it."""
        loop = asyncio.get_running_loop()
        with suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                sent = self._connection.send(self._unsent)
                del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._connection, self.send)
        else:
            loop.remove_writer(self._connection)

    def say_last(self, *message: Any, seconds: float) -> bool:
        """Say this, and wait until the agent has ended; whether it has. Not in the event loop."""
        ends_at = monotonic() + seconds
        try:
            self._wait_until(ends_at)
            self._connection.sendall(bytes(self._unsent) + _encode(message))
            while True:
                self._wait_until(ends_at)
                self._receive()
        except OSError as error:
            return not isinstance(error, TimeoutError)

    def _wait_until(self, ends_at: float) -> None:
        """Have the next call end by then, whatever the agent has told until now. Raises TimeoutError."""
        left = ends_at - monotonic()
        if left <= 0:
            raise TimeoutError("The node agent has not ended in time")
        self._connection.settimeout(left)

    def unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._connection)
        loop.remove_writer(self._connection)

    def close(self) -> None:
        self._connection.close()


def _encode(message: tuple[Any, ...]) -> bytes:
    try:
        return orjson.dumps(message) + b"\n"
    except TypeError:
        # A path that is no UTF-8 has characters that only the standard library writes.
        return json.dumps(message).encode() + b"\n"


def connect(folder: Path) -> AgentSocket:
    """Raises OSError where no agent listens."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(folder) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return AgentSocket(connection)


def listen(folder: Path) -> socket.socket:
    """The agent's end. Only the user of the service gets at it: who can speak to it can run programs."""
    (folder / _NAME).unlink(missing_ok=True)
    folder.chmod(0o700)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(folder) as path:
            listener.bind(path)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """The socket's path in few characters: only about a hundred are allowed."""
    if not os.path.isdir("/proc/self/fd"):
        yield str(folder / _NAME)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)
