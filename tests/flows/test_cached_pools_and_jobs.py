"""Steps of an attempt before this one are not done again: pools, jobs and their tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.batch import models
from prefect.utilities.annotations import opaque

from tasks.batch_tasks import add_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.errors import PoolError
from tasks.images import Image, choose_image
from tasks.jobs import Job, close_job, create_job, delete_jobs, terminate_jobs
from tasks.pools import create_pool
from tasks.spec.command_line import build_command
from tasks.spec.naming import RunNames
from tasks.spec.run_spec import RunOptions, RunSpec
from tasks.spec.specs import ImageSpec, PoolSpec
from tasks.spec.work import make_item
from tests.flows.repeated_steps import (
    GONE_SECONDS,
    HOUR_SECONDS,
    RUNS_AFTER_CHANGE,
    attempt,
    attempts,
    delete_pool,
)
from tests.flows.services import batch, exists
from tests.waiting import wait_until


@pytest.fixture
def image(accounts) -> Image:
    return choose_image.fn(ImageSpec())


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_pool_is_created_once(names, image, change):
    """A pool that is gone is made again; one that somebody has made in its place is looked at."""
    options = RunOptions()

    def change_it() -> None:
        delete_pool(names)
        if change == "replaced":
            create_pool.fn(names, options, image)

    states = attempts(lambda: create_pool(names, options, image, return_state=True), change_it)
    assert states == RUNS_AFTER_CHANGE


@pytest.mark.parametrize(
    "other",
    [
        RunOptions(timeout_seconds=3 * HOUR_SECONDS),
        RunOptions(pool=PoolSpec(dedicated_nodes=2)),
    ],
)
def test_a_pool_whose_lease_is_too_small_is_told(names, image, other):
    """An attempt that may take longer, or wants more nodes, renews the lease; the next finds it renewed."""
    states = [
        attempt(lambda options=options: create_pool(names, options, image, return_state=True))
        for options in [RunOptions(), RunOptions(), other, other]
    ]
    assert states == RUNS_AFTER_CHANGE


def test_a_pool_that_no_longer_does_is_refused_as_ever(names, image):
    """A pool that was switched off meanwhile is not taken for done: the step runs and says what is wrong."""
    assert attempt(lambda: create_pool(names, RunOptions(), image, return_state=True)) == "Completed"
    batch().disable_pool_auto_scale(names.pool_id)
    wait_until(
        lambda: batch().get_pool(names.pool_id).allocation_state == models.AllocationState.STEADY,
        GONE_SECONDS,
        "pool that isn't being resized",
    )
    batch().begin_resize_pool(
        names.pool_id, models.BatchPoolResizeOptions(target_dedicated_nodes=0, target_low_priority_nodes=0)
    )
    with pytest.raises(PoolError, match="no nodes, and no autoscale formula"):
        attempt(lambda: create_pool(names, RunOptions(), image, return_state=True))


def finish(names: RunNames) -> None:
    """Delete all jobs of a run."""
    delete_jobs.fn(names)
    wait_until(
        lambda: not any(names.number_job(job.id) for job in batch().list_jobs()), GONE_SECONDS, "no job"
    )


@pytest.fixture
def jobs(names) -> Iterator[RunNames]:
    """The names of a run, whose jobs are deleted after the test."""
    yield names
    finish(names)


@pytest.mark.parametrize("change", ["deleted", "terminated"])
def test_a_job_is_created_once(jobs, change):
    """A job that is gone is made again, one that has ended is followed by the next."""

    def change_it() -> None:
        finish(jobs) if change == "deleted" else terminate_jobs.fn(jobs, "Test")

    states = attempts(lambda: create_job(jobs, RunOptions(), return_state=True), change_it)
    assert states == RUNS_AFTER_CHANGE
    assert exists(lambda: batch().get_job(jobs.name_job(1 if change == "deleted" else 2)))


def test_a_job_that_would_end_too_early_is_extended(jobs):
    """By an attempt that may take longer; the next one finds it so."""
    longer = RunOptions(timeout_seconds=3 * HOUR_SECONDS)
    states = [
        attempt(lambda options=options: create_job(jobs, options, return_state=True))
        for options in [RunOptions(), RunOptions(), longer, longer]
    ]
    assert states == RUNS_AFTER_CHANGE


@pytest.fixture
def job(jobs) -> Job:
    return make_job(jobs)


def make_job(names: RunNames) -> Job:
    """A job with a Batch task that waits, as there is no pool."""
    job = create_job.fn(names, RunOptions())
    batch().create_task(job.id, models.BatchTaskCreateOptions(id="waits", command_line="true"))
    return job


def test_a_job_is_closed_once(jobs, job):
    """Another job of its id, made when the first was gone, is closed too."""
    made = [job]

    def make_anew() -> None:
        finish(jobs)
        made.append(make_job(jobs))

    states = attempts(lambda: close_job(made[-1], jobs, RunOptions(), return_state=True), make_anew)
    assert states == RUNS_AFTER_CHANGE
    assert batch().get_job(job.id).all_tasks_complete_mode == "terminatejob"


@pytest.mark.parametrize("change", ["deleted", "another program"])
def test_tasks_are_added_once(jobs, job, change):
    """A Batch task that is gone is added again, and so are those of other work in its place."""
    spec = RunSpec(inputs="x", application=None, command="cat {input}")
    plan = TaskPlan(jobs, spec, build_command(spec.command, None))
    items = [make_item(name, f"{name}.out", "0a1b", "recipe") for name in ["one", "two", "three"]]

    def change_it() -> None:
        if change == "deleted":
            batch().delete_task(job.id, items[0].task_id)
        else:
            items[:] = [make_item(item.name, item.output_name, "0a1b", "other") for item in items]

    states = attempts(lambda: add_tasks(job, opaque(items), opaque(plan), return_state=True), change_it)
    assert states == RUNS_AFTER_CHANGE
    assert {task.id for task in batch().list_tasks(job.id)} == {item.task_id for item in items}
