"""The `sweep` flow: what nobody needs any more is found by its metadata, and goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from azure.batch import models
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Completed, Crashed, Pending, Running, State

from flows.fan_out import fan_out
from flows.sweep import sweep
from tasks.cleanup import clean_up
from tasks.containers import create_containers
from tasks.errors import PermanentError
from tasks.images import choose_image
from tasks.jobs import create_job
from tasks.leftovers.orphans import delete_resource, find_resources
from tasks.outputs.unfetched import note_attempt
from tasks.pools import create_pool
from tasks.spec.naming import names_of_run
from tasks.spec.ownership import MARGIN_SECONDS, as_batch_metadata, build_ownership
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup, When
from tests.flows.attempts import sweep_later
from tests.flows.services import batch, blobs, exists, remains_of, wait_for_remains

ALL = {"containers", "job", "pool"}
# Made with this timeout a resource has expired two hours ago.
LONG_AGO = -MARGIN_SECONDS - 2 * 3600
LATER = 3600


@pytest.fixture
def prefect(accounts) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def make(accounts) -> Iterator[Callable[..., str]]:
    """Make all that a run makes; what the test leaves of it goes at the end."""
    made: list[str] = []

    def make_resources(key: str, timeout_seconds: float, policy: When = "always", pool: str | None = None):
        made.append(key)
        names = names_of_run(key, pool)
        cleanup = Cleanup(containers=policy, job=policy, pool=policy)
        options = RunOptions(cleanup=cleanup).model_copy(update={"timeout_seconds": timeout_seconds})
        create_containers.fn(names, options)
        create_pool.fn(names, options, choose_image.fn(options.pool.image))
        create_job.fn(names, RunOptions(cleanup=cleanup, timeout_seconds=max(60, timeout_seconds)))
        owned = as_batch_metadata(build_ownership(key, policy, timeout_seconds))
        batch().update_job(names.job_id, models.BatchJobUpdateOptions(metadata=owned))
        return key

    yield make_resources
    for key in made:
        clean_up(names_of_run(key), Cleanup(), succeeded=True)
        wait_for_remains(key, set())


def flow_run_key(prefect: SyncPrefectClient, state: State) -> str:
    return str(prefect.create_flow_run(fan_out, state=state).id)


def table_of(prefect: SyncPrefectClient) -> dict[str, dict[str, str]]:
    """The rows of the last sweep's table, by name."""
    chosen = {"artifacts": {"key": {"any_": ["sweep"]}}}
    (artifact,) = prefect.request("POST", "/artifacts/latest/filter", json=chosen).json()
    return {row["name"]: row for row in json.loads(artifact["data"])}


def end_job(key: str) -> None:
    batch().begin_terminate_job(
        names_of_run(key).job_id, {"terminateReason": "test"}, polling_interval=0.1
    ).wait()


def test_what_an_ended_run_left_goes(prefect, make):
    """Of a run that Prefect knows to have crashed nothing stays, though nothing has expired."""
    key = make(flow_run_key(prefect, Crashed()), LATER)
    sweep()
    wait_for_remains(key, set())


def test_a_dry_run_only_tells(prefect, make):
    """A dry run deletes nothing, and has a row for each resource with whose it is and why."""
    key = make(flow_run_key(prefect, Crashed()), LATER)
    assert sweep(dry_run=True)["would be deleted"] == 5
    assert remains_of(key) == ALL
    names, rows = names_of_run(key), table_of(prefect)
    told = {rows[name]["outcome"] for name in (names.job_id, *names.containers)}
    assert told == {"would be deleted"}
    assert rows[names.job_id]["run key"] == key
    assert rows[names.job_id]["why"] == "its run has failed"


def test_a_run_that_goes_on_keeps_everything(prefect, make):
    """As long as its run goes on a resource stays, though its time is over."""
    key = make(flow_run_key(prefect, Running()), LONG_AGO)
    sweep()
    assert remains_of(key) == ALL


def test_a_key_of_its_own_is_found_among_the_runs_that_go_on(prefect, make, run_key):
    """A run key that was given by hand protects its resources while a flow run has it."""
    going = prefect.create_flow_run(fan_out, parameters={"run_key": run_key}, state=Running())
    key = make(run_key, LONG_AGO)
    end_job(key)
    sweep()
    assert remains_of(key) == ALL
    prefect.set_flow_run_state(going.id, Completed(), force=True)
    sweep()
    wait_for_remains(key, set())


def test_a_key_of_its_own_is_judged_by_the_last_flow_run_that_had_it(prefect, make, run_key, monkeypatch):
    """Resources say which flow run made them; what an ended one left goes though nothing has expired, unless
    another one has come to it since."""

    def make_in(key: str) -> str:
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", flow_run_key(prefect, Crashed()))
        return make(key, LATER)

    left, taken_up = make_in(f"{run_key}-left"), make_in(f"{run_key}-taken-up")
    elsewhere = make_in(f"{run_key}-elsewhere")
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", flow_run_key(prefect, Running()))
    note_attempt(names_of_run(taken_up).output_container, "recipe")
    # One that another Prefect server knows.
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(uuid4()))
    note_attempt(names_of_run(elsewhere).output_container, "recipe")
    sweep()
    wait_for_remains(left, set())
    assert (remains_of(taken_up), remains_of(elsewhere)) == (ALL, ALL)


def test_a_run_that_was_killed_unnoticed_is_marked_as_crashed(prefect, make, run_key, monkeypatch):
    """Prefect calls it pending or running for ever: it is known by its silence, and what it left goes."""
    killed = prefect.create_flow_run(fan_out, parameters={"run_key": run_key}, state=Pending())
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(killed.id))
    make(run_key, LATER)
    sweep_later(monkeypatch, [killed.id])
    assert prefect.read_flow_run(killed.id).state_name == "Crashed"
    wait_for_remains(run_key, set())


def test_of_an_unknown_run_the_expiry_counts(make, run_key):
    """What another Prefect server's run made is left alone until it expires, and goes then."""
    fresh, old = make(f"{run_key}-fresh", LATER), make(f"{run_key}-old", LONG_AGO)
    end_job(old)
    sweep()
    wait_for_remains(old, set())
    assert remains_of(fresh) == ALL


def test_a_policy_that_keeps_is_kept_until_asked(prefect, make):
    """What a run's policy keeps goes only with `include_kept`, and only when it has expired."""
    fresh = make(flow_run_key(prefect, Completed()), LATER, "never")
    old = make(flow_run_key(prefect, Completed()), LONG_AGO, "never")
    end_job(old)
    sweep()
    assert (remains_of(fresh), remains_of(old)) == (ALL, ALL)
    sweep(include_kept=True)
    wait_for_remains(old, set())
    assert remains_of(fresh) == ALL


def test_a_pool_that_another_run_works_on_stays(prefect, make, run_key):
    """The maker of a shared pool has ended, its guest has not: the pool waits for the next sweep."""
    shared = f"shared-{run_key}"
    host = make(flow_run_key(prefect, Completed()), LATER, pool=shared)
    guest = names_of_run(f"{run_key}-guest", shared)
    create_job.fn(guest, RunOptions(timeout_seconds=60))
    sweep()
    wait_for_remains(host, set(), pool_id=None)
    assert batch().get_pool(shared).state == "active"
    end_job(guest.key)
    sweep()
    wait_for_remains(host, set(), pool_id=shared)
    batch().begin_delete_job(guest.job_id, polling_interval=0.1).wait()


def test_what_others_own_is_not_even_seen(accounts, run_key):
    """Without our metadata nothing is ours, whatever its name."""
    names = names_of_run(run_key)
    blobs().create_container(names.input_container, metadata={"made_by": "somebody", "run_key": run_key})
    batch().create_job(
        models.BatchJobCreateOptions(id=names.job_id, pool_info=models.BatchPoolInfo(pool_id="none"))
    )
    try:
        found = {resource.name for resource in find_resources.fn()}
        assert not found & {names.input_container, names.job_id}
        sweep(include_kept=True)
        assert blobs().get_container_client(names.input_container).exists()
        assert exists(lambda: batch().get_job(names.job_id))
    finally:
        blobs().delete_container(names.input_container)
        batch().begin_delete_job(names.job_id, polling_interval=0.1).wait()


def test_what_was_changed_since_it_was_found_stays(make, run_key):
    """A run that comes while the sweep is going on keeps what it came to."""
    key = make(run_key, LATER)
    end_job(key)
    for resource in find_resources.fn():
        if resource.owned.run_key == key:
            stale = replace(resource, modified_at=resource.modified_at - timedelta(seconds=2))
            assert not delete_resource.fn(stale)
    assert remains_of(key) == ALL


def test_what_cannot_be_deleted_does_not_keep_the_rest(prefect, make):
    """One container that refuses is told, the sweep fails, and all else is gone."""
    key = make(flow_run_key(prefect, Crashed()), LATER)
    locked = blobs().get_container_client(names_of_run(key).output_container)
    lease = locked.acquire_lease()
    with pytest.raises(PermanentError, match="1 resource could not be deleted"):
        sweep()
    wait_for_remains(key, {"containers"})
    assert "LeaseIdMissing" in table_of(prefect)[locked.container_name]["why"]
    lease.release()
