"""Prefect's cache of steps on live things: what it answers, and when it leaves the work to the step."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from azure.batch import models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from prefect import Task, flow, task
from prefect.client.orchestration import get_client
from prefect.context import TaskRunContext
from prefect.settings import (
    PREFECT_RESULTS_LOCAL_STORAGE_PATH,
    PREFECT_TASKS_REFRESH_CACHE,
    temporary_settings,
)
from prefect.states import State
from prefect.transactions import transaction

from tasks.prefect.caching import WhileUnchanged, build_identity, keyed_afterwards
from tests.flows.services import batch, blobs, exists, steps_of
from tests.waiting import wait_until

ran: list[str] = []


@dataclass(frozen=True)
class Container:
    name: str
    stamp: str


def stamp_of(container: str, **_: object) -> str | None:
    """The stamp of a live container; None if there is none, or it is marked as good for nothing."""
    try:
        metadata = blobs().get_container_client(container).get_container_properties().metadata
    except ResourceNotFoundError:
        return None
    return None if "spoiled" in metadata else build_identity(container, metadata["stamp"])


def stamped(result: Container, **_: object) -> str:
    return build_identity(result.name, result.stamp)


@task(
    name="make container",
    task_run_name="make container",
    cache_policy=WhileUnchanged(look=stamp_of, made=stamped) - "timeout_seconds",
    result_serializer="json",
)
@keyed_afterwards
def make_container(container: str, label: str = "", timeout_seconds: float = 0) -> Container:
    """Make a container that tells it from others of that name; an existing one is taken."""
    ran.append(container)
    stamp = uuid4().hex
    try:
        blobs().create_container(container, metadata={"stamp": stamp})
    except ResourceExistsError:
        stamp = blobs().get_container_client(container).get_container_properties().metadata["stamp"]
    return Container(container, stamp)


@task(name="tag container", cache_policy=WhileUnchanged(look=stamp_of), result_serializer="json")
@keyed_afterwards
def tag_container(container: str, label: str = "", timeout_seconds: float = 0) -> str:
    """Another task with the same parameters, on the same thing."""
    ran.append(container)
    return "tagged"


def created_at(job_id: str, **_: object) -> str | None:
    return build_identity(job_id, batch().get_job(job_id, select=["id", "creationTime"]).creation_time)


@task(name="make job", cache_policy=WhileUnchanged(look=created_at), result_serializer="json")
@keyed_afterwards
def make_job(job_id: str) -> str:
    """Make a job, whose identity its look-up asks the service for before and after."""
    ran.append(job_id)
    batch().create_job(
        models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id="none"))
    )
    return job_id


def attempt(step: Task | Callable, *args: object, **options: object) -> State:
    """The state of a step that a flow run of its own takes."""
    states = []

    @flow(name="attempt")
    def one_attempt() -> None:
        states.append(step(*args, return_state=True, **options))

    one_attempt(return_state=True)
    return states[0]


@pytest.fixture
def container(accounts) -> str:
    """The name of a container of the test's own."""
    ran.clear()
    return f"cached-{uuid4().hex}"


def test_a_second_flow_run_finds_the_work_done(container):
    """The first run does it, the second gets the same result from Prefect's cache, whatever its deadline."""
    first = attempt(make_container, container, timeout_seconds=1)
    second = attempt(make_container, container, timeout_seconds=2)
    assert [first.name, second.name] == ["Completed", "Cached"]
    assert first.result() == second.result()
    assert ran == [container]


def test_prefect_itself_shows_a_hit(container):
    """The state `Cached` is what Prefect's API says of the task run, with a result that can be read there."""
    made = attempt(make_container, container).result()
    hit = attempt(make_container, container)
    flow_run_id = hit.state_details.flow_run_id
    wait_until(lambda: steps_of(flow_run_id) == {"make container": "Cached"}, 30, "a recorded hit")
    with get_client(sync_client=True) as client:
        assert client.read_task_run(hit.state_details.task_run_id).state.result() == made


@pytest.mark.parametrize("change", ["delete", "replace", "spoil"])
def test_what_is_gone_replaced_or_changed_is_not_taken_for_done(container, change):
    """Each time the step runs, and what it finds or makes then is what the next run takes from the cache."""
    attempt(make_container, container)
    found = blobs().get_container_client(container)
    if change == "spoil":
        found.set_container_metadata({"stamp": "x", "spoiled": "yes"})
    else:
        found.delete_container()
    if change == "replace":
        found.create_container(metadata={"stamp": "another"})
    assert attempt(make_container, container).name == "Completed"
    assert attempt(make_container, container).name == ("Completed" if change == "spoil" else "Cached")


def test_a_thing_is_known_by_what_the_service_says_of_it(container):
    """A job's look-up fails while there is none, then gives its creation time, its successor's another."""
    assert [attempt(make_job, container).name for _ in range(2)] == ["Completed", "Cached"]
    batch().begin_delete_job(container).wait()
    wait_until(lambda: not exists(lambda: batch().get_job(container)), 30, "end of the job")
    assert [attempt(make_job, container).name for _ in range(2)] == ["Completed", "Cached"]
    batch().begin_delete_job(container).wait()


def test_other_work_on_the_same_thing_is_done(container):
    """Neither other inputs nor another task with the same inputs take what this one has done for theirs."""
    attempt(make_container, container, "a")
    assert attempt(make_container, container, "b").name == "Completed"
    assert attempt(tag_container, container, "a").name == "Completed"
    assert attempt(tag_container, container, "a").result() == "tagged"


@pytest.mark.parametrize("way", ["option", "setting"])
def test_refreshing_runs_the_step_all_the_same(container, way):
    """Prefect's option of a task and its setting for all force a step; the next run finds its result."""
    attempt(make_container, container)
    with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: way == "setting"}):
        step = make_container.with_options(refresh_cache=True) if way == "option" else make_container
        assert attempt(step, container).name == "Completed"
    assert attempt(make_container, container).name == "Cached"


def test_a_retry_of_the_flow_run_takes_what_was_done(container):
    """Prefect's own retry of a flow that failed after the step finds it in the cache."""
    states = []

    @flow(retries=1)
    def fails_once() -> None:
        states.append(make_container(container, return_state=True).name)
        if len(states) == 1:
            raise RuntimeError("once")

    fails_once()
    assert states == ["Completed", "Cached"]


def test_a_step_that_failed_is_not_taken_for_done(container):
    """A retry of a step whose thing was made before it failed runs it again."""

    @task(cache_policy=WhileUnchanged(look=stamp_of), result_serializer="json", retries=1)
    @keyed_afterwards
    def fails_once(container: str) -> Container:
        made = make_container.fn(container)
        if len(ran) == 1:
            raise RuntimeError("once")
        return made

    assert [attempt(fails_once, container).name for _ in range(2)] == ["Completed", "Cached"]
    assert len(ran) == 2


def test_a_step_is_done_where_its_result_cant_be_kept(container, tmp_path, caplog):
    """One line says so, the step is as complete as ever, and the next attempt does it again."""
    (tmp_path / "file").touch()
    with temporary_settings({PREFECT_RESULTS_LOCAL_STORAGE_PATH: tmp_path / "file" / "results"}):
        states = [attempt(make_container, container) for _ in range(2)]
    assert [state.name for state in states] == ["Completed", "Completed"]
    assert states[0].result().name == container
    assert [record.levelname for record in caplog.records if "can't be kept" in record.message] == [
        "WARNING"
    ] * 2
    assert "Traceback" not in caplog.text


def test_a_look_up_that_fails_costs_no_step(container, caplog):
    """It runs, before as after, and nobody is told of it with a traceback."""

    def fails(**_: object) -> str:
        raise RuntimeError("the service is away")

    step = make_container.with_options(cache_policy=WhileUnchanged(look=fails))
    assert [attempt(step, container).name for _ in range(2)] == ["Completed", "Completed"]
    assert "Traceback" not in caplog.text


def test_a_record_that_cant_be_read_is_as_good_as_none(container, tmp_path):
    """A step whose record is damaged, or of another shape than its result is now, runs and mends it."""
    with temporary_settings({PREFECT_RESULTS_LOCAL_STORAGE_PATH: tmp_path}):
        attempt(make_container, container)
        (record,) = [path for path in Path(tmp_path).iterdir() if path.is_file()]
        text = record.read_text()
        for damaged in ["", text[: len(text) // 2], text.replace("stamp", "stump")]:
            record.write_text(damaged)
            assert attempt(make_container, container).name == "Completed"
        assert attempt(make_container, container).name == "Cached"


def test_runs_at_the_same_time_share_one_record(container):
    """Of several attempts at once each gets a result of the same thing, and the next one a hit."""
    with ThreadPoolExecutor(4) as threads:
        # In the settings of this context: those of the session's server.
        attempts = [threads.submit(copy_context().run, attempt, make_container, container) for _ in range(4)]
        states = [one.result() for one in attempts]
    assert len({state.result() for state in states}) == 1
    assert attempt(make_container, container).name == "Cached"


def test_a_result_is_kept_before_the_transaction_around_it_ends(container):
    """Prefect writes the results of a transaction at its end; a run that dies in one has its steps kept."""

    @flow
    def dies() -> None:
        with transaction():
            make_container(container)
            raise RuntimeError("in the midst")

    assert dies(return_state=True).is_failed()
    assert attempt(make_container, container).name == "Cached"


def test_a_step_called_as_a_function_keeps_nothing(container):
    """Neither outside of any run, nor within another task, whose own result stays its own."""
    assert make_container.fn(container).name == container

    @task
    def calls_it(container: str) -> str:
        make_container.fn(container)
        return TaskRunContext.get().task.name

    assert attempt(calls_it, container).result() == "calls_it"
    assert attempt(make_container, container).name == "Completed"


def test_a_policy_cant_be_added_to_another(accounts):
    """Prefect's sum of policies leaves out one without a key, and would answer for a thing that is gone."""
    with pytest.raises(TypeError, match="work"):
        WhileUnchanged(look=stamp_of) + WhileUnchanged(look=stamp_of)
