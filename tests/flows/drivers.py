"""Drivers of runs in processes of their own, which die before or after any remote effect of theirs.

    python -m tests.flows.drivers

reads a line of JSON for each run that it is to drive, forks, and answers with a line that has the pid, and
one that has the exit code when that process is gone. All is imported before, so that a run costs no start of
Python.

An effect is any request that may change something: of the clients of Batch and storage, and of Prefect's.
They are counted where they leave the process, so that none is forgotten that a step makes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Death:
    """When a driver kills itself: before or after it has sent the effect of that number, counted from 0,
    among those whose method and path have these words."""

    number: int
    is_after: bool
    words: str = ""


@dataclass(frozen=True)
class Drive:
    """One process: what `fan_out` is called with, where its effects and its output are written."""

    parameters: dict[str, Any]
    effects: str
    log: str
    death: Death | None = None


@dataclass
class Effects:
    """Counts what a process sends, writes it down, and ends the process where that is asked for."""

    drive: Drive
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, method: str, url: str) -> int | None:
        """The number of an effect, which is about to be sent; None for a request that only reads."""
        if method in READING:
            return None
        effect = f"{method} {unquote(urlsplit(url).path)}"
        with self.lock, open(self.drive.effects, "a") as file:
            file.write(f"{effect}\n")
            number = self.count
            self.count += self.words in effect
        if self.words not in effect:
            return None
        self._die_at(number, is_after=False)
        return number

    def end(self, number: int | None) -> None:
        if number is not None:
            self._die_at(number, is_after=True)

    @property
    def words(self) -> str:
        return self.drive.death.words if self.drive.death else ""

    def _die_at(self, number: int, is_after: bool) -> None:
        if self.drive.death == Death(number, is_after, self.words):
            os.kill(os.getpid(), signal.SIGKILL)


def hook(effects: Effects) -> None:
    """Let all requests of this process pass by `effects`."""
    import httpx
    import requests.adapters

    from tasks.azure.exchanges import Connection

    send = requests.adapters.HTTPAdapter.send
    send_small, receive_small = Connection.send, Connection.receive
    handle, handle_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    def send_counted(self, request, **options):
        number = effects.begin(request.method, request.url)
        response = send(self, request, **options)
        effects.end(number)
        return response

    def send_small_counted(self, request):
        # Of several that are under way each connection has one.
        self.effect = effects.begin(request.method, request.path)
        send_small(self, request)

    def receive_small_counted(self, request, body_max_bytes):
        answer = receive_small(self, request, body_max_bytes)
        effects.end(self.effect)
        return answer

    def handle_counted(self, request):
        number = effects.begin(request.method, str(request.url))
        response = handle(self, request)
        effects.end(number)
        return response

    async def handle_async_counted(self, request):
        number = effects.begin(request.method, str(request.url))
        response = await handle_async(self, request)
        effects.end(number)
        return response

    requests.adapters.HTTPAdapter.send = send_counted
    Connection.send, Connection.receive = send_small_counted, receive_small_counted
    httpx.HTTPTransport.handle_request = handle_counted
    httpx.AsyncHTTPTransport.handle_async_request = handle_async_counted


def serve() -> None:
    """Fork a driver for each line."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    import flows.fan_out  # noqa: F401

    # Their thread makes each flow call a second longer.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        for line in sys.stdin:
            asked = json.loads(line)
            death = asked.pop("death")
            pid = os.fork()
            if pid == 0:
                _drive(Drive(**asked, death=death and Death(**death)))
            print(pid, flush=True)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _drive(drive: Drive) -> None:
    """Run to the end, and leave the process."""
    from flows.fan_out import fan_out

    log = os.open(drive.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    hook(Effects(drive))
    code = 1
    try:
        fan_out(**drive.parameters)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


@dataclass(frozen=True)
class Drivers:
    """A server of drivers, which drives one run at a time."""

    process: subprocess.Popen[str]

    def run(self, drive: Drive, watch: Callable[[int], object] = lambda _pid: None) -> int:
        """Drive a run, and hand the process's id to `watch` as soon as it is there; the exit code."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise ValueError("The server has no pipes.")
        print(json.dumps(asdict(drive)), file=stdin, flush=True)
        watch(int(stdout.readline()))
        return int(stdout.readline())


@contextmanager
def drivers() -> Iterator[Drivers]:
    """A server in the environment of this process."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flows.drivers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PREFECT_LOGGING_TO_API_ENABLED": "false"},
    ) as process:
        try:
            yield Drivers(process)
        finally:
            process.kill()


if __name__ == "__main__":
    serve()
