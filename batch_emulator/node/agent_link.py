"""What the service has of the node agent: it starts it when it is first needed, and commands through it."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from batch_emulator.node import agent
from batch_emulator.node.agent_socket import AgentSocket, Message, connect, listen
from batch_emulator.node.failures import AttemptFailed

_HELLO_SECONDS = 30.0
# For an agent to kill what runs and end.
_QUIT_SECONDS = 30.0
# For a process that has closed its socket, or was killed.
_REAP_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """A command that the agent runs, or has run. `ended` has its exit code, -n for signal n; or raises
    AttemptFailed. `pid` is known soon after the start. `deadline` is one of `time.monotonic`.
    `may_have_left` is known at the end."""

    name: str
    ended: asyncio.Future[int]
    link: AgentLink
    deadline: float | None = None
    pid: int | None = None
    may_have_left: bool = True

    def seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def signal(self, number: signal.Signals) -> None:
        """To the command's whole process group."""
        self.link.say("signal", self.name, number)


class AgentLink:
    """Starts commands through the agent of one location, whose folder for that is `folder`.

    What runs outlives the service only if it `keeps`. Belongs to one event loop from its first use.
    What is said in a turn of that loop is sent together, and not before all that it follows from is written
    down: `when_written` calls what it is given then.
    """

    def __init__(self, folder: Path, *, keeps: bool):
        self._folder, self._keeps = folder, keeps
        self._socket: AgentSocket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._running: dict[str, Running] = {}
        self._left: dict[str, Running] = {}
        self._forgotten: list[str] = []
        self._sending = False
        self.when_written: Callable[[Callable[[], None]], object] = _soon

    def take_up(self) -> bool:
        """Whether all that an earlier service had started is known: what still runs, how the rest has ended.
        That is there to `find` then. Waits for the agent."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            found, hello = _greet(connect(self._folder))
        except OSError:
            # There is none, or it was about to end: then it has left what it knows for the next one. One that
            # says nothing may wake up later, and do what it was told.
            _kill_agent(self._folder)
            found, hello = self._start_greeted()
        self._use(found)
        self._hear(hello)
        return hello[-1]

    def _start_greeted(self) -> tuple[AgentSocket, Message]:
        """A new agent that has said hello. Raises OSError, and leaves none, where it says nothing."""
        try:
            return _greet(self._start_agent())
        except BaseException:
            self._end_process()
            raise

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._reap()

    def find(self, name: str) -> Running | None:
        """What an earlier service has started under this name. The caller has it then."""
        found = self._left.pop(name, None)
        if found is not None:
            self._running[name] = found
        return found

    def settle(self) -> None:
        """Kill what an earlier service has started and nobody has found."""
        for name, running in self._left.items():
            self._running[name] = running
            running.signal(signal.SIGKILL)
            running.ended.add_done_callback(lambda _, name=name: self.forget(name))
        self._left.clear()
        self.say("settled")

    def start(self, name: str, order: dict[str, Any]) -> Running:
        """Start a command; `order` is as `agent_socket` has it."""
        if self._socket is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._use(self._start_agent())
            self.say("settled")
        ended = asyncio.get_running_loop().create_future()
        self._running[name] = Running(name, ended, self, order["deadline"])
        self.say("start", name, order)
        return self._running[name]

    def forget(self, name: str) -> None:
        """How it ended has been written down, or nobody wants to know."""
        self._running.pop(name, None)
        if self._socket is not None:
            self._forgotten.append(name)
            self._send_later()

    def say(self, *message: Any) -> None:
        """Tell the agent, if there is one."""
        if self._socket is not None:
            self._socket.say(*message)
            self._send_later()

    def send_at_once(self) -> None:
        """From now on, written down or not: nothing shall outlive the service."""
        self.when_written = _soon
        self._send()

    def _send_later(self) -> None:
        if not self._sending:
            self._sending = True
            self.when_written(self._send)

    def _send(self) -> None:
        self._sending = False
        forgotten, self._forgotten = self._forgotten, []
        if self._socket is not None:
            if forgotten:
                self._socket.say("forget", *forgotten)
            self._socket.send()

    async def close(self) -> None:
        """End the agent, and with it whatever runs. One that hangs is killed."""
        found, self._socket = self._socket, None
        if found is None:
            return
        found.unwatch()
        say_last = partial(found.say_last, "quit", seconds=_QUIT_SECONDS)
        if not await asyncio.get_running_loop().run_in_executor(None, say_last):
            _kill_agent(self._folder)
        found.close()
        self._reap()
        self._fail_all()

    def _use(self, found: AgentSocket) -> None:
        self._socket = found
        found.watch(self._hear, self._lose_agent)

    def _start_agent(self) -> AgentSocket:
        """A new agent. Raises OSError, and leaves nothing open, where it can't be started."""
        with listen(self._folder) as listener, (self._folder / "agent.log").open("ab") as log:
            # It finds this knocking when it starts, and so its end if the service dies before that.
            found = connect(self._folder)
            try:
                self._process = self._start_process(listener.fileno(), log)
            except BaseException:
                found.close()
                raise
        return found

    def _start_process(self, listener: int, log: BinaryIO) -> subprocess.Popen[bytes]:
        python = (sys.executable, "-X", "utf8", "-I", "-S")
        way = "keeps" if self._keeps else "ends"
        return subprocess.Popen(
            [*python, agent.__file__, str(listener), str(self._folder), way],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener],
            start_new_session=True,
        )

    def _reap(self) -> None:
        """An agent that an earlier service has started is nobody's child any more."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            # It hangs at its end. It is reaped whenever another process is started.
            process.kill()

    def _hear(self, message: Message) -> None:
        event, *arguments = message
        {"hello": self._on_hello, "started": self._on_started, "ended": self._on_ended}[event](*arguments)

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

    def _on_ended(self, name: str, code: int | None, error: str | None, may_have_left: bool = True) -> None:
        """The agent of an earlier version says less."""
        running = self._running.pop(name, None) or self._left.get(name)
        if running is not None:
            running.may_have_left = may_have_left
            _settle(running, code, error)

    def _lose_agent(self) -> None:
        """Somebody has killed it: nobody learns how what runs will end. The next command has a new one."""
        if self._socket is not None:
            self._socket.unwatch()
            self._socket.close()
            self._socket = None
        self._forgotten.clear()
        self._reap()
        self._fail_all()

    def _fail_all(self) -> None:
        """Nobody learns any more how what runs will end."""
        for running in [*self._running.values(), *self._left.values()]:
            _fail(running, AttemptFailed("Unknown", Message="The node agent was killed"))
        self._running.clear()


def _greet(found: AgentSocket) -> tuple[AgentSocket, Message]:
    """A connection with the first that was said over it. Raises OSError, and closes it, where that fails."""
    try:
        return found, found.wait_for_message(_HELLO_SECONDS)
    except BaseException:
        found.close()
        raise


def _soon(action: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(action)


def _kill_agent(folder: Path) -> None:
    """Kill the agent of this folder if it is still there, whoever started it."""
    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int((folder / agent.PROCESS_ID).read_text("ascii")))
        # Its number may be another's by now.
        if {agent.__file__, str(folder)} <= set(process.cmdline()):
            log.warning("The node agent says nothing; it is killed, and with it what runs")
            process.kill()
            process.wait(_HELLO_SECONDS)


def _settle(running: Running, code: int | None, error: str | None) -> None:
    if code is None:
        _fail(running, AttemptFailed("CommandLaunchFailed", Message=error or ""))
    elif not running.ended.done():
        running.ended.set_result(code)


def _fail(running: Running, error: AttemptFailed) -> None:
    if not running.ended.done():
        running.ended.set_exception(error)
        # Nobody may ask: that is no reason to complain.
        running.ended.exception()
