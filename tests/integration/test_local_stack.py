"""The supervisor with small real processes, and the ways in which `up` can fail to start."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from deployments import supervisor as supervisor_module
from deployments.azurite import new_account_key
from deployments.errors import ServiceDiedError, StartError
from deployments.local import environment, services
from deployments.local.__main__ import main
from deployments.local.keys import load_keys
from deployments.local.settings import Settings
from deployments.locks import locked_at_once
from deployments.processes import Command, free_port
from deployments.supervisor import ServiceSpec, interrupted_by_signals, supervised

UP = [sys.executable, "-m", "deployments.local", "up"]
SERVE = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def service(tmp_path) -> Callable[..., ServiceSpec]:
    """Makes a service that runs a line of Python, ready when it has printed `ready`."""

    def make(name: str, code: str = SERVE, timeout_seconds: float = 30) -> ServiceSpec:
        log = tmp_path / f"{name}.log"
        command = Command(name, [sys.executable, "-c", code], dict(os.environ), log, grace_seconds=1)
        return ServiceSpec(command, lambda: "ready" in log.read_text(), timeout_seconds)

    return make


def test_services_start_side_by_side(service):
    """`start` returns when all services are ready, however they wait for one another."""
    log = service("first").command.log
    wait = f"import time\nwhile 'ready' not in open({str(log)!r}).read(): time.sleep(0.02)\n{SERVE}"
    with supervised() as supervisor:
        supervisor.start(service("first"), service("second", wait))
        assert [service.command.name for service in supervisor.services] == ["first", "second"]


def test_a_service_that_ends_early_is_named(service):
    """A service that ends before it is ready is an error with its name, exit code and last words."""
    with (
        supervised() as supervisor,
        pytest.raises(ServiceDiedError, match=r"(?s)^broken ended .* 3\n.*no luck"),
    ):
        supervisor.start(service("broken", "print('no luck'); raise SystemExit(3)"))


def test_a_service_that_is_never_ready_is_named(service):
    """A service that runs but doesn't answer in time is an error with its name and last words."""
    silent = "import time; print('thinking', flush=True); time.sleep(600)"
    with supervised() as supervisor, pytest.raises(StartError, match=r"(?s)^slow was not ready .*thinking$"):
        supervisor.start(service("slow", silent, timeout_seconds=1))


def test_a_death_while_another_starts_is_noticed(service):
    """While one service is waited for, the end of another isn't overlooked."""
    silent = "import time; time.sleep(600)"
    with supervised() as supervisor, pytest.raises(ServiceDiedError, match=r"^broken ended"):
        supervisor.start(service("slow", silent), service("broken", "print('ready')"))


def test_a_later_death_is_noticed(service):
    """`watch` ends with the name of the service that ended, even by a signal."""
    with supervised() as supervisor:
        supervisor.start(service("first"), service("second"))
        supervisor.services[1].process.kill()
        with pytest.raises(ServiceDiedError, match=r"^second ended with exit code -9"):
            supervisor.watch()


def test_stopped_in_reverse_order(service, tmp_path):
    """Services are stopped one by one, the youngest first, each having ended before the next is asked."""
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_): open({order!r}, 'a').write({name!r} + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n" + SERVE
    )
    names = ["first", "second", "third"]
    with supervised() as supervisor:
        for name in names:
            supervisor.start(service(name, code.format(order=str(order), name=name)))
    assert order.read_text().split() == list(reversed(names))


def test_commands_run_to_their_end(service, tmp_path):
    """`run` returns when all commands have ended well, and names one that hasn't."""
    with supervised() as supervisor:
        touching = service("one", f"open({str(tmp_path / 'done')!r}, 'w')").command
        supervisor.run(touching, service("two", "").command)
        assert (tmp_path / "done").exists()
        with pytest.raises(StartError, match=r"(?s)^bad failed.*reason$"):
            supervisor.run(service("good", "").command, service("bad", "raise SystemExit('reason')").command)


@pytest.mark.parametrize("number", supervisor_module.STOP_SIGNALS)
def test_a_signal_interrupts_once(number):
    """The first signal raises KeyboardInterrupt; more of them, of any kind, don't disturb the clean-up."""
    # Whoever started the tests may have it ignored.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with interrupted_by_signals():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            for again in supervisor_module.STOP_SIGNALS:
                signal.raise_signal(again)
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_interrupts_nothing():
    """Under `nohup`, a terminal that closes ends neither a stack nor a measurement."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals(), supervisor_module.signals_held():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def up(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*UP, *options], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("option", "name"),
    [("--storage-port", "Azurite"), ("--batch-port", "Azure Batch"), ("--prefect-port", "Prefect server")],
)
def test_a_taken_port_is_named(option, name):
    """A port that was asked for and is in use is reported, with the service that wanted it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = up(option, str(port))
    assert result.returncode == 1
    assert name in result.stderr
    assert f"port {port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_key_is_named(tmp_path):
    """A key that isn't base64 stops the start; the message names the service and has the end of its log."""
    keys = {"prefect": "a:b", "storage": new_account_key(), "batch": "not base64!"}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    settings = Settings(tmp_path, free_port(), free_port(), free_port(), load_keys(tmp_path))
    settings.logs.mkdir()
    settings.temporary.mkdir()
    said = r"(?s)^Azure Batch \(local\) ended with exit code 1.*base64"
    with supervised() as supervisor, pytest.raises(ServiceDiedError, match=said):
        supervisor.start(services.batch(settings))


def test_an_error_of_a_service_ends_the_command(monkeypatch, tmp_path, capsys):
    """Where one can't start, `up` says why, publishes nothing and ends with exit code 1."""

    @contextmanager
    def serve(*_: object) -> Iterator[None]:
        raise ServiceDiedError("Azure Batch (local) ended with exit code 1")
        yield

    monkeypatch.setattr("deployments.local.__main__.serve", serve)
    env_file = tmp_path / "stack.env"
    assert main(["up", "--env-file", str(env_file), "--location", str(tmp_path / "data")]) == 1
    assert "Azure Batch (local) ended with exit code 1" in capsys.readouterr().err
    assert not env_file.exists()


def test_a_location_in_use_is_refused(tmp_path):
    """Two stacks can't share a folder: the second says so and starts nothing."""
    with locked_at_once(tmp_path / "lock"):
        result = up("--location", str(tmp_path))
    assert result.returncode == 1
    assert f"A local stack is open already, with its data in {tmp_path}" in result.stderr


def test_a_stack_without_its_server_is_not_live(tmp_path):
    """The file of a stack whose Prefect server doesn't answer isn't believed, even while it is held."""
    path = tmp_path / "stack.env"
    api_url = f"http://127.0.0.1:{free_port()}/api"
    environment.write(path, {environment.LOCATION: str(tmp_path), "PREFECT_API_URL": api_url})
    with locked_at_once(tmp_path / "lock"):
        assert environment.read_live(path) == {}
