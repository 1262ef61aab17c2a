"""What an action takes, with the processes that it starts and waits for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from deployments.supervisor import signals_held


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of the processor for the processes that were started and have ended."""

    seconds: float
    cpu_seconds: float


def measure_cost(action: Callable[[], object]) -> Cost:
    before, began = os.times(), perf_counter()
    action()
    seconds, after = perf_counter() - began, os.times()
    user = after.children_user - before.children_user
    return Cost(seconds, user + after.children_system - before.children_system)


def run_group(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, given: bytes = b"", *, is_read: bool
) -> bytes:
    """Run a command to its end; what it prints, if that is read. If it is not waited for to its end, nothing
    of it goes on: neither the command nor what it has started.

    Raises CalledProcessError.
    """
    output = subprocess.PIPE if is_read else subprocess.DEVNULL
    process = None
    try:
        with signals_held():
            process = subprocess.Popen(
                argv, env=environment, stdin=subprocess.PIPE, stdout=output, start_new_session=True
            )
        printed, _ = process.communicate(given)
    except BaseException:
        if process is not None:
            _end_group(process)
        raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return printed or b""


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
