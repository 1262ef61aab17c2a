"""Quotas of the Batch account that others hold: told with who they are, waited for, and met first of all."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from azure.batch import models

import batch_emulator
from batch_emulator.faults import Faults, RequestFault
from flows.fan_out import fan_out
from tasks.azure.clients import batch_client
from tasks.base.deadlines import run_deadline
from tasks.cleanup import clean_up
from tasks.errors import PoolError, QuotaError
from tasks.images import choose_image
from tasks.jobs import create_job
from tasks.pools import Pool, create_pool
from tasks.spec.bundles import Bundle
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup, PoolSpec
from tasks.waiting import Looks, wait_for_tasks
from tasks.watch.health import PoolView
from tasks.watch.pool_watch import PoolWatch, QuotaWait, check_pool
from tasks.watch.spending import Spending
from tasks.watch.stall import Patience, Stall
from tasks.watch.upload_watch import UploadWatch
from tests.flows.services import batch, blobs_of, exists, write_files
from tests.waiting import wait_until

OTHERS = "of-others"


@pytest.fixture
def serve_with(storage, use_batch, monkeypatch) -> Iterator[Callable[..., None]]:
    """Start a local Batch service of the test's own, whose account has little."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    services = []

    def serve(**settings) -> None:
        services.append(batch_emulator.serve(port=0, **settings))
        use_batch(services[-1].__enter__())

    yield serve
    for service in services:
        service.__exit__(None, None, None)


class Told(logging.Handler):
    """Does something, once, as soon as a run tells that it waits."""

    def __init__(self, then: Callable[[], object]):
        super().__init__(logging.WARNING)
        self.then, self.said = then, []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage().replace("\n", " "))
        if len(self.said) == 1:
            self.then()


@pytest.fixture
def when_told() -> Iterator[Callable[[Callable[[], object]], list[str]]]:
    handlers = []

    def add(then: Callable[[], object]) -> list[str]:
        handlers.append(Told(then))
        logging.getLogger().addHandler(handlers[-1])
        return handlers[-1].said

    yield add
    for handler in handlers:
        logging.getLogger().removeHandler(handler)


def add_job_of_others() -> None:
    pool = models.BatchPoolInfo(pool_id="none")
    batch().create_job(models.BatchJobCreateOptions(id=OTHERS, pool_info=pool))


def delete_job(job_id: str) -> None:
    batch().begin_delete_job(job_id, polling_interval=0.1).wait()


def delete_pool(pool_id: str) -> None:
    batch().begin_delete_pool(pool_id, polling_interval=0.1).wait()


def make_pool(key: str, options: RunOptions | None = None):
    options = options or RunOptions()
    return create_pool.fn(names_of_run(key), options, choose_image.fn(options.pool.image))


def test_pools_and_jobs_wait_for_those_who_hold_the_quota(serve_with, when_told):
    """Who that is is told once, with the run that it belongs to; then it goes on as soon as one has ended."""
    serve_with(pool_quota=1, active_job_quota=2)
    make_pool("first")
    said = when_told(lambda: delete_pool("fan-out-first"))
    assert make_pool("second").is_own
    assert len(said) == 1
    assert "PoolQuotaReached" in said[0]
    assert "held by 1 pool of runs: fan-out-first (run first). Waiting" in said[0]

    add_job_of_others()
    create_job.fn(names_of_run("first"), RunOptions())
    said = when_told(lambda: delete_job(OTHERS))
    assert create_job.fn(names_of_run("second"), RunOptions()).id == "fan-out-second"
    assert "1 job of runs: fan-out-first (run first); and 1 job of others. Waiting" in said[0]


def test_waiting_for_a_quota_ends_with_its_budget_and_with_the_run(serve_with):
    """Then the run fails, and says who holds it and what helps."""
    serve_with(active_job_quota=0)
    for minutes, seconds in ((0.005, 60), (15, 0.3)):
        with run_deadline(seconds), pytest.raises(QuotaError, match="quota_minutes"):
            create_job.fn(names_of_run("none"), RunOptions(quota_minutes=minutes))


def test_who_holds_a_quota_is_told_only_if_that_can_be_known(serve_with):
    """What the run fails with is the quota, also where its identity may not list what others have."""
    refused = RequestFault(status=403, operations=("list_job_schedules",))
    serve_with(active_job_quota=0, faults=Faults(requests=(refused,)))
    with run_deadline(60), pytest.raises(QuotaError, match="Nothing is known of who holds it"):
        create_job.fn(names_of_run("none"), RunOptions(quota_minutes=0))


def test_a_quota_of_jobs_is_met_before_inputs_are_uploaded(serve_with, prefect_server, tmp_path, run_key):
    """There is no pool by then either."""
    serve_with(active_job_quota=1)
    add_job_of_others()
    inputs = write_files(tmp_path / "in", {"one.txt": "text 1"})
    names, keep = names_of_run(run_key), Cleanup(containers="never", pool="never")
    run = (inputs, None, "cat {input}", tmp_path / "out", PoolSpec(), keep)
    try:
        with pytest.raises(QuotaError, match="1 job of others"):
            fan_out(*run, run_key=run_key, quota_minutes=0)
        assert not exists(lambda: batch().get_pool(names.pool_id))
        assert blobs_of(names.input_container) == {}
    finally:
        clean_up(names, Cleanup(), succeeded=True)


def test_a_pool_without_nodes_waits_for_the_cores_of_others(serve_with):
    """While others hold cores the nodes are asked for again, within the budget; where nobody does, once."""
    serve_with(core_quota=2, speed=20)
    size = PoolSpec(vm_size="STANDARD_D4S_V3", dedicated_nodes=1)
    large = make_pool("large", RunOptions(pool=size))
    with batch_client("Looking") as client, pytest.raises(PoolError, match="No other pool has any of it"):
        look_until(client, watch_of(large), lambda view, news: False)
    wanted = RunOptions(pool=PoolSpec(vm_size="STANDARD_D2S_V3", dedicated_nodes=1, idle_minutes=30))
    make_pool("holder", wanted)
    wait_until(lambda: list(batch().list_nodes("fan-out-holder")), 60, "node")
    pool = make_pool("waiting", wanted)
    watch = watch_of(pool)
    with batch_client("Looking") as client:
        said = look_until(client, watch, lambda view, news: bool(news))
        assert "1 pool of runs: fan-out-holder (run holder, 2 cores). Waiting for at most 60 min" in said
        watch.quota_seconds = 0
        with pytest.raises(PoolError, match=r"fan-out-holder(.|\n)*ask for more quota"):
            look_until(client, watch, lambda view, news: False)
        watch.quota_seconds = 60 * 60
        delete_pool("fan-out-holder")
        look_until(client, watch, lambda view, news: view.node_count == 1)
        # The next time others may hold it.
        said = look_until(client, replace(watch, pool_id=large.id), lambda view, news: bool(news))
        assert "1 pool of runs: fan-out-waiting (run waiting, 2 cores)." in said


def test_the_budget_for_a_quota_is_one_for_uploads_and_tasks(serve_with, run_key, monkeypatch):
    """Who has waited while inputs were sent does not begin anew when all are there, nor tells it again."""
    serve_with(core_quota=2)
    options = RunOptions(pool=PoolSpec(vm_size="STANDARD_D2S_V3", dedicated_nodes=1), quota_minutes=60)
    make_pool("holder", options)
    wait_until(lambda: list(batch().list_nodes("fan-out-holder")), 60, "node")
    names = names_of_run(run_key)
    job, pool = create_job.fn(names, options), make_pool(run_key, options)
    batch().create_task(job.id, models.BatchTaskCreateOptions(id="x", command_line="true"))
    upload_watch = UploadWatch(replace(watch_of(pool), job_id=job.id), Spending(datetime.now(timezone.utc)))

    def look() -> QuotaWait | None:
        upload_watch._look(time.monotonic())
        return upload_watch.watch.quota_wait

    # An hour ago, as far as anybody remembers.
    wait_until(look, 60, "wait for the quota").began_seconds -= 3600
    monkeypatch.setattr("tasks.waiting.HEALTH_SECONDS", 0)
    patience = Patience(600, 600, quota_seconds=3600)
    looks = Looks(job, upload_watch.watch, Stall(patience), upload_watch.spending)
    with pytest.raises(PoolError, match=r"fan-out-holder(.|\n)*ask for more quota"):
        list(wait_for_tasks.fn(looks, [Bundle("x", ())], time.monotonic() + 60, lambda _: None))


def watch_of(pool: Pool) -> PoolWatch:
    assert pool.lease is not None
    return PoolWatch(pool.id, pool.lease, None, pool.lease.ends_at, quota_seconds=60 * 60)


def look_until(client, watch: PoolWatch, is_seen: Callable[[PoolView, list[str]], bool]) -> str:
    """Look at the pool, and let a minute have passed at each look, until that is seen; what was told then."""
    minutes = itertools.count()

    def look() -> list[str] | None:
        view, news = check_pool(client, watch, 60.0 * next(minutes))
        return [*news, "seen"] if is_seen(view, news) else None

    return "\n".join(wait_until(look, 60, "change of the pool", 0.2))
