"""Which steps Prefect's cache answers, and what makes each of them run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from azure.batch import models
from prefect import flow
from prefect.states import State
from prefect.utilities.annotations import opaque

from tasks.batch_tasks import add_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.containers import create_containers, delete_containers
from tasks.downloads import download_output, download_shard
from tasks.errors import PoolError
from tasks.images import Image, choose_image
from tasks.jobs import Job, close_job, create_job, delete_jobs, terminate_jobs
from tasks.pools import create_pool
from tasks.spec.command_line import build_command
from tasks.spec.inputs import find_inputs
from tasks.spec.naming import SOURCE_METADATA, RunNames, name_by_content, names_of_run
from tasks.spec.run_spec import RunOptions, RunSpec
from tasks.spec.specs import Cleanup, ImageSpec, PoolSpec
from tasks.spec.work import make_item
from tasks.unfetched import FOLDER
from tasks.uploads import list_uploaded, upload_application, upload_input, upload_shard
from tests.flows.services import batch, blobs, exists, write_files
from tests.sampling import sample
from tests.waiting import wait_until

HOUR_SECONDS = 3600
GONE_SECONDS = 60


def attempt(call: Callable[[], State]) -> str:
    """The name of the state of a step that a flow run of its own takes. Raises the step's error."""
    states = []

    @flow(name="attempt")
    def one_attempt() -> None:
        states.append(call())

    one_attempt(return_state=True)
    states[0].result()
    return states[0].name


def attempts(call: Callable[[], State], change: Callable[[], Any]) -> list[str]:
    """The states of a step: done, done again, and twice again after a change."""
    before = [attempt(call), attempt(call)]
    change()
    return [*before, attempt(call), attempt(call)]


RUNS_AFTER_CHANGE = ["Completed", "Cached", "Completed", "Cached"]


@pytest.fixture
def names(accounts, run_key) -> Iterator[RunNames]:
    """The names of a run, whose containers and pool are deleted after the test."""
    names = names_of_run(f"cached-{run_key}")
    yield names
    # The step would keep an output that lies there alone.
    for container in filter(lambda one: blobs().get_container_client(one).exists(), names.containers):
        blobs().delete_container(container)
    if exists(lambda: batch().get_pool(names.pool_id)):
        delete_pool(names)


@pytest.fixture
def folder(names, tmp_path) -> Path:
    """Two files, for the containers of a run that are there."""
    create_containers.fn(names, RunOptions())
    return write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})


def delete_pool(names: RunNames) -> None:
    batch().begin_delete_pool(names.pool_id)
    wait_until(lambda: not exists(lambda: batch().get_pool(names.pool_id)), GONE_SECONDS, "end of the pool")


def test_containers_are_created_once(names):
    """The second attempt has them from the cache; where one is gone, the step runs, and makes it."""
    gone = names.output_container
    states = attempts(
        lambda: create_containers(names, RunOptions(), return_state=True),
        lambda: blobs().delete_container(gone),
    )
    assert states == RUNS_AFTER_CHANGE
    assert blobs().get_container_client(gone).exists()


@pytest.mark.parametrize(
    "other", [RunOptions(timeout_seconds=2 * HOUR_SECONDS), RunOptions(cleanup=Cleanup(containers="never"))]
)
def test_containers_are_told_what_has_changed(names, other):
    """Those that would expire too early, or have another policy, are told so, and back again."""
    assert attempt(lambda: create_containers(names, RunOptions(), return_state=True)) == "Completed"
    for options in [other, RunOptions()]:
        state = attempt(lambda options=options: create_containers(names, options, return_state=True))
        # Longer than need be does no harm.
        lasts = options == RunOptions() and other.timeout_seconds != options.timeout_seconds
        assert state == ("Cached" if lasts else "Completed")


def test_containers_are_told_where_outputs_go_now(names, tmp_path):
    """An attempt that returns to an earlier one's folder says so again, as another came between."""
    folders = [tmp_path / "first", tmp_path / "second", tmp_path / "first"]
    for folder in folders:
        create = partial(create_containers, names, RunOptions(), folder, return_state=True)
        assert [attempt(create), attempt(create)] == ["Completed", "Cached"]
        told = blobs().get_container_client(names.output_container).get_container_properties().metadata
        assert told[FOLDER] == quote(str(folder))


@pytest.mark.parametrize("change", ["file", "blob", "container"])
def test_an_input_is_uploaded_once(names, folder, change):
    """It is sent again if it has changed, if somebody has written the blob, or if all was deleted."""
    container = names.input_container
    file = find_inputs(str(folder), "{name}.out")[0]

    def upload() -> State:
        return upload_input(container, file, opaque(list_uploaded(container)[0]), return_state=True)

    def change_it() -> None:
        if change == "file":
            write_files(folder, {"one.txt": "changed"})
        elif change == "blob":
            blobs().get_blob_client(container, blob_of("one.txt", "1")).upload_blob(b"x", overwrite=True)
        else:
            delete_containers.fn(names)
            create_containers.fn(names, RunOptions())

    assert attempts(upload, change_it) == RUNS_AFTER_CHANGE
    text = (folder / "one.txt").read_text()
    content = blobs().get_blob_client(container, blob_of("one.txt", text)).download_blob().readall()
    assert content == text.encode()


def blob_of(name: str, text: str) -> str:
    return name_by_content(name, hashlib.md5(text.encode()).hexdigest())


def test_a_shard_of_inputs_is_uploaded_once(names, folder):
    """Under whatever number: one blob of it that is gone makes the step run, and send that one alone."""
    container, files = names.input_container, find_inputs(str(folder), "{name}.out")
    labels = iter("1234")

    def upload() -> State:
        there = opaque(list_uploaded(container)[0])
        return upload_shard(next(labels), container, opaque(files), there, return_state=True)

    changed = blobs().get_blob_client(container, blob_of("two.txt", "2"))
    kept = blobs().get_blob_client(container, blob_of("one.txt", "1"))
    etags = []

    def change() -> None:
        etags.append(kept.get_blob_properties().etag)
        changed.delete_blob()

    assert attempts(upload, change) == RUNS_AFTER_CHANGE
    assert changed.exists()
    assert kept.get_blob_properties().etag == etags[0]


def test_an_application_is_uploaded_once(names, folder):
    """It is sent again when its content has changed."""
    path = str(folder / "one.txt")
    states = attempts(
        lambda: upload_application(names.application_container, "app.sh", path, return_state=True),
        lambda: write_files(folder, {"one.txt": "changed"}),
    )
    assert states == RUNS_AFTER_CHANGE


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


FETCHES = {
    f"{change}, {size}": (change, size == "many")
    for change in ("file is gone", "file was changed", "output was made anew")
    for size in ("one", "many")
}


@pytest.mark.parametrize(
    ("change", "many"),
    sample(FETCHES, "file is gone, many", "file was changed, one", "output was made anew, many"),
)
def test_an_output_is_fetched_once(names, folder, tmp_path, change, many):
    """It is fetched again if it is no longer on disk, or in the container, as it was."""
    container, out = names.output_container, tmp_path / "out"
    item = make_item("one", "one.out", "0a1b", "recipe")
    output = blobs().get_blob_client(container, item.output_name)
    output.upload_blob(b"output", metadata={SOURCE_METADATA: item.source})
    labels = iter("1234")

    def change_it() -> None:
        if change == "file is gone":
            (out / "one.out").unlink()
        elif change == "file was changed":
            (out / "one.out").write_text("by somebody")
        else:
            output.upload_blob(b"another", metadata={SOURCE_METADATA: item.source}, overwrite=True)

    def download() -> State:
        if many:
            return download_shard(next(labels), container, opaque([item]), out, return_state=True)
        return download_output(container, item, out, return_state=True)

    assert attempts(download, change_it) == RUNS_AFTER_CHANGE
    assert (out / "one.out").read_bytes() == output.download_blob().readall()


def test_an_output_that_is_not_there_is_looked_for_each_time(names, folder, tmp_path):
    """That there is none is not remembered."""
    item = make_item("one", "one.out", "0a1b", "recipe")
    call = partial(download_output, names.output_container, item, tmp_path / "out", return_state=True)
    assert [attempt(call), attempt(call)] == ["Completed", "Completed"]
