"""Runs on pools whose leases end: between two runs, and under a run that works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import models
from azure.core.exceptions import ResourceNotFoundError

import batch_emulator
from flows.fan_out import fan_out
from flows.renewing import Renewer
from tasks.azure.sas import read_expiry
from tasks.base.deadlines import run_deadline
from tasks.batch_tasks import add_first_tasks, renew_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.bodies.existing_pools import identify_pool
from tasks.bodies.pools import want_pool
from tasks.cleanup import clean_up
from tasks.containers import create_containers
from tasks.errors import BusyError
from tasks.images import Image, choose_image
from tasks.jobs import create_job
from tasks.plans import plan_run
from tasks.pools import Pool, create_pool
from tasks.spec.command_line import build_command
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.run_spec import RunOptions, RunSpec
from tasks.spec.specs import Cleanup, PoolSpec
from tasks.spec.work import make_item
from tasks.watch.lease_formula import INTERVAL, build_formula, read_formula
from tasks.watch.leases import renew_lease
from tests.faulty_proxy import before
from tests.flows.services import batch, blobs, exists, tasks_of, write_files
from tests.waiting import wait_until
from tests.weather import Outage

SECONDS = 120
# The service takes a change of a pool's formula only each 30 seconds of its own time.
SPEED = 10.0


@pytest.fixture
def quick_service(storage, prefect_server, use_batch, monkeypatch) -> Iterator[None]:
    """The environment of a run on a Batch service whose time runs faster."""
    with batch_emulator.serve(port=0, speed=SPEED) as account:
        use_batch(account)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
        yield


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", {"one.txt": "text 1"})


def lease_of(pool_id: str):
    return read_formula(batch().get_pool(pool_id).auto_scale_formula)


def let_lease_end(pool_id: str, ends_at: datetime) -> None:
    """Let the lease of a pool end then, as if it had begun earlier."""
    wait_until(lambda: batch().get_pool(pool_id).allocation_state == "steady", SECONDS, "steady pool")
    options = models.BatchPoolEnableAutoScaleOptions(
        auto_scale_formula=build_formula(replace(lease_of(pool_id), ends_at=ends_at)),
        auto_scale_evaluation_interval=INTERVAL,
    )
    batch().enable_pool_auto_scale(pool_id, options)


APPLICATION = "md5/app.sh"
ITEM = make_item("one.txt", "one.out", "1" * 32, "recipe")


@pytest.fixture
def too_late(storage, use_batch, monkeypatch, run_key) -> Iterator[tuple[RunNames, Pool, Image]]:
    """The run of a pool whose only node came when the start task's signature was over."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    monkeypatch.setattr("tasks.azure.sas.MARGIN_SECONDS", 0)
    names, options = names_of_run(run_key), RunOptions(timeout_seconds=1)
    with batch_emulator.serve(port=0, node_boot_seconds=1.5, node_reboot_seconds=0) as account:
        use_batch(account)
        create_containers.fn(names, options)
        blobs().get_blob_client(names.application_container, APPLICATION).upload_blob(b"true")
        image = choose_image.fn(options.pool.image)
        pool = create_pool.fn(names, options, image, APPLICATION)
        yield names, pool, image
        for container in names.containers:
            blobs().delete_container(container)


def wait_for_node(names: RunNames, state: str) -> models.BatchNode:
    def find() -> list[models.BatchNode]:
        return [node for node in batch().list_nodes(names.pool_id) if node.state == state]

    return wait_until(find, SECONDS, f"node {state}")[0]


def test_a_second_attempt_mends_nodes_that_came_after_the_signature(too_late, monkeypatch):
    """The start task's signature is over before the node boots; the next attempt renews it, and reboots."""
    names, _, image = too_late
    node = wait_for_node(names, "starttaskfailed")
    assert "403" in str(node.start_task_info.failure_info.as_dict())
    options = RunOptions(timeout_seconds=1200)
    monkeypatch.setattr("tasks.azure.sas.MARGIN_SECONDS", 3600)
    # So far an attempt came that was killed.
    wanted = want_pool(names, options, image, APPLICATION)
    renew_lease(batch(), names.pool_id, wanted.begun)
    batch().update_pool(names.pool_id, models.BatchPoolUpdateOptions(start_task=wanted.start.task))
    assert identify_pool(names, options, image, APPLICATION) is None, "not cached while its node is no use"
    assert create_pool.fn(names, options, image, APPLICATION).shares_application
    wait_for_node(names, "idle")
    assert identify_pool(names, options, image, APPLICATION)


@pytest.mark.parametrize("renew", [Renewer.look, Renewer.finish], ids=["meanwhile", "at the end"])
def test_a_run_whose_uploads_outlast_its_signatures_renews_them(
    too_late, prefect_server, inputs, tmp_path, monkeypatch, run_key, renew
):
    """Nodes that came too late get the application, and a task that has waited too long its input."""
    names, pool, _ = too_late
    blobs().get_blob_client(names.input_container, ITEM.input_blob).upload_blob(b"text 1")
    spec = RunSpec(inputs=str(inputs), command="cat {input}", timeout_seconds=1, run_key=run_key)
    spec = spec.model_copy(update={"output_dir": str(tmp_path / "out")})
    task_plan = TaskPlan(names, spec, build_command(spec.command, None))
    job = create_job.fn(names, spec)
    renewer = Renewer(plan_run(spec), task_plan, job, pool, APPLICATION)
    renewer.note_added()
    add_first_tasks.fn("", job, [ITEM], task_plan)
    # By now a second has gone.
    wait_for_node(names, "starttaskfailed")
    monkeypatch.setattr("tasks.azure.sas.MARGIN_SECONDS", 3600)
    renew(renewer, [ITEM])
    completed = wait_until(lambda: find_completed(job.id), SECONDS, "completed Batch task")
    assert [task.execution_info.failure_info for task in completed] == [None]
    lasting = pool.signed_until + timedelta(minutes=59)
    assert min(renewer.pool.signed_until, renewer.tasks_signed_until) > lasting
    # What has run is left alone.
    assert renew_tasks.fn(job, [ITEM], task_plan) == 0


class SomeFail(Outage):
    """Of a service that is there for all other requests."""

    def meets(self, request: str) -> bool:
        return bool(re.search(self.at, request)) and not self.is_over


@pytest.mark.slow
@pytest.mark.soak
def test_a_whole_run_gets_past_the_end_of_its_signatures(
    storage, prefect_server, use_batch, monkeypatch, inputs, tmp_path, run_key
):
    """While another input is being sent, a waiting task is renewed, again and again where that is needed."""
    write_files(inputs, {"two.txt": "text 2"})
    names, looks = names_of_run(run_key), set()
    monkeypatch.setattr("tasks.spec.lifetimes.LOOK_SECONDS", 0.5)
    monkeypatch.setattr("tasks.azure.retrying.PAUSE_MAX_SECONDS", 0.5)
    with batch_emulator.serve(port=0) as account, before(storage.blob_endpoint) as store:
        use_batch(account)
        url = f"{store.url}/{storage.account_name}"
        connection_string = storage.connection_string.replace(storage.blob_endpoint, url)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string)
        store.begin(SomeFail("503", 3600, "PUT .*/input-[^?]*/"))
        with ThreadPoolExecutor(1) as thread:
            run = (inputs, None, "cat {input}", tmp_path / "out", PoolSpec(), Cleanup(), SECONDS)
            running = thread.submit(copy_context().run, lambda: fan_out(*run, run_key=run_key))
            try:
                wait_until(lambda: exists(lambda: batch().get_pool(names.pool_id)), SECONDS, "pool")
                node = wait_for_node(names, "idle")
                requeue = models.BatchNodeDisableSchedulingOptions(node_disable_scheduling_option="requeue")
                batch().disable_node_scheduling(names.pool_id, node.id, requeue)
                # Signatures last for a second, and what waits is not to begin.
                monkeypatch.setattr("tasks.azure.sas.MARGIN_SECONDS", 1 - SECONDS)
                store.begin(SomeFail("503", 3600, "PUT .*/input-[^?]*two"))
                wait_until(lambda: looks.add(expiry_of_task(run_key)) or len(looks) > 3, SECONDS, "renewals")
                monkeypatch.setattr("tasks.azure.sas.MARGIN_SECONDS", 3600)
                soon = datetime.now(timezone.utc) + timedelta(minutes=1)
                wait_until(lambda: (expiry_of_task(run_key) or soon) > soon, SECONDS, "lasting signature")
                batch().enable_node_scheduling(names.pool_id, node.id)
            finally:
                store.recover()
            assert len(running.result().outputs) == 2


def expiry_of_task(run_key: str) -> datetime | None:
    """When the signature of the first task's input ends; None while there is no task."""
    task_ids = list(tasks_of(run_key))
    with suppress(ResourceNotFoundError, IndexError):
        task = batch().get_task(names_of_run(run_key).job_id, task_ids[0])
        return read_expiry(task.resource_files[0].http_url)
    return None


def find_completed(job_id: str) -> list[models.BatchTask]:
    return list(batch().list_tasks(job_id, filter="state eq 'completed'"))


@pytest.mark.slow
@pytest.mark.soak
def test_a_kept_pool_whose_lease_is_over_is_leased_anew(quick_service, inputs, tmp_path, run_key):
    """The next run that comes to it gets its nodes, and no more than it asked for."""
    shared, keep = f"pool-{run_key}", Cleanup(pool="never")
    first = PoolSpec(pool_id=shared, dedicated_nodes=2)
    try:
        fan_out(inputs, None, "cat {input}", tmp_path / "out", first, keep, run_key=f"{run_key}-1")
        let_lease_end(shared, datetime.now(timezone.utc) - timedelta(minutes=1))
        wait_until(lambda: not list(batch().list_nodes(shared)), SECONDS, "pool without nodes")
        second = PoolSpec(pool_id=shared, dedicated_nodes=1, idle_minutes=5)
        run = (inputs, None, "cat {input}", tmp_path / "again", second, keep, 300)
        result = fan_out(*run, run_key=f"{run_key}-2")
        assert len(result.outputs) == 1
        lease = lease_of(shared)
        assert (lease.dedicated_nodes, lease.idle_minutes) == (1, 5)
        assert lease.ends_at > datetime.now(timezone.utc) + timedelta(seconds=300)
    finally:
        clean_up(names_of_run(f"{run_key}-1", shared), Cleanup(), succeeded=True)


@pytest.mark.slow
def test_a_run_that_still_waits_renews_the_lease(quick_service, inputs, tmp_path, run_key):
    """A lease that is about to end under a run is renewed by it."""
    names, hold = names_of_run(run_key), tmp_path / "hold"
    hold.touch()
    command = f"""sh -c 'while [ -e {hold} ]; do sleep 0.1; done; cat "$FAN_OUT_INPUT"'"""
    with ThreadPoolExecutor(1) as thread:
        # Prefect's settings are a context variable, which a new thread doesn't have by itself.
        run = (inputs, None, command, tmp_path / "out", PoolSpec(), Cleanup(), 600)
        running = thread.submit(copy_context().run, lambda: fan_out(*run, run_key=run_key))
        try:
            wait_until(lambda: is_running(names.job_id), SECONDS, "running Batch task")
            soon = datetime.now(timezone.utc) + timedelta(minutes=5)
            let_lease_end(names.pool_id, soon)
            wait_until(lambda: lease_of(names.pool_id).ends_at > soon, SECONDS, "lease that lasts")
        finally:
            hold.unlink()
        assert len(running.result().outputs) == 1


def is_running(job_id: str) -> bool:
    return any(job.id == job_id for job in batch().list_jobs()) and bool(
        batch().get_job_task_counts(job_id).task_counts.running
    )


def test_a_pool_on_its_way_out_is_waited_for(storage, use_batch, monkeypatch, run_key):
    """The step that comes to it waits, to the end of the run's time if it has to, and makes the pool anew."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    with batch_emulator.serve(port=0, speed=50, deletion_seconds=150) as account:
        use_batch(account)
        names, options = names_of_run(run_key), RunOptions()
        image = choose_image.fn(options.pool.image)
        create_pool.fn(names, options, image)
        batch().begin_delete_pool(names.pool_id)
        with (
            # Long enough for a request on a busy machine, and shorter than the deletion takes.
            run_deadline(1.0),
            pytest.raises(BusyError, match="That was not over when time was up"),
        ):
            create_pool.fn(names, options, image)
        assert create_pool.fn(names, options, image).is_own
        assert batch().get_pool(names.pool_id).state == "active"
