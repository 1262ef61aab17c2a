"""The Prefect server that a run in a terminal starts for itself: whom what strikes the run strikes too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from prefect.settings import get_current_settings, temporary_settings

from deployments.local.database import create_prefect_home
from flows.command_line import server_settings
from tests.flows.services import wait_for_remains, write_files
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
RUN_SECONDS = 150
ANSWERING = ["--factory", "starlette.applications:Starlette", "--port", "0"]


def test_a_server_ends_with_whoever_has_started_it():
    """Also with one that was killed, of which nothing is left but the end of what it held."""
    from flows.temporary_server import TIED

    argv = [sys.executable, "-c", TIED, *ANSWERING]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        assert server.stdin is not None
        assert any("Uvicorn running" in line for line in server.stderr)
        assert server.poll() is None
        server.stdin.close()
        server.stderr.read()
        assert server.wait(30) in (0, -signal.SIGTERM)


def test_prefect_starts_ours(monkeypatch):
    """Where no server is named, the one that Prefect would start by itself is ours."""
    from prefect.server.api.server import SubprocessASGIServer

    from flows.temporary_server import TemporaryServer

    monkeypatch.setattr(SubprocessASGIServer, "_instances", {})
    with temporary_settings(restore_defaults={"api.url"}), server_settings():
        assert isinstance(SubprocessASGIServer(), TemporaryServer)


def test_a_temporary_server_has_time_to_start():
    """Without a server, a temporary one is allowed, with time to start; what the user has set stands."""
    with temporary_settings(restore_defaults={"api.url"}), server_settings():
        ephemeral = get_current_settings().server.ephemeral
        assert (ephemeral.enabled, ephemeral.startup_timeout_seconds) == (True, 120)
    own = {"server.ephemeral.startup_timeout_seconds": 33}
    with temporary_settings(own, restore_defaults={"api.url"}), server_settings():
        assert get_current_settings().server.ephemeral.startup_timeout_seconds == 33


@pytest.mark.soak
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGHUP, -signal.SIGHUP), (signal.SIGKILL, -9)]
)
def test_what_strikes_the_terminal_s_whole_group(accounts, monkeypatch, tmp_path, run_key, number, exit_code):
    """Ctrl-C and a terminal that closes strike all processes of a group: the run still has its server, cleans
    up behind itself, and ends. Of one that is killed no server stays."""
    monkeypatch.delenv("PREFECT_API_URL")
    create_prefect_home(tmp_path / "prefect")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    inputs = write_files(tmp_path / "in", {"one.txt": "a"})
    options = ["--output-dir", tmp_path / "out", "--run-key", run_key]
    argv = [sys.executable, "-m", "flows.fan_out", inputs, "--command", "sleep 600", *options]
    log = tmp_path / "log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            list(map(str, argv)), cwd=REPOSITORY, stderr=stderr, start_new_session=True
        ) as process,
    ):
        wait_until(lambda: "Batch tasks completed" in log.read_text(), RUN_SECONDS, "the Batch task")
        (server,) = psutil.Process(process.pid).children()
        os.killpg(process.pid, number)
        assert process.wait(60) == exit_code
    wait_until(lambda: not server.is_running(), 30, "the end of the server")
    assert "Traceback" not in log.read_text()
    if number != signal.SIGKILL:
        wait_for_remains(run_key, set())
