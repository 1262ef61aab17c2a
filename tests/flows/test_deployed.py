"""The local stack as a user has it: started by its command line, used through its environment variables."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import punctuation

import httpx
import psutil
import pytest

from deployments.local import environment
from deployments.local.settings import PREFECT_FILE, REPOSITORY, base_environment
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

START_SECONDS = 150
RUN_SECONDS = 120
STOP_SECONDS = 40
DATA = REPOSITORY / "data"


class Stack:
    """`python -m deployments.local up` in a process of its own, and the variables that it wrote."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.env_file = folder / "stack.env"
        self.log = folder / "up.log"
        argv = [sys.executable, "-m", "deployments.local", "up", "--env-file", str(self.env_file), *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=REPOSITORY)

    def wait_until_ready(self) -> None:
        wait_until(
            lambda: self.env_file.exists() or self.process.poll() is not None, START_SECONDS, "env file"
        )
        assert self.process.poll() is None, self.log.read_text()
        self.parts = psutil.Process(self.process.pid).children(recursive=True)

    def processes(self, word: str = "") -> list[psutil.Process]:
        """What the stack has started, directly or not, and has the word in its command line."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if word in command_line(child)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    @property
    def variables(self) -> dict[str, str]:
        return {**base_environment(os.environ), **environment.read(self.env_file)}

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "prefect", *arguments]
        return subprocess.run(
            argv, env=self.variables, capture_output=True, text=True, cwd=REPOSITORY, timeout=RUN_SECONDS
        )

    def api(self, method: str, path: str, body: object = None) -> object:
        response = httpx.request(method, self.variables["PREFECT_API_URL"] + path, json=body, trust_env=False)
        response.raise_for_status()
        return response.json() if response.content else None


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole local stack with the flows deployed."""
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack(folder, "--location", str(folder / "location"))
    try:
        stack.wait_until_ready()
        yield stack
    finally:
        stack.process.terminate()
        stack.process.wait(STOP_SECONDS)


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and command_line(process) for process in processes)


def parameters(**values: object) -> str:
    return json.dumps({"inputs": str(DATA), **values})


def expected_counts(path: Path, num_words: int) -> list[tuple[str, int]]:
    """The same count in the plainest Python, the tutorial's way: split on white space, strip punctuation."""
    words = (word.strip(punctuation) for word in path.read_text().split())
    return Counter(word for word in words if word).most_common(num_words)


def table(path: Path) -> list[tuple[str, int]]:
    rows = [line.split(":\t") for line in path.read_text().splitlines() if ":\t" in line]
    return [(word, int(count)) for word, count in rows]


def test_a_deployment_runs_through_the_worker(stack, tmp_path):
    """`prefect deployment run --watch` over the sample files succeeds, and the counts are right."""
    result = stack.prefect(
        "deployment",
        "run",
        "top-n-words/local",
        "--watch",
        "--params",
        parameters(output_dir=str(tmp_path), num_words=5),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    tables = {path.name: table(path) for path in tmp_path.iterdir()}
    assert tables == {f"{path.stem}_OUTPUT.txt": expected_counts(path, 5) for path in sorted(DATA.iterdir())}


def test_a_failed_run_fails_the_command(stack, tmp_path):
    """A run over an empty folder ends with exit code 1, and the log says what is missing."""
    result = stack.prefect(
        "deployment", "run", "top-n-words/local", "--watch", "--params", parameters(inputs=str(tmp_path))
    )
    assert result.returncode == 1
    assert str(tmp_path) in result.stdout.replace("\n", "")


def test_deploying_again_changes_nothing(stack):
    """`prefect deploy --all` can be repeated: the same deployments are there, with the same ids."""
    ids = {one["id"] for one in stack.api("POST", "/deployments/filter", {})}
    result = stack.prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE))
    assert result.returncode == 0, result.stdout
    assert {one["id"] for one in stack.api("POST", "/deployments/filter", {})} == ids


def test_a_schedule_fires(stack, tmp_path):
    """A schedule that is made active starts runs by itself, which the worker brings to their end."""
    deployment = stack.api("GET", "/deployments/name/top-n-words/nightly")
    schedule = {
        "schedule": {"interval": 10},
        "active": True,
        "max_scheduled_runs": 1,
        "slug": f"test-{uuid.uuid4().hex[:6]}",
        "parameters": {"inputs": str(DATA), "output_dir": str(tmp_path)},
    }
    (made,) = stack.api("POST", f"/deployments/{deployment['id']}/schedules", [schedule])
    try:
        completed = wait_until(
            lambda: runs(stack, deployment["id"], "COMPLETED"), RUN_SECONDS, "completed scheduled run", 0.5
        )
    finally:
        stack.api("DELETE", f"/deployments/{deployment['id']}/schedules/{made['id']}")
    assert completed[0]["auto_scheduled"]
    assert (tmp_path / "taskdata1_OUTPUT.txt").exists()


def runs(stack: Stack, deployment_id: str, state: str) -> list[dict]:
    chosen = {"deployment_id": {"any_": [deployment_id]}, "state": {"type": {"any_": [state]}}}
    return stack.api("POST", "/flow_runs/filter", {"flow_runs": chosen})


def test_the_inactive_schedule_makes_no_runs(stack):
    """As deployed, the cron schedule is there and switched off."""
    deployment = stack.api("GET", "/deployments/name/top-n-words/nightly")
    crons = [one for one in deployment["schedules"] if one["schedule"].get("cron") == "0 2 * * *"]
    assert [one["active"] for one in crons] == [False]


def test_the_dashboard_is_served(stack):
    """The UI's page comes from the address that was printed."""
    address = stack.variables["PREFECT_API_URL"].removesuffix("/api")
    assert address in stack.log.read_text()
    page = httpx.get(address, follow_redirects=True, trust_env=False, headers={"Accept": "text/html"})
    assert "<title>Prefect" in page.text


def test_a_demo_uses_the_open_stack(stack, tmp_path):
    """`demo` starts nothing when a stack is open, runs the deployment there and shows the tables."""
    argv = [sys.executable, "-m", "deployments.local", "demo", "--env-file", str(stack.env_file)]
    argv += ["--inputs", str(DATA), "--output", str(tmp_path / "out"), "--num-words", "2"]
    result = subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, timeout=RUN_SECONDS)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Starting" not in result.stdout
    assert "taskdata3_OUTPUT.txt\nWord" in result.stdout
    assert "Files: 3, 3 succeeded" in result.stdout


def test_sigterm_in_the_middle_of_a_run(stack, tmp_path):
    """The run deletes what it made before the stack ends; neither its processes nor the keys stay."""
    options = parameters(output_dir=str(tmp_path), delay_seconds=300)
    assert stack.prefect("deployment", "run", "top-n-words/local", "--params", options).returncode == 0
    wait_until(lambda: stack.processes("--delay 300"), RUN_SECONDS, "running Batch task", 0.5)
    processes = stack.processes()
    assert stack.stop(signal.SIGTERM) == 0
    assert are_gone(processes)
    assert not stack.env_file.exists()
    worker_log = stack.env_file.parent / "location" / "logs" / "prefect-worker.log"
    assert "Deleted the pool" in worker_log.read_text()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_signal_while_starting(tmp_path, number, exit_code):
    """A stack that is interrupted or killed before it is ready leaves no process either."""
    stack = Stack(tmp_path)
    try:
        wait_until(lambda: len(stack.processes()) >= 6, START_SECONDS, "three parts on their leashes")
        processes = stack.processes()
    finally:
        assert stack.stop(number) == exit_code
    wait_until(lambda: are_gone(processes), STOP_SECONDS, "end of all processes")
    assert not stack.env_file.exists()


def test_a_part_that_dies_ends_the_stack(tmp_path):
    """When a part ends by itself, the stack names it, stops the others and ends with exit code 1."""
    stack = Stack(tmp_path)
    try:
        batch = wait_until(lambda: stack.processes("-m batch_emulator"), START_SECONDS, "Batch service")
        processes = stack.processes()
        batch[-1].kill()
        assert stack.process.wait(STOP_SECONDS) == 1
    finally:
        stack.process.kill()
        stack.process.wait()
    assert "Azure Batch (local) ended with exit code" in stack.log.read_text()
    assert are_gone(processes)
