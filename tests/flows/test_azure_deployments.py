"""The deployments of `azure.yaml`, on a worker as in its container: code from git, accounts from blocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.states import Scheduled
from prefect.variables import Variable

from deployments.local.settings import REPOSITORY
from deployments.processes import Command, running
from tasks.azure.accounts import read_accounts
from tasks.azure.blocks import save_accounts
from tests.flows.services import batch, write_files
from tests.repositories import commit_flows
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(400)]

SECONDS = 150
TOKEN = "token-that-nobody-may-see"
NAMES = {
    "top-n-words/count-words-azure",
    "top-n-words/nightly-azure",
    "fan-out/run-program-azure",
    "cleanup/one-run-azure",
    "check/what-is-needed-azure",
    "sweep/leftovers-azure",
}
FINAL = {"Completed", "Failed", "Crashed", "Cancelled"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """What is to be deployed as a git repository of its own, as it is now."""
    return commit_flows(tmp_path_factory.mktemp("git") / "prefect-azure-batch")


@pytest.fixture(scope="module")
def environment(prefect_server) -> dict[str, str]:
    """That of somebody who deploys: the server and no account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {**kept, "PATH": path, "PREFECT_WORKER_QUERY_SECONDS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def prefect(prefect_server) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def deploy(prefect, environment, repository) -> Iterator[Callable[[], None]]:
    """Do what the how-to page says: a work pool, where the code is, and `prefect deploy --all`."""
    prefect.create_work_pool(WorkPoolCreate(name="azure", type="process"))
    Variable.set("flows_repository", repository.as_uri())
    Variable.set("flows_branch", "main")
    Secret(value=TOKEN).save("flows-repository-token", overwrite=True)
    argv = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    argv += ["--prefect-file", "deployments/azure.yaml"]

    def run() -> None:
        done = subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    run()
    yield run
    for deployment in deployments_of(prefect).values():
        prefect.delete_deployment(deployment.id)


@pytest.fixture(scope="module")
def blocks(batch_account, storage, prefect_server) -> None:
    """The accounts under the name that the deployments give."""
    accounts = {
        "AZURE_BATCH_ENDPOINT": batch_account.endpoint,
        "AZURE_BATCH_ACCOUNT": batch_account.name,
        "AZURE_BATCH_ACCESS_KEY": batch_account.key,
        "AZURE_STORAGE_CONNECTION_STRING": storage.connection_string,
    }
    save_accounts("prod", read_accounts(accounts))


def deployments_of(prefect: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """The deployments in the work pool, by their names."""
    found = [one for one in prefect.read_deployments() if one.work_pool_name == "azure"]
    return {f"{prefect.read_flow(one.flow_id).name}/{one.name}": one for one in found}


@contextmanager
def worker(environment: dict[str, str], folder: Path) -> Iterator[None]:
    """A worker as the container starts it, in an empty folder, where it also leaves its temporary files."""
    folder.mkdir()
    argv = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "azure", "--limit", "4"]
    variables = {**environment, "TMPDIR": str(folder)}
    with running(Command("worker", argv, variables, folder / "worker.log", cwd=folder, grace_seconds=10)):
        yield


def start(prefect: SyncPrefectClient, name: str, age: timedelta = timedelta(), **parameters):
    """The id of a new flow run of a deployment, due that long ago."""
    state = Scheduled(scheduled_time=datetime.now(timezone.utc) - age)
    deployment = deployments_of(prefect)[name]
    return prefect.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=state).id


def state_of(prefect: SyncPrefectClient, flow_run_id) -> str:
    return prefect.read_flow_run(flow_run_id).state_name


def wait_for_end(prefect: SyncPrefectClient, flow_run_id) -> str:
    wait_until(lambda: state_of(prefect, flow_run_id) in FINAL, SECONDS, "end of the run", 0.5)
    return state_of(prefect, flow_run_id)


def test_deploying_again_changes_nothing(prefect, deploy):
    """The same deployments with the same ids, after the second time too."""
    before = deployments_of(prefect)
    assert before.keys() == NAMES
    deploy()
    assert {name: one.id for name, one in deployments_of(prefect).items()} == {
        name: one.id for name, one in before.items()
    }


def test_deploying_again_leaves_what_somebody_has_set(prefect, deploy):
    """A schedule that was resumed, parameters, tags, a limit and a pause are as they were set."""
    before = deployments_of(prefect)["top-n-words/nightly-azure"]
    prefect.update_deployment_schedule(before.id, before.schedules[0].id, active=True)
    changes = {"parameters": {**before.parameters, "num_words": 7}, "concurrency_limit": 3, "tags": ["mine"]}
    prefect.update_deployment(before.id, DeploymentUpdate(**changes))
    prefect.pause_deployment(before.id)
    kept = prefect.read_deployment(before.id)
    deploy()
    after = prefect.read_deployment(before.id)
    assert after == kept
    assert (after.schedules[0].active, after.paused, after.parameters["num_words"]) == (True, True, 7)
    prefect.delete_deployment(before.id)
    deploy()
    assert not deployments_of(prefect)["top-n-words/nightly-azure"].schedules[0].active


def test_secrets_and_places_stay_references(prefect, deploy, repository):
    """What was deployed holds neither the token nor where the code is, but where both can be found."""
    for deployment in deployments_of(prefect).values():
        said = deployment.model_dump_json()
        assert TOKEN not in said
        assert str(repository) not in said
        (step,) = deployment.pull_steps
        assert step["prefect.deployments.steps.git_clone"] == {
            "repository": "{{ prefect.variables.flows_repository }}",
            "branch": "{{ prefect.variables.flows_branch }}",
            "access_token": "{{ prefect.blocks.secret.flows-repository-token }}",
        }


def test_a_night_that_overlaps_is_cancelled_and_missed_ones_are_made_up_for_once(
    prefect, deploy, blocks, environment, storage, tmp_path
):
    """Of three nights without a worker one runs, from a clone and on the accounts of the blocks."""
    # A URL of a file has no place for a token, and a public repository needs none.
    Secret(value="").save("flows-repository-token", overwrite=True)
    write_files(tmp_path / "in", {"one.txt": "b a b", "two.txt": "c"})
    parameters = {"inputs": str(tmp_path / "in"), "output_dir": str(tmp_path / "out"), "delay_seconds": 5}
    nights = [
        start(prefect, "top-n-words/nightly-azure", timedelta(days=age), **parameters) for age in (3, 2, 1)
    ]
    with worker(environment, tmp_path / "worker"):
        ends = sorted(wait_for_end(prefect, night) for night in nights)
        log = (tmp_path / "worker" / "worker.log").read_text()
    assert ends == ["Cancelled", "Cancelled", "Completed"], log
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text().splitlines()[2] == "b:\t2"
    assert storage.account_key not in log


def test_what_a_run_left_is_cleaned_up_and_swept_by_deployments(
    prefect, deploy, blocks, environment, accounts, tmp_path
):
    """`cleanup` and `sweep` run on the worker like the others, and find the accounts that they need."""
    write_files(tmp_path / "in", {"one.txt": "b a b"})
    keep = {"containers": "on_success", "job": "on_success", "pool": "on_success"}
    with worker(environment, tmp_path / "worker"):
        failed = start(
            prefect,
            "fan-out/run-program-azure",
            inputs=str(tmp_path / "in"),
            output_dir=str(tmp_path / "out"),
            application=None,
            command="false",
            cleanup=keep,
        )
        assert wait_for_end(prefect, failed) == "Failed"
        assert batch().get_pool(f"fan-out-{failed}").state == "active"
        cleaned = start(prefect, "cleanup/one-run-azure", flow_run_id=str(failed))
        swept = start(prefect, "sweep/leftovers-azure", dry_run=True)
        assert [wait_for_end(prefect, one) for one in (cleaned, swept)] == ["Completed", "Completed"]
    chosen = {"artifacts": {"key": {"any_": ["cleanup"]}, "flow_run_id": {"any_": [str(cleaned)]}}}
    (table,) = prefect.request("POST", "/artifacts/filter", json=chosen).json()
    assert [row["outcome"] for row in json.loads(table["data"])] == ["nothing to do", "kept", "kept"]
    batch().begin_delete_pool(f"fan-out-{failed}", polling_interval=1).wait()
    batch().begin_delete_job(f"fan-out-{failed}", polling_interval=1).wait()


def test_served_flows_need_no_worker(prefect, environment, blocks, tmp_path):
    """`python -m deployments.serve` takes the runs itself, on the accounts that it was told."""
    write_files(tmp_path / "in", {"one.txt": "b a b"})
    argv = [sys.executable, "-m", "deployments.serve", "--accounts", "prod"]
    log = tmp_path / "serve.log"
    variables = {**environment, "TMPDIR": str(tmp_path)}
    with running(Command("serve", argv, variables, log, cwd=REPOSITORY, grace_seconds=20)):
        name = "top-n-words/count-words-served"
        wait_until(lambda: found(prefect, name), SECONDS, "served deployment", 0.5)
        flow_run = prefect.create_flow_run_from_deployment(
            found(prefect, name).id,
            parameters={"inputs": str(tmp_path / "in"), "output_dir": str(tmp_path / "out")},
        )
        assert wait_for_end(prefect, flow_run.id) == "Completed", log.read_text()
    for deployment in prefect.read_deployments():
        if "served" in deployment.tags:
            prefect.delete_deployment(deployment.id)


def found(prefect: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    names = {f"{prefect.read_flow(one.flow_id).name}/{one.name}": one for one in prefect.read_deployments()}
    return names.get(name)
