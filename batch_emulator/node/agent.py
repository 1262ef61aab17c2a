"""The node agent: a process of its own that starts the processes of tasks, and outlives the service.

As on Azure, where the agent on a node goes on while the service restarts: what runs goes on, and what ends
meanwhile is remembered with its exit code. It is a program of the standard library alone, run by path:

    agent.py LISTENER_DESCRIPTOR FOLDER keeps|ends

What the two say to each other stands in `agent_socket`. Where the service is gone, an agent that `keeps`
goes on until nothing runs, leaves ENDED in its folder and ends; one that `ends` kills what runs at once. It
`knows` what an earlier service had started if that was settled with it, or with the one that left it ENDED.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

ENDED = "ended.json"
PROCESS_ID = "agent.pid"
TASK_DIRECTORY = "AZ_BATCH_TASK_DIR"
_READ_BYTES = 1 << 16
_MAX_KILL_ROUNDS = 20
_PR_SET_CHILD_SUBREAPER = 36


class Agent:
    """What runs, by name, and the ends that the service has not yet written down."""

    def __init__(self, listener: socket.socket, folder: str, keeps: bool):
        self._listener, self._folder, self._keeps = listener, folder, keeps
        self._nothing = os.open(os.devnull, os.O_RDONLY)
        self._running: dict[str, tuple[subprocess.Popen[bytes], dict[str, Any]]] = {}
        self._names: dict[int, str] = {}
        self._ended: dict[str, tuple[int | None, str | None]] = {}
        self._knows = self._read_ended()
        self._client: socket.socket | None = None
        self._unread = b""
        self._unsent: list[bytes] = []
        self._wanted = True
        self._adopts = _adopt_orphans()
        self._child_signals = _child_signals()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        self._watch(self._child_signals, self._reap)
        self._watch(self._listener, self._accept)
        while self._wanted:
            for key, _ in self._selector.select():
                key.data()
            self._send()
        self._end()

    def _read_ended(self) -> bool:
        """Take over what an earlier agent has left, if that was on this machine as it is up now."""
        path = os.path.join(self._folder, ENDED)
        try:
            with open(path, encoding="utf-8") as file:
                boot, ended = json.load(file)
            os.unlink(path)
        except (OSError, ValueError):
            return False
        self._ended = ended if boot == _boot_id() else {}
        return boot == _boot_id()

    def _watch(self, source: socket.socket, react: Any) -> None:
        self._selector.register(source, selectors.EVENT_READ, react)

    def _accept(self) -> None:
        """One service at a time: the next one waits until all that the last one said has been read."""
        client, _ = self._listener.accept()
        self._client = client
        self._selector.unregister(self._listener)
        self._watch(client, lambda: self._read(client))
        running = {name: [process.pid, order["deadline"]] for name, (process, order) in self._running.items()}
        self._tell("hello", running, self._ended, self._knows)

    def _read(self, client: socket.socket) -> None:
        try:
            received = client.recv(_READ_BYTES)
        except OSError:
            received = b""
        if not received:
            self._lose_client(client)
            return
        # What is not whole was cut off by the service's end, and is never done.
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            verb, *arguments = json.loads(line)
            getattr(self, f"_do_{verb}")(*arguments)

    def _lose_client(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        client.close()
        self._client, self._unread = None, b""
        self._unsent.clear()
        self._watch(self._listener, self._accept)
        self._wanted = self._wanted and self._keeps
        self._end_when_idle()

    def _end_when_idle(self) -> None:
        # A service that is already knocking is served first.
        if self._client is None and not self._running and not select.select([self._listener], [], [], 0)[0]:
            self._wanted = False

    def _do_start(self, name: str, order: dict[str, Any]) -> None:
        try:
            process = _spawn(order, self._nothing)
        except (OSError, ValueError) as error:
            self._note_end(name, None, str(error))
            return
        self._running[name] = process, order
        self._names[process.pid] = name
        self._tell("started", name, process.pid)

    def _do_signal(self, name: str, number: int) -> None:
        if name in self._running:
            process, order = self._running[name]
            order["leaves_running"] = False
            _signal_group(process.pid, number)

    def _do_forget(self, *names: str) -> None:
        for name in names:
            self._ended.pop(name, None)

    def _do_settled(self) -> None:
        self._knows = True

    def _do_quit(self) -> None:
        self._keeps = self._wanted = False

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            # Before the children are looked for, so that none is missed.
            while self._child_signals.recv(4096):
                pass
        for pid in _ended_children(process for process, _ in self._running.values()):
            if pid not in self._names:
                os.waitpid(pid, 0)
                continue
            process, order = self._running.pop(name := self._names.pop(pid))
            if not order["leaves_running"]:
                # While the leader is not reaped nobody else can get its id, and so its group's.
                _signal_group(pid, signal.SIGKILL)
            self._note_end(name, process.wait(), None, self._may_have_left())
        self._end_when_idle()

    def _may_have_left(self) -> bool:
        """Whether what a command has started may go on after it: such processes are children by now."""
        with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            running = {process.pid for process, _ in self._running.values()}
            return not self._adopts or not running.issuperset(map(int, file.read().split()))
        return True

    def _note_end(self, name: str, code: int | None, error: str | None, may_have_left: bool = False) -> None:
        self._ended[name] = code, error
        self._tell("ended", name, code, error, may_have_left)

    def _tell(self, *message: Any) -> None:
        if self._client is not None:
            self._unsent.append(json.dumps(message).encode() + b"\n")

    def _send(self) -> None:
        told, self._unsent = b"".join(self._unsent), []
        if told and self._client is not None:
            # A service that has gone is noticed when its end of the socket is read.
            with suppress(OSError):
                self._client.sendall(told)

    def _end(self) -> None:
        for process, _ in self._running.values():
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        if self._keeps and self._knows:
            _write_whole(os.path.join(self._folder, ENDED), json.dumps([_boot_id(), self._ended]))
        if not self._keeps and self._client is None:
            # What left its group. A service that is still there looks for that itself.
            top = os.path.join(os.path.dirname(self._folder), "")
            kill_all(lambda: [pid for pid, directory in marked_in_proc() if directory.startswith(top)])


def _adopt_orphans() -> bool:
    """Have what loses its parent below this process become its child, as Linux can. Whether it does."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        return ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    return False


def _child_signals() -> socket.socket:
    """Can be read when a child has ended."""
    readable, writable = socket.socketpair()
    readable.setblocking(False)
    writable.setblocking(False)
    signal.set_wakeup_fd(writable.detach(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return readable


def _ended_children(processes: Iterable[subprocess.Popen[bytes]]) -> Iterator[int]:
    """Those of them that have ended, each before it is reaped, if the platform can, which the caller does."""
    if not hasattr(os, "waitid"):
        yield from [process.pid for process in processes if process.poll() is not None]
        return
    with suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            yield found.si_pid


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_all(find: Callable[[], Iterable[int]]) -> int:
    """Kill all processes that `find` finds but this one, and look again until there are none: what is being
    killed may be starting others. Returns how many there were."""
    killed: set[int] = set()
    for _ in range(_MAX_KILL_ROUNDS):
        found = [pid for pid in find() if pid != os.getpid()]
        if not found:
            break
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(found)
    return len(killed)


def marked_in_proc() -> Iterator[tuple[int, str]]:
    """The task directory of every process that has one and may be looked at; none where there is no /proc."""
    needle = b"\0" + os.fsencode(TASK_DIRECTORY) + b"="
    for name in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        with suppress(OSError), open(f"/proc/{name}/environ", "rb", buffering=0) as file:
            _, found, rest = (b"\0" + file.read()).partition(needle)
            if found:
                yield int(name), os.fsdecode(rest.partition(b"\0")[0])


def _spawn(order: dict[str, Any], stdin: int) -> subprocess.Popen[bytes]:
    opened: list[int] = []
    try:
        for name in ("stdout", "stderr"):
            opened.append(open_output(order[name], appends=order["appends"]))
        return subprocess.Popen(
            order["arguments"],
            executable=order["program"],
            cwd=order["directory"],
            env=order["environment"],
            stdin=stdin,
            stdout=opened[0],
            stderr=opened[1],
            start_new_session=True,
            # None that this process has is inherited: to look for them takes as long as to start it.
            close_fds=False,
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)


def open_output(path: str, *, appends: bool) -> int:
    """The descriptor of a file that takes what a process prints. Raises OSError."""
    # Python's file objects ask three more questions of the system, and again for each task.
    return os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_APPEND if appends else os.O_TRUNC), 0o644)


def _boot_id() -> str:
    """Another one after the machine was down; empty where the system does not tell."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""


def _write_whole(path: str, text: str) -> None:
    """The file has all of the text, or is not there."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def main() -> None:
    descriptor, folder, way = sys.argv[1:]
    _write_whole(os.path.join(folder, PROCESS_ID), str(os.getpid()))
    with socket.socket(fileno=int(descriptor)) as listener:
        listener.set_inheritable(False)
        Agent(listener, folder, way == "keeps").serve()


if __name__ == "__main__":
    main()
