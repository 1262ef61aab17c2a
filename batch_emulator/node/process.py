"""One task's processes: start the command, wait for it, end it and all that it started.

A command line runs under no shell. It is split by POSIX quoting rules, as `shlex.split` does: white space
separates, single quotes keep everything, double quotes and backslashes escape; `$`, `*`, `;`, `|` and `>`
mean nothing.

A command leads a session, and so a process group, of its own. What it leaves behind in its group is killed
when it ends; what left the group (setsid, daemons) is found by its environment: AZ_BATCH_TASK_DIR. Who looks
at all processes reads them all, so nobody does where the agent can tell that nothing was left.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from batch_emulator.node.agent import TASK_DIRECTORY, kill_all, marked_in_proc, open_output
from batch_emulator.node.agent_link import AgentLink, Running
from batch_emulator.node.failures import AttemptFailed, program_not_found

_PART = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    | (?P<plain>[^ \t\r\n'"\\]+)
    | '(?P<single>[^']*)'
    | "(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"
    | \\(?P<escaped>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r'\\(["\\])')

Cause = Literal["itself", "limit", "stop"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command line with all that its process is given. The files `stdout` and `stderr` are emptied first,
    unless it `appends`. `arguments` are what is started, where that is not the line itself. Where
    it `leaves_running`, what it has started outlives an end of its own accord.

    Paths are texts: for a short task `pathlib` would cost more than all else but the process itself.
    """

    command_line: str
    working_directory: str
    environment: Mapping[str, str]
    stdout: str
    stderr: str
    appends: bool = False
    leaves_running: bool = False
    arguments: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """`code` is the exit code, or -n for signal n; `cause` says who ended the process, and `may_have_left`
    whether something that it has started may still run."""

    code: int
    cause: Cause
    may_have_left: bool = field(default=True, compare=False)


def split_command_line(command_line: str) -> list[str]:
    """The program and its arguments. Raises AttemptFailed for an open quote or a line without a program."""
    words = split_words(command_line)
    if not words or not words[0]:
        raise program_not_found()
    return words


def split_words(command_line: str) -> list[str]:
    """Its words, if any. Raises AttemptFailed for an open quote."""
    # shlex would do, but takes quadratic time: half a minute for the megabyte that a task may have.
    words: list[str] = []
    parts: list[str] = []
    position = 0
    while position < len(command_line):
        match = _PART.match(command_line, position)
        if match is None:
            raise AttemptFailed("CommandLaunchFailed", Message="The command line ends within a quotation")
        position = match.end()
        if match["space"]:
            words += ["".join(parts)] if parts else []
            parts = []
        else:
            parts.append(_unquote(match))
    words += ["".join(parts)] if parts else []
    return words


def _unquote(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return _ESCAPED.sub(r"\1", match["double"])
    return next(match[name] for name in ("plain", "single", "escaped") if match[name] is not None)


def _find_program(name: str, working_directory: str, search_path: str) -> str:
    """The program's absolute path: a path is relative to the working directory, a bare name is looked for in
    `search_path` and then in the working directory. Raises AttemptFailed."""
    found = None if os.sep in name else shutil.which(name, path=search_path)
    if found and os.path.isabs(found):
        return found
    path = os.path.join(working_directory, name)
    if not os.path.isfile(path):
        raise program_not_found()
    if not os.access(path, os.X_OK):
        raise AttemptFailed("CommandLaunchFailed", Message=f"{name} is not executable")
    return path


async def run(
    link: AgentLink,
    name: str,
    command: Command,
    stop: asyncio.Future[None],
    *,
    limit_seconds: float | None,
    grace_seconds: float,
) -> Exit:
    """Start the command, under a name that none has had, and `watch` it. Raises AttemptFailed if it can't be
    started."""
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    try:
        order = _make_order(command, deadline)
    except AttemptFailed:
        make_outputs(command.stdout, command.stderr)
        raise
    return await watch(link.start(name, order), stop, grace_seconds)


def make_outputs(*paths: str) -> None:
    """Empty files where none will print anything, or not yet. Raises OSError."""
    for path in paths:
        os.close(open_output(path, appends=False))


async def watch(running: Running, stop: asyncio.Future[None], grace_seconds: float) -> Exit:
    """Wait until a command ends by itself, `stop` is done or its deadline is over; in the last two cases ask
    it to end (SIGTERM), and kill it after the grace. Its whole group is gone and it is reaped when this
    returns or raises."""
    try:
        await asyncio.wait(
            (running.ended, stop), timeout=running.seconds_left(), return_when=asyncio.FIRST_COMPLETED
        )
        cause = _cause(running.ended, stop)
        if cause != "itself":
            await _end(running, grace_seconds)
    except asyncio.CancelledError:
        running.signal(signal.SIGKILL)
        await asyncio.wait((running.ended,))
        raise
    return Exit(running.ended.result(), cause, running.may_have_left)


def _cause(exited: asyncio.Future[int], stop: asyncio.Future[None]) -> Cause:
    if exited.done():
        return "itself"
    return "stop" if stop.done() else "limit"


def _make_order(command: Command, deadline: float | None) -> dict[str, Any]:
    arguments = command.arguments or split_command_line(command.command_line)
    search_path = command.environment.get("PATH", "")
    return {
        "program": _find_program(arguments[0], command.working_directory, search_path),
        "arguments": arguments,
        "directory": command.working_directory,
        "environment": command.environment,
        "stdout": command.stdout,
        "stderr": command.stderr,
        "appends": command.appends,
        "leaves_running": command.leaves_running,
        "deadline": deadline,
    }


async def _end(running: Running, grace_seconds: float) -> None:
    family = [] if running.pid is None else _descendants(running.pid)
    running.signal(signal.SIGTERM)
    await asyncio.wait((running.ended,), timeout=grace_seconds)
    running.signal(signal.SIGKILL)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    await asyncio.wait((running.ended,))


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def kill_strays(task_directories: Collection[str]) -> int:
    """Kill every process whose AZ_BATCH_TASK_DIR is one of these; returns how many there were."""
    return _kill_where(lambda directory: directory in task_directories)


def kill_orphans(root: Path, spared: Collection[str] = ()) -> int:
    """Kill every process of a task below `root`, but for those of the `spared` task directories: for those
    of an emulator that was itself killed. Returns how many there were."""
    top = os.path.join(os.path.realpath(root), "")
    return _kill_where(lambda directory: directory.startswith(top) and directory not in spared)


def _kill_where(wanted: Callable[[str], bool]) -> int:
    return kill_all(lambda: [pid for pid, directory in _marked() if wanted(directory)])


def _marked() -> Iterator[tuple[int, str]]:
    """The task directory of every process that has one and may be looked at."""
    if sys.platform == "linux":
        # psutil parses whole environments, at many times the cost of this search.
        yield from marked_in_proc()
        return
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            directory = process.environ().get(TASK_DIRECTORY)
            if directory is not None:
                yield process.pid, directory
