"""The service's end of the socket to the node agent, which is started when it is first needed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_emulator.node import agent
from batch_emulator.node.failures import AttemptFailed

_READ_BYTES = 1 << 20
_HELLO_SECONDS = 30.0
_SOCKET = "agent.socket"


@dataclass(slots=True)
class Running:
    """A command that the agent runs, or has run. `ended` has its exit code, -n for signal n; or raises
    AttemptFailed. `pid` is known soon after the start. `deadline` is one of `time.monotonic`."""

    name: str
    ended: asyncio.Future[int]
    link: AgentLink
    deadline: float | None = None
    pid: int | None = None

    def seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def signal(self, number: signal.Signals) -> None:
        """To the command's whole process group."""
        self.link.say("signal", self.name, number)


class AgentLink:
    """Starts commands through the agent of one location, whose folder for that is `folder`.

    What runs outlives the service only if it `keeps`. Belongs to one event loop from its first use.
    """

    def __init__(self, folder: Path, *, keeps: bool):
        self._folder, self._keeps = folder, keeps
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._running: dict[str, Running] = {}
        self._left: dict[str, Running] = {}
        self._unread = b""
        self._unsent = bytearray()

    def take_up(self) -> bool:
        """Whether all that an earlier service had started is known: what still runs, how the rest has ended.
        That is there to `find` then. Waits for the agent."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._socket = _connect(self._folder)
            hello = self._read_hello()
        except OSError:
            # There is none, or it was about to end: then it has left what it knows for the next one.
            if self._socket is not None:
                self._socket.close()
            self._start_agent()
            hello = self._read_hello()
        self._watch()
        self._on_hello(*hello)
        return hello[-1]

    def _read_hello(self) -> list[Any]:
        self._socket.settimeout(_HELLO_SECONDS)
        self._unread = b""
        while b"\n" not in self._unread:
            self._unread += self._receive()
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)[1:]

    def find(self, name: str) -> Running | None:
        """What an earlier service has started under this name. The caller has it then."""
        found = self._left.pop(name, None)
        if found is not None:
            self._running[name] = found
        return found

    def drop_others(self) -> None:
        """Kill what an earlier service has started and nobody has found."""
        for name, running in self._left.items():
            self._running[name] = running
            running.signal(signal.SIGKILL)
            running.ended.add_done_callback(lambda _, name=name: self.forget(name))
        self._left.clear()

    def start(self, name: str, order: dict[str, Any]) -> Running:
        """Start a command; `order` is as `agent` has it."""
        if self._socket is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._start_agent()
            self._watch()
        ended = asyncio.get_running_loop().create_future()
        self._running[name] = Running(name, ended, self, order["deadline"])
        self.say("start", name, order)
        return self._running[name]

    def forget(self, name: str) -> None:
        """How it ended has been written down, or nobody wants to know."""
        self._running.pop(name, None)
        self.say("forget", name)

    async def close(self) -> None:
        """End the agent, and with it whatever runs."""
        if self._socket is None:
            return
        self._socket.setblocking(True)
        with suppress(OSError):
            self._socket.sendall(bytes(self._unsent) + b'["quit"]\n')
        self._unsent.clear()
        closed = asyncio.get_running_loop().run_in_executor(None, _wait_for_end, self._socket, self._process)
        self._unwatch()
        await closed
        self._socket.close()
        self._socket = self._process = None

    def say(self, *message: Any) -> None:
        """Tell the agent, if there is one."""
        if self._socket is None:
            return
        self._unsent += json.dumps(message).encode() + b"\n"
        self._send()

    def _send(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
        if self._unsent:
            loop.add_writer(self._socket, self._send)
        else:
            loop.remove_writer(self._socket)

    def _watch(self) -> None:
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _start_agent(self) -> None:
        with _listen(self._folder) as listener, (self._folder / "agent.log").open("ab") as log:
            # It finds this knocking when it starts, and so its end if the service dies before that.
            self._socket = _connect(self._folder)
            python = (sys.executable, "-X", "utf8", "-I", "-S")
            way = "keeps" if self._keeps else "ends"
            self._process = subprocess.Popen(
                [*python, agent.__file__, str(listener.fileno()), str(self._folder), way],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )

    def _receive(self) -> bytes:
        received = self._socket.recv(_READ_BYTES)
        if not received:
            raise ConnectionError("The node agent has ended")
        return received

    def _read(self) -> None:
        try:
            received = self._receive()
        except BlockingIOError:
            return
        except OSError:
            self._lose_agent()
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            event, *arguments = json.loads(line)
            getattr(self, f"_on_{event}")(*arguments)

    def _on_hello(self, running: dict[str, Any], ended: dict[str, Any], knows: bool) -> None:
        loop = asyncio.get_running_loop()
        for name, (pid, deadline) in running.items():
            self._left[name] = Running(name, loop.create_future(), self, deadline, pid)
        for name, how in ended.items():
            self._left[name] = Running(name, loop.create_future(), self)
            _settle(self._left[name], *how)

    def _on_started(self, name: str, pid: int) -> None:
        if name in self._running:
            self._running[name].pid = pid

    def _on_ended(self, name: str, code: int | None, error: str | None) -> None:
        running = self._running.pop(name, None) or self._left.get(name)
        if running is not None:
            _settle(running, code, error)

    def _lose_agent(self) -> None:
        """Somebody has killed it: nobody learns how what runs will end. The next command has a new one."""
        self._unwatch()
        self._socket.close()
        if self._process is not None:
            self._process.wait()
        self._socket = self._process = None
        self._unread = b""
        self._unsent.clear()
        for running in [*self._running.values(), *self._left.values()]:
            _fail(running, AttemptFailed("Unknown", Message="The node agent was killed"))
        self._running.clear()

    def _unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)


def _settle(running: Running, code: int | None, error: str | None) -> None:
    if error is not None:
        _fail(running, AttemptFailed("CommandLaunchFailed", Message=error))
    elif not running.ended.done():
        running.ended.set_result(code)


def _fail(running: Running, error: AttemptFailed) -> None:
    if not running.ended.done():
        running.ended.set_exception(error)
        # Nobody may ask: that is no reason to complain.
        running.ended.exception()


def _wait_for_end(connection: socket.socket, process: subprocess.Popen[bytes] | None) -> None:
    with suppress(OSError):
        while connection.recv(_READ_BYTES):
            pass
    if process is not None:
        process.wait()


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    """The socket's path in few characters: only about a hundred are allowed."""
    if not os.path.isdir("/proc/self/fd"):
        yield str(folder / _SOCKET)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_SOCKET}"
    finally:
        os.close(descriptor)


def _connect(folder: Path) -> socket.socket:
    """Raises OSError where no agent listens."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _short_path(folder) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _listen(folder: Path) -> socket.socket:
    """Only for the user of the service: who can speak to the agent can run programs."""
    (folder / _SOCKET).unlink(missing_ok=True)
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
