"""The flows as somebody runs them from a terminal: processes with arguments, output and an exit code."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from deployments.local.database import create_prefect_home
from tasks.reuse.output_records import read_records
from tests.flows.services import wait_for_remains, write_files
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
RUN_SECONDS = 150


@pytest.fixture
def inputs(tmp_path) -> Path:
    return write_files(tmp_path / "in", {"one.txt": "a b a", "sub/two.txt": "c d c"})


@pytest.fixture
def quiet_environment(monkeypatch) -> None:
    """Without what makes Prefect speak to others, or colour what is no terminal."""
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def terminal(accounts, quiet_environment) -> None:
    """The environment of a process that runs a flow on the local services."""


def command_line(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"flows.{module}", *map(str, arguments)]


def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    argv = command_line(module, *arguments)
    return subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_SECONDS)


def test_a_run_prints_the_paths_of_its_outputs(terminal, inputs, tmp_path):
    """Exit code 0; a path each on standard output; the log, and nothing that moves, on standard error."""
    ended = run("top_n_words", inputs, "--output-dir", tmp_path / "out", "--num-words", 1)
    assert ended.returncode == 0, ended.stderr
    outputs = [tmp_path / "out" / "one_OUTPUT.txt", tmp_path / "out" / "sub" / "two_OUTPUT.txt"]
    assert sorted(ended.stdout.splitlines()) == sorted(map(str, outputs))
    assert "a:\t2\n" in outputs[0].read_text()
    assert "Files: 2, 2 succeeded, 0 failed" in ended.stderr
    assert not re.search(r"[\x1b\r━]", ended.stderr)


def test_a_run_with_failed_files_says_so_once(terminal, prefect_server, inputs, tmp_path, run_key):
    """Exit code 1; the summary alone on standard output; one message, without traceback; and the picture."""
    script = 'if grep -q d "$FAN_OUT_INPUT"; then echo cannot >&2; exit 3; fi; echo fine'
    options = ["--output-dir", tmp_path / "out", "--run-key", run_key, "--json"]
    ended = run("fan_out", inputs, "--command", f"sh -c '{script}'", *options)
    assert ended.returncode == 1, ended.stderr
    summary = json.loads(ended.stdout)
    assert (summary["state"], summary["files"], summary["failed"]) == ("failed", 2, 1)
    assert summary["outputs"] == {"one.txt": str(tmp_path / "out" / "one_OUTPUT.txt")}
    assert [(failure["file"], failure["exit_code"]) for failure in summary["failures"]] == [
        ("sub/two.txt", 3)
    ]
    assert summary["failures"][0]["stderr"] == "cannot"
    assert ended.stderr.count("sub/two.txt: exit code 3") == 1
    assert "Traceback" not in ended.stderr
    assert "2 files, 1 succeeded, 1 failed" in picture_of(run_key)


def picture_of(run_key: str) -> str:
    """The SVG in the latest picture artifact of that run."""
    wanted = {"artifacts": {"key": {"any_": ["fan-out-timeline"]}}, "sort": "CREATED_DESC"}
    with get_client(sync_client=True) as client:
        found = client.request("POST", "/artifacts/filter", json=wanted).json()
    uri = re.compile(r"\(data:image/svg\+xml;base64,(.*)\)$")
    pictures = [b64decode(uri.search(artifact["data"]).group(1)).decode() for artifact in found]
    return next(picture for picture in pictures if f"run {run_key}<" in picture)


def test_a_run_that_cannot_begin_says_why(terminal, tmp_path):
    """A folder that isn't there: exit code 1, its name once, no traceback, and JSON that says so too."""
    ended = run("top_n_words", tmp_path / "nowhere", "--output-dir", tmp_path / "out", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"].startswith("There is no file or folder")
    assert ended.stderr.count(str(tmp_path / "nowhere")) == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.soak
def test_a_prefect_server_that_is_not_there_is_told(quiet_environment, monkeypatch, tmp_path):
    """Where PREFECT_API_URL points nowhere, the message says so: exit code 1, no traceback."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "http://127.0.0.1:1/account")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    ended = run("top_n_words", tmp_path)
    assert ended.returncode == 1
    assert "Error: Failed to reach API at http://127.0.0.1:1/api" in ended.stderr
    assert "PREFECT_API_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.soak
def test_a_terminal_shows_how_far_the_run_is(terminal, inputs, tmp_path):
    """On a terminal a line moves with the Batch tasks and stands at the end, under the log."""
    screen, exit_code = run_on_terminal("top_n_words", inputs, "--output-dir", tmp_path / "out")
    assert exit_code == 0, screen
    assert "preparing" in screen
    assert "Batch tasks" in screen
    last_line = screen[screen.rindex("Batch tasks") :]
    assert re.search(r"━.* 2/2 .*0 running 0 waiting", plain(last_line))
    assert "Finished in state Completed()" in plain(screen)


def run_on_terminal(module: str, *arguments: object) -> tuple[str, int]:
    """What a process prints on a terminal of its own, and its exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"}
    argv = command_line(module, *arguments)
    with subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as screen:
            printed = b"".join(iter(lambda: read(screen), b""))
    return printed.decode(errors="replace"), process.returncode


def read(screen) -> bytes:
    """The next bytes from a terminal; none at its end, which Linux tells by an error."""
    try:
        return screen.read(65536)
    except OSError:
        return b""


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_an_interrupted_run_leaves_nothing(terminal, inputs, tmp_path, run_key):
    """Ctrl-C while Batch tasks run: exit code 130, one line says so, and all that the run made is gone, but
    for the output that has arrived, which is remembered."""
    log, out = tmp_path / "log", tmp_path / "out"
    command = """sh -c '[ "$FAN_OUT_NAME" = one.txt ] || sleep 600; echo done'"""
    options = ["--output-dir", out, "--run-key", run_key, "--pool.task-slots-per-node", 2]
    argv = command_line("fan_out", inputs, "--command", command, *options)
    with log.open("wb") as stderr, subprocess.Popen(argv, cwd=REPOSITORY, stderr=stderr) as process:
        wait_until((out / "one_OUTPUT.txt").exists, RUN_SECONDS, "the first output")
        process.send_signal(signal.SIGINT)
        assert process.wait(RUN_SECONDS) == 130
    assert log.read_text().count("Error: Interrupted.\n") == 1
    assert "Traceback" not in log.read_text()
    assert read_records(out).keys() == {"one.txt"}
    wait_for_remains(run_key, set())


@pytest.mark.soak
def test_without_a_server_prefect_starts_one_for_the_run(
    accounts, quiet_environment, monkeypatch, inputs, tmp_path
):
    """Without PREFECT_API_URL a temporary server, records the run and then stops."""
    monkeypatch.delenv("PREFECT_API_URL")
    # With a database, as making one is Prefect's own work and takes long.
    create_prefect_home(tmp_path / "prefect")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    ended = run("top_n_words", inputs, "--output-dir", tmp_path / "out", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["succeeded"] == 2
    assert "Stopping temporary server" in ended.stderr
