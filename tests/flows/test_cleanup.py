"""The `cleanup` flow: what a flow run left behind goes, as that run's own policy says."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running, State

import batch_emulator
from flows.cleanup import cleanup
from flows.fan_out import fan_out
from tasks.cleanup import clean_up
from tasks.containers import create_containers, delete_containers
from tasks.errors import InputError, PermanentError, RefusedError
from tasks.images import choose_image
from tasks.jobs import create_job
from tasks.pools import create_pool
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup
from tests.faulty_proxy import before
from tests.flows.services import batch, blobs, exists, remains_of, wait_for_remains
from tests.sampling import sample
from tests.waiting import wait_until

ALL = {"containers", "job", "pool"}
# Longer than any test waits.
LONG_SECONDS = 100
ENDED = {"crashed": Crashed(), "failed": Failed(), "completed": Completed()}
KEEP = Cleanup(containers="never", job="never", pool="never")


@pytest.fixture
def prefect(accounts) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def left_by(prefect) -> Iterator[Callable[..., FlowRun]]:
    """Make a flow run in some state, with all that a run makes still there."""
    made: list[str] = []

    def leave(state: State, make: bool = True, **parameters) -> FlowRun:
        flow_run = prefect.create_flow_run(fan_out, parameters=parameters, state=state)
        key = parameters.get("run_key") or str(flow_run.id)
        if make:
            made.append(key)
            make_resources(key)
        return flow_run

    yield leave
    for key in made:
        clean_up(names_of_run(key), Cleanup(), succeeded=True)
        wait_for_remains(key, set())


def make_resources(key: str) -> None:
    names = names_of_run(key)
    options = RunOptions(timeout_seconds=60)
    create_containers.fn(names, options)
    create_pool.fn(names, options, choose_image.fn(options.pool.image))
    create_job.fn(names, options)


def outcomes_of(deeds) -> list[str]:
    return [deed.outcome for deed in deeds]


@pytest.mark.parametrize("state", sample(ENDED, "crashed"))
def test_what_a_run_left_goes_and_the_second_time_nothing_is_there(left_by, state):
    """All goes by the run's id alone; calling again finds nothing and fails at nothing."""
    flow_run = left_by(state)
    assert outcomes_of(cleanup(flow_run.id)) == ["deleted"] * 3
    wait_for_remains(str(flow_run.id), set())
    assert outcomes_of(cleanup(flow_run.id)) == ["nothing to do"] * 3


def test_nothing_goes_on_asking_for_what_was_deleted(prefect, use_batch):
    """Nobody waits for the end of a deletion, so nothing asks for it, though it takes long."""
    with (
        batch_emulator.serve(port=0, deletion_seconds=LONG_SECONDS, stop_grace_seconds=0.1) as account,
        before(account.endpoint) as proxy,
    ):
        use_batch(replace(account, endpoint=proxy.url))
        flow_run = prefect.create_flow_run(fan_out, state=Failed())
        make_resources(str(flow_run.id))
        of_others = find_pollers()
        cleanup(flow_run.id)
        assert find_pollers() <= of_others
        asked = [request.partition("?")[0] for request in proxy.requests]
        for path in (f"/jobs/fan-out-{flow_run.id}", f"/pools/fan-out-{flow_run.id}"):
            assert f"GET {path}" not in asked[asked.index(f"DELETE {path}") :]
        assert {"job", "pool"} <= remains_of(str(flow_run.id))


def find_pollers() -> set[str]:
    """The threads in which clients wait for the end of what they asked for, each with a name of its own."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("LROPoller")}


def test_what_the_policy_keeps_stays(left_by):
    """The run's own policy counts; of a failed run the job that stays is stopped."""
    flow_run = left_by(Failed(), cleanup=KEEP.model_dump())
    assert outcomes_of(cleanup(flow_run.id)) == ["stopped", "kept", "kept"]
    assert remains_of(str(flow_run.id)) == ALL


def test_after_success_that_goes_which_is_kept_only_for_failures(left_by):
    """A completed run is cleaned up as a success."""
    policy = Cleanup(containers="on_success", job="on_success", pool="on_success")
    flow_run = left_by(Completed(), cleanup=policy.model_dump())
    assert outcomes_of(cleanup(flow_run.id)) == ["deleted"] * 3


def test_a_run_is_found_by_the_key_it_was_given(left_by, run_key):
    """The names follow from the flow run's parameter, not from its id."""
    flow_run = left_by(Crashed(), run_key=run_key)
    assert outcomes_of(cleanup(flow_run.id)) == ["deleted"] * 3
    wait_for_remains(run_key, set())


def test_a_run_that_goes_on_is_refused(left_by):
    """Nothing is taken from a run that is still going; the error says how to cancel it."""
    flow_run = left_by(Running())
    with pytest.raises(PermanentError, match=f"Running(.|\n)*prefect flow-run cancel {flow_run.id}"):
        cleanup(flow_run.id)
    assert remains_of(str(flow_run.id)) == ALL


def test_a_run_that_is_being_cancelled_is_waited_for(left_by, prefect):
    """What it has made goes once it has ended."""
    flow_run = left_by(Cancelling())
    with ThreadPoolExecutor(1) as thread:
        # Prefect's settings are a context variable, which a new thread doesn't have by itself.
        cleaning = thread.submit(copy_context().run, cleanup, flow_run.id)
        wait_until(lambda: is_running(prefect, f"cleanup-{flow_run.id}"), 60, "running cleanup")
        assert remains_of(str(flow_run.id)) == ALL
        prefect.set_flow_run_state(flow_run.id, Cancelled(), force=True)
        assert outcomes_of(cleaning.result()) == ["deleted"] * 3


def is_running(prefect: SyncPrefectClient, name: str) -> bool:
    found = prefect.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    return any(flow_run.state_type == StateType.RUNNING for flow_run in found)


def test_a_run_whose_cancellation_takes_too_long_is_refused(left_by):
    """After the time given it is refused like any other that goes on."""
    flow_run = left_by(Cancelling())
    with pytest.raises(PermanentError, match="Cancelling"):
        cleanup(flow_run.id, wait_seconds=0)
    assert remains_of(str(flow_run.id)) == ALL


def test_a_key_that_another_run_goes_on_with_is_refused(left_by, run_key, prefect):
    """What a second attempt has attached to isn't taken from it because the first one crashed."""
    crashed = left_by(Crashed(), run_key=run_key)
    second = left_by(Running(), make=False, run_key=run_key)
    with pytest.raises(PermanentError, match=str(second.id)):
        cleanup(crashed.id)
    assert remains_of(run_key) == ALL
    prefect.set_flow_run_state(second.id, Completed(), force=True)
    assert outcomes_of(cleanup(crashed.id)) == ["deleted"] * 3


def test_a_pool_that_another_run_has_come_to_stays_for_it(left_by, run_key):
    """A run doesn't take its pool from another one's job; the next clean-up does."""
    flow_run = left_by(Completed())
    guest = names_of_run(run_key, f"fan-out-{flow_run.id}")
    create_job.fn(guest, RunOptions(timeout_seconds=60))
    assert outcomes_of(cleanup(flow_run.id)) == ["deleted", "nothing to do", "deleted"]
    assert batch().get_pool(guest.pool_id).state == "active"
    batch().begin_delete_job(guest.job_id, polling_interval=0.1).wait()
    assert outcomes_of(cleanup(flow_run.id)) == ["nothing to do", "deleted", "nothing to do"]


def test_a_flow_run_that_prefect_does_not_know_is_told(accounts):
    """An id that is none says so."""
    unknown = UUID(int=uuid.uuid4().int)
    with pytest.raises(InputError, match=str(unknown)):
        cleanup(unknown)


def test_what_others_own_is_left_alone(left_by, run_key):
    """A container that has a run's name but was not made by it is neither used nor deleted."""
    flow_run = left_by(Crashed(), make=False, run_key=run_key)
    theirs = names_of_run(run_key).input_container
    blobs().create_container(theirs)
    try:
        assert outcomes_of(cleanup(flow_run.id)) == ["nothing to do"] * 3
        assert blobs().get_container_client(theirs).exists()
        with pytest.raises(PermanentError, match="was not made for the run"):
            create_containers.fn(names_of_run(run_key), RunOptions())
    finally:
        blobs().delete_container(theirs)
        clean_up(names_of_run(run_key), Cleanup(), succeeded=True)
    assert not exists(lambda: batch().get_job(names_of_run(run_key).job_id))


def test_what_was_done_is_told_in_a_table(left_by, prefect):
    """The artifact has a row for each thing, with what became of it."""
    flow_run = left_by(Crashed())
    cleanup(flow_run.id)
    (artifact,) = prefect.request(
        "POST", "/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["cleanup"]}}}
    ).json()
    assert f'"the job fan-out-{flow_run.id}", "outcome": "deleted"' in artifact["data"]


def test_what_can_not_be_deleted_keeps_no_other(accounts, run_key):
    """A container that somebody has leased stays, and is told; the others go."""
    names = names_of_run(run_key)
    create_containers.fn(names, RunOptions())
    leased = blobs().get_container_client(names.application_container)
    lease = leased.acquire_lease()
    with pytest.raises(RefusedError, match=f"{names.application_container}.*LeaseIdMissing"):
        delete_containers.fn(names)
    assert [name for name in names.containers if blobs().get_container_client(name).exists()] == [
        names.application_container
    ]
    lease.release()
    assert delete_containers.fn(names) == 1
