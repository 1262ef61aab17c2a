"""Runs on the local stack that are cancelled or killed, and stacks that are."""

import signal
import uuid
from pathlib import Path

import psutil
import pytest

from tasks.azure.accounts import read_accounts
from tasks.azure.clients import get_batch_client, get_blob_service
from tasks.spec.naming import names_of_run
from tests.stacks import DATA, RUN_SECONDS, START_SECONDS, STOP_SECONDS, Stack, are_gone
from tests.waiting import nudged, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NUDGE_SECONDS = 40


def start_long_run(stack: Stack, key: str, delay_seconds: int, output_dir: Path) -> dict:
    """A flow run of the worker's whose Batch tasks run."""
    result = stack.run_deployment(
        "top-n-words/count-words",
        inputs=str(DATA),
        output_dir=str(output_dir),
        delay_seconds=delay_seconds,
        run_key=key,
        accounts="local",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: stack.processes(f"--delay {delay_seconds}"), RUN_SECONDS, "running Batch task", 0.5)
    (flow_run,) = [one for one in flow_runs(stack) if one["parameters"].get("run_key") == key]
    return flow_run


@pytest.mark.soak
def test_a_run_is_cancelled_from_the_command_line(local_stack, tmp_path):
    """`prefect flow-run cancel` in mid-run: the Batch tasks stop, and what the run made is deleted."""
    key = f"cancelled-{uuid.uuid4().hex[:8]}"
    flow_run = start_long_run(local_stack, key, 302, tmp_path)
    result = local_stack.prefect("flow-run", "cancel", flow_run["id"])
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: not local_stack.processes("--delay 302"), RUN_SECONDS, "end of the Batch tasks", 0.5)
    wait_until(lambda: not remains_of(local_stack, key), RUN_SECONDS, "end of all that the run made", 0.5)
    wait_until(lambda: local_stack.state_of(flow_run["id"]) == "CANCELLED", RUN_SECONDS, "cancelled run", 0.5)


@pytest.mark.soak
def test_behind_a_killed_run_the_automation_cleans_up(local_stack, tmp_path):
    """The process of a run is killed: its hook and `cleanup`, one after the other, leave nothing."""
    key = f"killed-{uuid.uuid4().hex[:8]}"
    flow_run = start_long_run(local_stack, key, 301, tmp_path)
    for process in processes_of(local_stack, flow_run["id"]):
        process.send_signal(signal.SIGKILL)
    cleaned = nudged(
        lambda: "COMPLETED" in cleanups_of(local_stack, flow_run["id"]),
        lambda: crash_again(local_stack, flow_run["id"]),
        NUDGE_SECONDS,
    )
    wait_until(cleaned, RUN_SECONDS, "cleanup", 0.5)
    wait_until(lambda: not remains_of(local_stack, key), RUN_SECONDS, "end of all that the run made", 0.5)
    assert local_stack.state_of(flow_run["id"]) == "CRASHED"


def flow_runs(stack: Stack) -> list[dict]:
    return stack.api("POST", "/flow_runs/filter", {})


def crash_again(stack: Stack, flow_run_id: str) -> None:
    """Let the server see the crash once more, if it has seen it at all."""
    if stack.state_of(flow_run_id) == "CRASHED":
        state = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
        stack.api("POST", f"/flow_runs/{flow_run_id}/set_state", state)


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
    batch, blobs = get_batch_client(accounts), get_blob_service(accounts)
    pools = [pool.id for pool in batch.list_pools() if pool.id == names.pool_id]
    jobs = [job.id for job in batch.list_jobs() if job.id == names.job_id]
    containers = [one for one in names.containers if blobs.get_container_client(one).exists()]
    return [*pools, *jobs, *containers]


@pytest.mark.soak
def test_sigterm_in_the_middle_of_a_run(tmp_path):
    """The run deletes what it made before the stack ends; neither its processes nor the keys stay."""
    with Stack(tmp_path, "--location", str(tmp_path / "location")) as stack:
        stack.wait_until_ready()
        result = stack.run_deployment(
            "top-n-words/count-words", inputs=str(DATA), output_dir=str(tmp_path), delay_seconds=300
        )
        assert result.returncode == 0, result.stdout + result.stderr
        wait_until(lambda: stack.processes("--delay 300"), RUN_SECONDS, "running Batch task", 0.5)
        processes = stack.processes()
        assert stack.stop(signal.SIGTERM) == 0
    assert are_gone(processes)
    assert not stack.env_file.exists()
    worker_log = tmp_path / "location" / "logs" / "prefect-worker.log"
    assert "Deleted the pool" in worker_log.read_text()


@pytest.mark.soak
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_signal_while_starting(tmp_path, number, exit_code):
    """A stack that is interrupted or killed before it is ready leaves no process either."""
    with Stack(tmp_path) as stack:
        # Three services, each under its guard.
        wait_until(lambda: len(stack.processes()) >= 6, START_SECONDS, "start of all services")
        processes = stack.processes()
        assert stack.stop(number) == exit_code
    wait_until(lambda: are_gone(processes), STOP_SECONDS, "end of all processes")
    assert not stack.env_file.exists()


@pytest.mark.soak
def test_a_part_that_dies_ends_the_stack(tmp_path):
    """When a part ends by itself, the stack names it, stops the others and ends with exit code 1."""
    with Stack(tmp_path) as stack:
        # Its guard, then the service itself.
        wait_until(lambda: len(stack.processes("-m batch_emulator")) == 2, START_SECONDS, "Batch service")
        processes = stack.processes()
        stack.processes("-m batch_emulator")[1].kill()
        assert stack.process.wait(STOP_SECONDS) == 1
    assert "Azure Batch (local) ended with exit code 137" in stack.log.read_text()
    assert are_gone(processes)
