"""Start services, wait until they are ready, notice when one ends, stop them all in reverse order."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from deployments.errors import ServiceDiedError, StartError
from deployments.processes import Command, Service, read_end, start, stop

POLL_SECONDS = 0.05
# For commands that end by themselves; each has limits of its own for what it waits for.
COMMANDS_SECONDS = 30 * 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class ServiceSpec:
    """A service of the stack. `is_ready` is asked again and again, and must answer within a second or two."""

    command: Command
    is_ready: Callable[[], bool]
    timeout_seconds: float = 120.0


@dataclass
class Supervisor:
    """The services that run, oldest first, and the commands that are to end by themselves."""

    services: list[Service] = field(default_factory=list)
    commands: list[Service] = field(default_factory=list)

    def start(self, *specs: ServiceSpec) -> None:
        """Start the services all at once; return when each is ready. Raises StartError, ServiceDiedError."""
        self.launch(*specs)
        self.wait_until_ready(*specs)

    def launch(self, *specs: ServiceSpec) -> None:
        with signals_held():
            self.services += [start(spec.command) for spec in specs]

    def wait_until_ready(self, *specs: ServiceSpec) -> None:
        started, waiting = time.monotonic(), list(specs)
        while waiting:
            self.check()
            waiting = [spec for spec in waiting if not spec.is_ready()]
            for spec in waiting:
                if time.monotonic() - started > spec.timeout_seconds:
                    raise StartError(
                        f"{spec.command.name} was not ready in time\n{read_end(spec.command.log)}"
                    )
            time.sleep(POLL_SECONDS)

    def run(self, *commands: Command) -> None:
        """Run the commands to their end, all at once. Raises StartError if one fails, ServiceDiedError."""
        self.begin(*commands)
        self.finish()

    def begin(self, *commands: Command) -> None:
        with signals_held():
            self.commands += [start(command) for command in commands]

    def finish(self) -> None:
        """Wait until all commands that were begun have ended. Raises StartError, ServiceDiedError."""
        ends_at_seconds = time.monotonic() + COMMANDS_SECONDS
        while running := [command for command in self.commands if command.process.poll() is None]:
            self.check()
            if time.monotonic() > ends_at_seconds:
                name, log = running[0].command.name, running[0].command.log
                raise StartError(f"{name} did not end in time\n{read_end(log)}")
            time.sleep(POLL_SECONDS)
        failed = [command for command in self.commands if stop(command) != 0]
        self.commands.clear()
        for command in failed:
            raise StartError(f"{command.command.name} failed\n{read_end(command.command.log)}")

    def check(self) -> None:
        """Raise ServiceDiedError when a service has ended."""
        for service in self.services:
            exit_code = service.process.poll()
            if exit_code is not None:
                name, log = service.command.name, service.command.log
                raise ServiceDiedError(f"{name} ended with exit code {exit_code}\n{read_end(log)}")

    def watch(self) -> None:
        """Never return; raise ServiceDiedError when a service ends."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the youngest first. Each is waited for, and killed when it doesn't stop in its time."""
        for running in (self.commands, self.services):
            while running:
                stop(running.pop())


@contextmanager
def supervised() -> Iterator[Supervisor]:
    """A supervisor whose services are stopped at the end of the block, whatever ends it."""
    supervisor = Supervisor()
    try:
        yield supervisor
    finally:
        supervisor.stop()


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, once: clean-up that has begun isn't
    disturbed. What is ignored stays so: `nohup` means that a terminal which closes ends nothing."""
    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt(number: int, frame: FrameType | None) -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def signals_held() -> Iterator[None]:
    """Let a signal that comes in this block do what it does at its end: who is just starting a process does
    not know it yet, and could not stop it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in STOP_SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in came[:1]:
            signal.raise_signal(number)
