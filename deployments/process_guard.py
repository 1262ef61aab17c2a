"""Run a command so that neither it nor anything it starts can outlive whoever asked for it.

`python process_guard.py [OPTION ...] COMMAND [ARGUMENT ...]`, with a pipe as standard input whose other end
the starter holds open.

The command is stopped when that pipe is closed, which the kernel does even for a starter that was killed
with SIGKILL, or when this process gets SIGTERM, SIGINT or SIGHUP. Stopping is: SIGTERM to the command
alone, so that it can stop its own children in its own way; after `--grace` seconds SIGTERM to all that is
left; after `--leftovers-grace` seconds SIGKILL. The exit code is the command's, 128 + N when signal N ended
it.
"""

import argparse
import ctypes
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
STDIN = 0
# What is killed may be starting others; what is still there after so many times hangs in the kernel.
KILL_ROUNDS = 50
# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class GuardedCommand:
    """A running command: its process id, the pipe on which signal numbers arrive, and its wait status."""

    pid: int
    signals_fd: int
    status: int | None = None


def main(arguments: Sequence[str]) -> int:
    """Run the command to its end or until it must stop; leave no descendant."""
    options = parser().parse_args(arguments)
    signals_fd = _catch_signals()
    _set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    guarded = GuardedCommand(pid=start(options.command), signals_fd=signals_fd)
    follow(guarded)
    stop(guarded, options)
    if options.scratch and _is_let_go():
        shutil.rmtree(options.scratch, ignore_errors=True)
    return exit_code(guarded)


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(description=__doc__)
    known.add_argument("--grace", type=float, default=5, help="seconds that the command has to stop")
    known.add_argument("--leftovers-grace", type=float, default=10, help="seconds that what it leaves has")
    known.add_argument("--children-first", action="store_true", help="before, give its children that grace")
    known.add_argument("--scratch", help="folder to delete if the starter is gone by then, and can't do it")
    known.add_argument("command", nargs=argparse.REMAINDER)
    return known


def _catch_signals() -> int:
    """Let signals arrive as bytes on a pipe, so that one `select` waits for all that can happen."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in STOP_SIGNALS | {signal.SIGCHLD}:
        signal.signal(number, lambda *_: None)
    return read_fd


def _set_process_option(option: int, value: int) -> None:
    """prctl(2); elsewhere than on Linux the closed pipe alone must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def start(command: Sequence[str]) -> int:
    """Fork and execute the command with an empty standard input; return its process id."""
    guard_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(command, guard_pid)
        except OSError as error:
            print(f"can't run {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)
    return pid


def _become(command: Sequence[str], guard_pid: int) -> None:
    """Turn this forked process into the command. Never returns, unless by an OSError."""
    signal.set_wakeup_fd(-1)
    for number in STOP_SIGNALS | {signal.SIGCHLD, signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)
    _set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard_pid:
        os._exit(128 + signal.SIGKILL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), STDIN)
    os.execvp(command[0], list(command))


def follow(guarded: GuardedCommand) -> None:
    """Return when the command has ended or has to be stopped."""
    while guarded.status is None:
        readable, _, _ = select.select([STDIN, guarded.signals_fd], [], [])
        if _is_let_go():
            return
        if guarded.signals_fd in readable and STOP_SIGNALS.intersection(os.read(guarded.signals_fd, 4096)):
            return
        _reap(guarded)


def _is_let_go() -> bool:
    """Has the starter closed its end of the pipe, by dying mostly?"""
    readable, _, _ = select.select([STDIN], [], [], 0)
    return bool(readable) and not os.read(STDIN, 4096)


def _reap(guarded: GuardedCommand) -> None:
    """Collect every ended child, the orphans that came to us too; remember the command's own status."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == guarded.pid:
            guarded.status = status


def stop(guarded: GuardedCommand, options: argparse.Namespace) -> None:
    """Ask the command, then ask whatever is left, then kill."""
    if options.children_first:
        _signal_all(signal.SIGTERM, spared=guarded.pid)
        wait(guarded, options.grace, lambda: not _descendants(spared=guarded.pid))
    if guarded.status is None:
        os.kill(guarded.pid, signal.SIGTERM)
        wait(guarded, options.grace, lambda: guarded.status is not None)
    _signal_all(signal.SIGTERM)
    wait(guarded, options.leftovers_grace, lambda: not _descendants())
    for _ in range(KILL_ROUNDS):
        if not _descendants():
            return
        _signal_all(signal.SIGKILL)
        wait(guarded, 0.2, lambda: not _descendants())


def wait(guarded: GuardedCommand, timeout_seconds: float, condition: Callable[[], bool]) -> None:
    """Reap until the condition holds or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    _reap(guarded)
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
        _reap(guarded)


def exit_code(guarded: GuardedCommand) -> int:
    code = os.waitstatus_to_exitcode(guarded.status) if guarded.status is not None else -signal.SIGKILL
    return code if code >= 0 else 128 - code


def _descendants(spared: int = 0) -> list[psutil.Process]:
    """All processes below this one, but for one."""
    return [process for process in psutil.Process().children(recursive=True) if process.pid != spared]


def _signal_all(number: int, spared: int = 0) -> None:
    for process in _descendants(spared):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
