"""Prefect events: those of pools and files, as the server has them, and the heartbeats by whose end it is
known that a run is dead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import AwaitingRetry, Completed, Pending, Running

from deployments.local.settings import REPOSITORY
from flows.fan_out import fan_out
from flows.heartbeats import HEARTBEAT
from tasks.cleanup import clean_up
from tasks.errors import FilesFailedError, PoolError
from tasks.leftovers.silent_runs import find_silent_runs
from tasks.pools import create_pool
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup, PoolSpec
from tests.flows.prefect_events import tell
from tests.flows.services import write_files
from tests.prefect_servers import serve_prefect
from tests.waiting import wait_until

SECONDS = 60
# With a server of their own, which keeps events.
pytestmark = pytest.mark.soak


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", {"good.txt": "a b", "bad.txt": "c d e"})


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that keeps events."""
    with serve_prefect(tmp_path_factory.mktemp("prefect-server")) as api_url:
        yield api_url


@pytest.fixture
def prefect(prefect_server) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


def events_of(resource_id: str) -> list[dict]:
    """What the server knows of a resource, or of all whose ids begin so up to a star, oldest first."""
    chosen = {"id_prefix": [resource_id[:-1]]} if resource_id.endswith("*") else {"id": [resource_id]}
    body = {"filter": {"resource": chosen, "order": "ASC"}, "limit": 50}
    with get_client(sync_client=True) as client:
        return client.request("POST", "/events/filter", json=body).json()["events"]


def wait_for_events(resource_id: str, *names: str) -> list[dict]:
    """The events of a resource, once there are these and no others."""
    wait_until(
        lambda: [event["event"] for event in events_of(resource_id)] == list(names),
        SECONDS,
        f"events {names} of {resource_id}",
        interval=0.5,
    )
    return events_of(resource_id)


def test_a_pool_tells_that_it_was_made_and_reused(accounts, inputs, tmp_path, run_key):
    """One run makes the pool, another one reuses it: two events of one resource, each with its flow run."""
    keep, pool = Cleanup(pool="never"), PoolSpec(pool_id=f"pool-{run_key}")
    try:
        for attempt in ("first", "second"):
            key = f"{run_key}-{attempt}"
            fan_out(inputs, None, "cat {input}", tmp_path / attempt, pool, keep, run_key=key)
        events = wait_for_events(
            f"azure-batch.pool.pool-{run_key}", "azure-batch.pool.created", "azure-batch.pool.reused"
        )
        roles = [{related["prefect.resource.role"] for related in event["related"]} for event in events]
        assert all({"flow", "flow-run"} <= found for found in roles)
    finally:
        clean_up(names_of_run(f"{run_key}-first", f"pool-{run_key}"), Cleanup(), succeeded=True)


def test_a_lost_pool_tells_why(accounts, inputs, tmp_path, run_key):
    """A pool none of whose nodes can run tasks is an event with the reason."""
    pool = PoolSpec(start_command="exit 42")
    with pytest.raises(PoolError):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", pool, run_key=run_key)
    names = ("azure-batch.pool.created", "azure-batch.pool.lost")
    *_, lost = wait_for_events(f"azure-batch.pool.fan-out-{run_key}", *names)
    assert "its only node can't run tasks" in lost["payload"]["reason"]


def test_a_failed_file_is_an_event_by_its_name(accounts, inputs, tmp_path, run_key):
    """Of a run in which one file fails there is an event of that file, and one with the counts."""
    command = """sh -c 'case "$FAN_OUT_NAME" in bad*) exit 3;; esac; cat "$FAN_OUT_INPUT"'"""
    with pytest.raises(FilesFailedError):
        fan_out(inputs, None, command, tmp_path / "out", run_key=run_key)
    job_id = names_of_run(run_key).job_id
    (job,) = wait_for_events(f"azure-batch.job.{job_id}", "azure-batch.job.failed")
    assert job["payload"] == {"failed": 1, "total": 2}
    (file,) = wait_for_events(f"azure-batch.task.{job_id}.*", "azure-batch.file.failed")
    assert file["resource"]["prefect.resource.name"] == "bad.txt"
    assert (file["payload"]["exit_code"], file["payload"]["problem"]) == (3, "exit code 3 (UserError)")


def test_a_run_in_a_terminal_is_heard_of(accounts, prefect, inputs, tmp_path, run_key):
    """It sends its heartbeats itself, as Prefect does for other runs."""
    options = ["--command", "cat {input}", "--output-dir", str(tmp_path / "out"), "--run-key", run_key]
    argv = [sys.executable, "-m", "flows.fan_out", inputs, *options]
    subprocess.run(argv, cwd=REPOSITORY, check=True, timeout=SECONDS, capture_output=True)
    (flow_run,) = [one for one in prefect.read_flow_runs() if one.parameters.get("run_key") == run_key]
    wait_until(
        lambda: HEARTBEAT in [event["event"] for event in events_of(f"prefect.flow-run.{flow_run.id}")],
        SECONDS,
        "heartbeat",
        interval=0.5,
    )


def test_silence_counts_once_there_were_heartbeats_or_the_time_is_over(prefect):
    """A run may have been told to send none. What waits in its own process, or was part of another one's,
    needs nothing of that to be known as dead."""
    parameters = {"timeout_seconds": 1200}
    beating, silent = (
        prefect.create_flow_run(fan_out, parameters=parameters, state=Running()) for _ in range(2)
    )
    waiting = prefect.create_flow_run(fan_out, state=Pending())
    again = prefect.create_flow_run(fan_out, state=AwaitingRetry(scheduled_time=datetime.now(timezone.utc)))
    over = prefect.create_flow_run(fan_out, state=Completed())
    call = prefect.create_task_run(create_pool, over.id, "call")
    part = prefect.create_flow_run(fan_out, parent_task_run_id=call.id, state=Running())
    tell("prefect.flow-run.heartbeat", beating)
    made = (beating, silent, waiting, again, over, part)
    all_ids, at_once = {one.id for one in made}, {beating.id, waiting.id, again.id, part.id}

    def find(minutes: int) -> set[UUID]:
        later = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        return {flow_run.id for flow_run in find_silent_runs([], later)} & all_ids

    wait_until(lambda: find(31) == at_once, 60, "heartbeat", 0.5)
    assert find(29) == set()
    assert find(82) == {*at_once, silent.id}
    for flow_run in made:
        prefect.set_flow_run_state(flow_run.id, Completed(), force=True)
