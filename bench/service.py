"""Servers as processes of their own: the local Batch service, and the least that a server can do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from batch_emulator.settings import DEFAULT_ACCOUNT, DEFAULT_KEY
from bench.signing import open_account
from deployments.supervisor import signals_held

STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Service:
    """A running server."""

    endpoint: str
    process: psutil.Process

    def client(self):
        """A signing client, with time for the slowest answer."""
        return open_account(self.endpoint, DEFAULT_ACCOUNT, DEFAULT_KEY, timeout=600)

    @property
    def memory_bytes(self) -> int:
        """What the process holds in memory now."""
        return self.process.memory_info().rss


def run_emulator(*options: str):
    """The local Batch service with these command line options, until the block ends."""
    return _run("batch_emulator", "--port", "0", *options)


def run_echo():
    """A Starlette application under uvicorn that answers each body with itself."""
    return _run("bench.echo")


def run_blob_store(size_bytes: int = 200):
    """A blob store that keeps nothing, and whose blobs all have this size."""
    return _run("bench.blob_store", str(size_bytes))


def stop(process: subprocess.Popen[str]) -> None:
    """End a service, by force if it does not end by itself."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def _run(module: str, *arguments: str) -> Iterator[Service]:
    command = [sys.executable, "-m", module, *arguments]
    process = None
    try:
        with signals_held():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        ready = re.search(r"http://\S+:\d+", process.stdout.readline())
        if ready is None:
            raise RuntimeError(f"python -m {module} did not start")
        yield Service(ready[0], psutil.Process(process.pid))
    finally:
        if process is not None:
            stop(process)
