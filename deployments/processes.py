"""Local services as processes: described by data, started on a leash, waited for, stopped."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployments.errors import StartError

LEASH = Path(__file__).with_name("leash.py")
# What the leash itself may take after the command's own grace: its two further steps, and the start of
# Python.
LEASH_GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class Command:
    """A program to run as a service.

    `name` is how messages speak of it. `env` is its whole environment. Output of both streams goes to
    `log`, which starts anew. It has `grace_seconds` to stop by itself when asked. `scratch` is a folder
    that goes when it has ended, whatever ended it.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path | None
    cwd: Path | None = None
    grace_seconds: float = 5.0
    scratch: Path | None = None


@dataclass(frozen=True)
class Service:
    """A command that was started: the process here is its leash, with the exit code of the command."""

    command: Command
    process: subprocess.Popen[bytes] = field(repr=False)


def start(command: Command) -> Service:
    """Start the command in a session of its own; nothing of it survives this process, however this one
    ends."""
    argv = [sys.executable, str(LEASH), str(command.grace_seconds), str(command.scratch or ""), *command.argv]
    with ExitStack() as stack:
        log = stack.enter_context(command.log.open("wb")) if command.log else None
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
        )
    return Service(command, process)


def stop(service: Service) -> int:
    """Ask the service to stop, wait, kill, reap; return its exit code. Does nothing to one that has ended."""
    process = service.process
    if process.stdin is not None:
        process.stdin.close()
    try:
        return process.wait(service.command.grace_seconds + LEASH_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def running(command: Command) -> Iterator[Service]:
    """The started command, for as long as the block lasts."""
    service = start(command)
    try:
        yield service
    finally:
        stop(service)


def wait_until_ready(service: Service, is_ready: Callable[[], bool], timeout_seconds: float) -> None:
    """Ask `is_ready` until it says yes. Raises StartError when the service ends first or the time is over."""
    name, log = service.command.name, service.command.log
    deadline = time.monotonic() + timeout_seconds
    while not is_ready():
        exit_code = service.process.poll()
        if exit_code is not None:
            raise StartError(f"{name} ended with exit code {exit_code} before it was ready\n{end_of(log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{name} was not ready after {timeout_seconds:.0f} seconds\n{end_of(log)}")
        time.sleep(0.05)


def end_of(log: Path | None, lines: int = 20) -> str:
    """The last lines of a log, under its path."""
    if log is None:
        return ""
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
