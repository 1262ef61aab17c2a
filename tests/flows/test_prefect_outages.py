"""Prefect's server silent, or failing for good, for runs that no worker of the local stack takes care of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate

from deployments.local.services import SERVER_PATIENCE
from deployments.processes import Command, running
from flows.fan_out import fan_out
from tests.documentation import REPOSITORY
from tests.flows.outages import FILES, STEPS, Case, Stand, find_lost, proxied, run_again
from tests.flows.services import write_files
from tests.waiting import wait_until
from tests.weather import Outage

RUN_SECONDS = 300
# A server that is silent is given up sooner than by default, after a minute each time.
IMPATIENT = {"PREFECT_API_REQUEST_TIMEOUT": "8"}
# A tenth of what it is: the server is silent for a tenth of the time.
SCALE = 10
SCALED = {"PREFECT_API_REQUEST_TIMEOUT": f"{60 / SCALE:g}"}
HOPELESS = {**IMPATIENT, "PREFECT_CLIENT_MAX_RETRIES": "0"}


@pytest.fixture
def stand(accounts, batch_account, storage, prefect_server) -> Stand:
    return Stand(batch_account, storage, prefect_server.removesuffix("/api"))


def in_terminal(parameters: dict[str, Any]) -> list[str]:
    options = [
        f"--{name.replace('_', '-')}={value}" for name, value in parameters.items() if name != "inputs"
    ]
    return ["-m", "flows.fan_out", parameters["inputs"], *options]


def by_worker(parameters: dict[str, Any]) -> list[str]:
    """What any worker starts for a run of a deployment."""
    deployment_id = fan_out.to_deployment("outage").apply()  # pyright: ignore[reportAttributeAccessIssue]
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment_id, parameters=parameters)
    return ["-m", "prefect", "flow-run", "execute", str(run.id)]


def describe_run(case: Case, folder: Path) -> dict[str, Any]:
    """The parameters of a run of two files, of which it is noted that they ran."""
    write_files(folder / "in", FILES)
    return {
        "inputs": str(folder / "in"),
        "command": f"""sh -c 'echo "$FAN_OUT_NAME" >> {folder}/ran; cat "$FAN_OUT_INPUT"'""",
        "output_dir": str(folder / "out"),
        "output_name": "{name}",
        "run_key": case.key,
    }


def run(
    stand: Stand,
    case: Case,
    folder: Path,
    start: Callable[[dict[str, Any]], list[str]],
    settings: dict[str, str],
) -> tuple[Outage, subprocess.CompletedProcess[str]]:
    """Run two files; the outage begins when the run is first drawn."""
    arguments = start(describe_run(case, folder))
    with proxied(stand) as proxies:
        outage = proxies["prefect"].begin(Outage(case.kind, case.seconds, STEPS["prefect"][case.step]))
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PREFECT_API_URL": f"{proxies['prefect'].url}/api", **settings},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
    return outage, ended


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_silent_server_is_borne_by_a_run_in_a_terminal(stand, tmp_path):
    """It takes requests and answers none for a while; then the run ends well."""
    case = Case("prefect", "artifacts", "silent", 20)
    outage, ended = run(stand, case, tmp_path, in_terminal, IMPATIENT)
    assert outage.struck
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in (tmp_path / "out").glob("*.txt")} == set(FILES)


def deploy_on(pool: str) -> UUID:
    """A deployment of this tree's flow that a worker of the pool runs."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
    options = {"work_pool_name": pool, "job_variables": {"working_dir": str(REPOSITORY)}}
    deployment = fan_out.to_deployment(pool, **options)
    return deployment.apply()  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def worker(pool: str, api_url: str, folder: Path) -> Iterator[Path]:
    """A worker of the pool with the patience of the local stack's; its log."""
    log = folder / "worker.log"
    argv = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    env = {**os.environ, **SERVER_PATIENCE, **SCALED, "PREFECT_API_URL": api_url}
    with running(Command("worker", argv, env, log, cwd=folder, grace_seconds=10)):
        yield log


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("step", ["states", "artifacts"])
def test_five_minutes_of_silence_are_borne_under_a_worker(stand, tmp_path, step):
    """Prefect's server answers neither worker nor run, all times being a tenth of what they are; the run
    completes and says so, each program has run once, and then the worker takes the next run."""
    case = Case("prefect", step, "silent", 300 / SCALE)
    parameters = describe_run(case, tmp_path)
    pool = f"outage-{step}"
    deployment_id = deploy_on(pool)
    with proxied(stand) as proxies, worker(pool, f"{proxies['prefect'].url}/api", tmp_path) as log:
        wait_until(lambda: "started" in log.read_text(), 60, "worker")
        outage = proxies["prefect"].begin(Outage(case.kind, case.seconds, STEPS["prefect"][case.step]))
        assert run_deployed(deployment_id, parameters) == "COMPLETED", log.read_text()
        assert len(outage.struck) > 1
        assert {path.name for path in (tmp_path / "out").glob("*.txt")} == set(FILES)
        assert sorted((tmp_path / "ran").read_text().split()) == sorted(FILES)
        again = {**parameters, "run_key": f"{case.key}-next", "refresh": True}
        assert run_deployed(deployment_id, again) == "COMPLETED", log.read_text()


def run_deployed(deployment_id: UUID, parameters: dict[str, Any]) -> str:
    """The state that a run ends in, asked for without a proxy."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment_id, parameters=parameters)

        def find_end() -> str:
            state = client.read_flow_run(run.id).state
            return state.type.value if state and state.is_final() else ""

        return wait_until(find_end, RUN_SECONDS, "end of the run")


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("start", [in_terminal, by_worker])
def test_a_server_that_fails_for_good_costs_no_output(stand, tmp_path, start):
    """The run fails and says so; what was computed is there, and the next attempt runs nothing again."""
    case = Case("prefect", "artifacts", "500", 3600)
    outage, ended = run(stand, case, tmp_path, start, HOPELESS)
    assert outage.struck
    assert "500" in ended.stderr + ended.stdout
    assert find_lost(stand, case, tmp_path) == set()
    assert len(run_again(stand, case, tmp_path).outputs) == len(FILES)
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(FILES)
