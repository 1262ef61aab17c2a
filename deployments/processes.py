"""Local services as processes: described by data, started under a guard, waited for, stopped."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from deployments.private_files import open_private

GUARD = Path(__file__).with_name("process_guard.py")
# What the guard may take beyond the graces that it gives.
GUARD_SECONDS = 5.0


@dataclass(frozen=True)
class Command:
    """A program to run as a service.

    `name` is how messages speak of it. `env` is its whole environment. Output of both streams goes to `log`,
    which starts anew. It has `grace_seconds` to stop by itself when asked, and
    what it leaves running has `leftovers_grace_seconds`. With `children_first` its children are
    asked before it is, with the same grace. `scratch` is a folder to delete if this process dies before it
    has stopped it. `umask` is taken away from the modes of what it makes; -1 leaves it at this process's.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path | None = None
    grace_seconds: float = 5.0
    leftovers_grace_seconds: float = 10.0
    children_first: bool = False
    scratch: Path | None = None
    umask: int = -1


@dataclass(frozen=True)
class Service:
    """A command that was started: the process here is its guard, with the exit code of the command."""

    command: Command
    process: subprocess.Popen[bytes] = field(repr=False)


def start(command: Command) -> Service:
    """Start the command in a session of its own; nothing of it survives this process in any event."""
    argv = [sys.executable, str(GUARD), *_guard_options(command), *command.argv]
    with open_private(command.log) as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
            umask=command.umask,
        )
    return Service(command, process)


def _guard_options(command: Command) -> list[str]:
    options = [f"--grace={command.grace_seconds}", f"--leftovers-grace={command.leftovers_grace_seconds}"]
    options += ["--children-first"] if command.children_first else []
    options += [f"--scratch={command.scratch}"] if command.scratch else []
    return options


def stop(service: Service) -> int:
    """Ask the service to stop, wait, kill, reap; return its exit code. Does nothing to one that has ended."""
    command, process = service.command, service.process
    process.terminate()
    try:
        return process.wait(2 * command.grace_seconds + command.leftovers_grace_seconds + GUARD_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(GUARD_SECONDS)
        # It hangs in the kernel.
        return -signal.SIGKILL
    finally:
        if process.stdin is not None:
            process.stdin.close()


@contextmanager
def running(command: Command) -> Iterator[Service]:
    """The started command, for as long as the block lasts."""
    service = start(command)
    try:
        yield service
    finally:
        stop(service)


def read_end(log: Path, lines: int = 20) -> str:
    """The last lines of a log, under its path."""
    size_bytes = log.stat().st_size if log.exists() else 0
    if size_bytes == 0:
        return f"({log} is empty)"
    with log.open("rb") as file:
        file.seek(max(0, size_bytes - 16_384))
        text = file.read().decode(errors="replace")
    return "\n".join([f"End of {log}:", *("  " + line for line in text.splitlines()[-lines:])])


def free_port(preferred: int = 0) -> int:
    """`preferred` if nothing listens there on 127.0.0.1, else any free port."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return candidate.getsockname()[1]


def is_free(port: int) -> bool:
    """Could a server listen at this port of 127.0.0.1 now?"""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
