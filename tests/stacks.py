"""The local stack as a user has it: started by its command line, used through what it writes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from deployments.local import environment
from deployments.local.settings import REPOSITORY, base_environment
from deployments.processes import free_port
from tests.waiting import wait_until

DATA = REPOSITORY / "data"
START_SECONDS = 150
RUN_SECONDS = 150
STOP_SECONDS = 60
BUSY_SECONDS = 30


class Stack:
    """`python -m deployments.local up` in a process of its own, and the variables that it wrote."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.env_file = folder / "stack.env"
        self.log = folder / "up.log"
        # Of its own: the usual ones may be those of another worker of the test run.
        ports = [f"--{service}-port={free_port()}" for service in ("storage", "batch", "prefect")]
        argv = [sys.executable, "-m", "deployments.local", "up", "--env-file", str(self.env_file), *ports]
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*argv, *options], stdout=log, stderr=log, cwd=REPOSITORY)

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, if the block hasn't; nothing of it may stay."""
        if self.process.poll() is None:
            processes = self.processes()
            assert self.stop() == 0, self.log.read_text()
            assert are_gone(processes)

    def wait_until_ready(self) -> None:
        wait_until(
            lambda: self.env_file.exists() or self.process.poll() is not None, START_SECONDS, "env file"
        )
        assert self.process.poll() is None, self.log.read_text()

    def processes(self, word: str = "") -> list[psutil.Process]:
        """What the stack has started, directly or not, and has the word in its command line."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if word in command_line(child)]

    def state_of(self, flow_run_id: str) -> str:
        return self.api("GET", f"/flow_runs/{flow_run_id}")["state_type"]

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

    def run_deployment(self, *arguments: str, **parameters: object) -> subprocess.CompletedProcess[str]:
        """`prefect deployment run` with these arguments, and these parameters for the flow."""
        return self.prefect("deployment", "run", *arguments, "--params", json.dumps(parameters))

    def api(self, method: str, path: str, body: object = None) -> object:
        """Prefect answers 503 while its database is busy, and expects to be asked again."""
        deadline = time.monotonic() + BUSY_SECONDS
        with prefect_client(self.address, self.variables["PREFECT_API_AUTH_STRING"]) as client:
            headers = csrf_headers(client) if method != "GET" else {}
            while True:
                response = client.request(method, f"/api{path}", json=body, headers=headers)
                if response.status_code != 503 or time.monotonic() > deadline:
                    break
                time.sleep(0.2)
        response.raise_for_status()
        return response.json() if response.content else None

    @property
    def location(self) -> str:
        """The folder of all that it keeps."""
        return self.variables[environment.LOCATION]

    @property
    def address(self) -> str:
        """Where its Prefect server and the dashboard are."""
        return self.variables["PREFECT_API_URL"].removesuffix("/api")


def prefect_client(address: str, auth_string: str) -> httpx.Client:
    """Speaks to a stack's Prefect server as one who has its key."""
    user, _, password = auth_string.partition(":")
    return httpx.Client(base_url=address, auth=(user, password), trust_env=False, timeout=30)


def csrf_headers(client: httpx.Client) -> dict[str, str]:
    """What Prefect's server asks of a request that changes something, beside the key."""
    token = client.get("/api/csrf-token", params={"client": "test"}).raise_for_status().json()["token"]
    return {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token}


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and command_line(process) for process in processes)
