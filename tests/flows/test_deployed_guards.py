"""What guards a run on a deployed stack: accounts as blocks, and what is done behind one that was killed."""

from __future__ import annotations

import signal
import uuid

import psutil
import pytest

from deployments.local.settings import REPOSITORY
from tasks.clients import batch_client_of, blob_service_of
from tasks.naming import names_of_run
from tasks.settings import read_accounts
from tests.stacks import RUN_SECONDS, Stack
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DATA = REPOSITORY / "data"


def test_the_dashboard_has_the_accounts_and_the_automations(local_stack):
    """The stack's own accounts are blocks named `local`, without their keys; the automations are on."""
    documents = local_stack.api("POST", "/block_documents/filter", {})
    named = {one["block_type"]["slug"] for one in documents if one["name"] == "local"}
    assert named == {"azure-batch-account", "azure-storage-account"}
    assert local_stack.variables["AZURE_BATCH_ACCESS_KEY"] not in str(documents)
    automations = local_stack.api("POST", "/automations/filter", {})
    assert {one["name"] for one in automations if one["enabled"]} == {
        "fan-out: no heartbeat",
        "fan-out: over budget",
        "fan-out: clean up",
    }


def test_behind_a_killed_run_the_automation_cleans_up(local_stack, tmp_path):
    """The process of a run is killed: its hook and `cleanup`, one after the other, leave nothing."""
    key = f"killed-{uuid.uuid4().hex[:8]}"
    result = local_stack.run_deployment(
        "top-n-words/local",
        inputs=str(DATA),
        output_dir=str(tmp_path),
        delay_seconds=301,
        run_key=key,
        accounts="local",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: local_stack.processes("--delay 301"), RUN_SECONDS, "running Batch task", 0.5)
    (flow_run,) = [one for one in flow_runs(local_stack) if one["parameters"].get("run_key") == key]
    for process in processes_of(local_stack, flow_run["id"]):
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: cleanups_of(local_stack, flow_run["id"]) == ["COMPLETED"], RUN_SECONDS, "cleanup", 0.5)
    wait_until(lambda: not remains_of(local_stack, key), RUN_SECONDS, "end of all that the run made", 0.5)
    assert state_of(local_stack, flow_run["id"]) == "CRASHED"


def flow_runs(stack: Stack) -> list[dict]:
    return stack.api("POST", "/flow_runs/filter", {})


def state_of(stack: Stack, flow_run_id: str) -> str:
    return stack.api("GET", f"/flow_runs/{flow_run_id}")["state_type"]


def cleanups_of(stack: Stack, flow_run_id: str) -> list[str]:
    """The states of the runs of `cleanup` for a flow run."""
    parameters = {"flow_run_id": flow_run_id}
    return [one["state_type"] for one in flow_runs(stack) if one["parameters"] == parameters]


def processes_of(stack: Stack, flow_run_id: str) -> list[psutil.Process]:
    """The processes that execute a flow run, by the variable that Prefect gives them."""
    return [one for one in stack.processes() if variable(one, "PREFECT__FLOW_RUN_ID") == flow_run_id]


def variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except psutil.Error:
        return None


def remains_of(stack: Stack, run_key: str) -> list[str]:
    """The ids of what a run has left on the stack's accounts."""
    accounts = read_accounts(stack.variables)
    names = names_of_run(run_key)
    batch, blobs = batch_client_of(accounts), blob_service_of(accounts)
    pools = [pool.id for pool in batch.list_pools() if pool.id == names.pool_id]
    jobs = [job.id for job in batch.list_jobs() if job.id == names.job_id]
    containers = [one for one in names.containers if blobs.get_container_client(one).exists()]
    return [*pools, *jobs, *containers]
