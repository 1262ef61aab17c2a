"""The diagnosis table: whatever keeps a run from going on is told, and ends it.

Each row is a fault, what the run is told of it, and within how many polls it ends. Polls are counted and not
seconds: pauses between them have a least length, so that a busy machine makes fewer of them and never more.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError
from prefect import flow

import batch_emulator
from batch_emulator.faults import AllocationFault, Faults, NodeFault, StartTaskFault
from flows.fan_out import fan_out
from tasks.azure.clients import batch_client
from tasks.base.listeners import listening
from tasks.errors import (
    FanOutError,
    FilesFailedError,
    InputError,
    JobError,
    PoolError,
    RunTimeoutError,
    StallError,
    TemporaryError,
)
from tasks.jobs import create_job
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import DEFAULT_POOL, PoolSpec
from tasks.spec.work import WorkItem
from tasks.waiting import Looks, wait_for_tasks
from tasks.watch.health import PoolView
from tasks.watch.pool_watch import PoolWatch
from tasks.watch.progress import Counts
from tasks.watch.spending import Spending
from tasks.watch.stall import Patience, Stall
from tasks.watch.stall_report import describe_running, describe_stall
from tests.flows.injections import (
    Injection,
    change_formula,
    deallocate_nodes,
    delete_outputs,
    delete_pool,
    delete_tasks,
    disable_job,
    set_offline,
    stop_resize,
    terminate_job,
)
from tests.flows.services import batch, wait_for_remains, write_files
from tests.messages import find_nonsense
from tests.sampling import sample

HANGS = "sleep 600"


@dataclass(frozen=True)
class Row:
    """A fault, and what is made of it."""

    error: type[FanOutError]
    said: tuple[str, ...]
    faults: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the service."""

    inject: Injection | None = None
    """Done at the first poll at which the service lets it be done."""

    pool: PoolSpec = DEFAULT_POOL
    command: str = HANGS
    options: dict[str, Any] = field(default_factory=dict)
    polls_max: int = 30
    """Some ten seconds of them; those of its whole time would be eighty."""


SPOT = PoolSpec(dedicated_nodes=0, low_priority_nodes=1)
TABLE = {
    "job disabled": Row(StallError, ("job .* is disabled", "enable the job again"), inject=disable_job),
    "nodes unknown": Row(
        StallError,
        ("has 1 unknown", "Node .* has been unknown for", "lost contact"),
        {"nodes": (NodeFault(event="lose"),)},
    ),
    "nodes offline": Row(
        StallError, ("has 1 offline", "Node .* has been offline for", "enable scheduling"), inject=set_offline
    ),
    "nodes deallocated": Row(
        StallError, ("has 1 deallocated", "What helps: start the nodes again"), inject=deallocate_nodes
    ),
    "resize stopped": Row(
        StallError,
        ("and has none; ResizeStopped", "What helps: resize the pool again"),
        inject=stop_resize,
        # Else a node might come before it is stopped; and a stop takes as long as what it stops.
        settings={"node_allocation_seconds": 8},
        options={"stall_minutes": 0.2},
        polls_max=80,
    ),
    "container of outputs deleted": Row(
        JobError,
        ("The container that outputs are written to is gone", "FileUploadContainerNotFound"),
        inject=delete_outputs,
        command="sleep 1",
    ),
    "start task that hangs": Row(
        StallError,
        ("has 1 waiting for start task", "start task still runs", "asking a mirror", "start_minutes"),
        pool=PoolSpec(start_command="echo asking a mirror >&2; sleep 600"),
    ),
    "formula of zero": Row(
        StallError,
        ("is to have 0 dedicated", "formula gave \\$TargetDedicatedNodes=0", "formula that asks for nodes"),
        inject=change_formula,
    ),
    "no nodes to be had": Row(
        StallError,
        (
            "is to have 1 dedicated and 0 Spot nodes, and has none",
            "AllocationFailed",
            "ask for another vm_size",
        ),
        {"allocations": (AllocationFault(code="AllocationFailed"),)},
    ),
    "Spot taken away for ever": Row(
        StallError,
        ("none has ended; tasks have gone back to the queue", "ask for dedicated_nodes"),
        {"nodes": (NodeFault(event="preempt", after_seconds=0.6),)},
        pool=SPOT,
        options={"stall_minutes": 0.06, "max_wall_clock_minutes": 60},
    ),
    "more slots than a node has": Row(
        InputError,
        ("takes 3 slots", "no task would ever run"),
        options={"task": {"overrides": {"requiredSlots": 3}}},
        polls_max=0,
    ),
    "program that hangs, with a limit": Row(
        FilesFailedError, ("one.txt: .*maximum execution time",), options={"max_wall_clock_minutes": 0.01}
    ),
    "program that hangs, without": Row(
        RunTimeoutError,
        ("Still running: one.txt \\(for .* on node \\w{1,20}….{0,4}\\)\\.", "max_wall_clock_minutes"),
        options={"timeout_seconds": 4},
    ),
    "start task failed": Row(
        PoolError,
        ("its only node can't run tasks", "exit code 42"),
        {"start_tasks": (StartTaskFault(exit_code=42),)},
        pool=PoolSpec(start_command="true"),
    ),
    "quota": Row(
        PoolError,
        ("AccountCoreQuotaReached", "more quota of dedicated cores"),
        {"allocations": (AllocationFault(code="AccountCoreQuotaReached"),)},
        options={"quota_minutes": 0},
    ),
    "nodes unusable": Row(
        PoolError,
        ("its only node can't run tasks", "is unusable: DiskFull: no space"),
        {"nodes": (NodeFault(event="break", errors=({"code": "DiskFull", "message": "no space"},)),)},
    ),
    "pool deleted": Row(PoolError, ("being deleted|was deleted",), inject=delete_pool),
    "tasks deleted": Row(JobError, ("no longer 1 Batch task", "Somebody has deleted"), inject=delete_tasks),
    "job terminated": Row(JobError, ("is completed|is terminating", "by the operator"), inject=terminate_job),
}

# One for each error, and the two ways in which a pool is no longer as it was.
QUICK = ("job disabled", "nodes offline", "program that hangs, without", "start task failed", "pool deleted")


class Polls:
    """Counts the polls of a run, and does at them what is to be done to it."""

    def __init__(self, inject: Injection | None, names: RunNames):
        self.inject, self.names, self.count = inject, names, 0

    def hear(self, news: object) -> None:
        if not isinstance(news, Counts):
            return
        self.count += 1
        if self.inject:
            try:
                self.inject(self.names)
            except HttpResponseError:
                return
            self.inject = None


@pytest.fixture
def serve_with(storage, prefect_server, use_batch, monkeypatch) -> Iterator[Callable[..., None]]:
    """Start a local Batch service of the test's own, with these faults, at which a run looks often."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    monkeypatch.setattr("tasks.waiting.HEALTH_SECONDS", 0.2)
    with ExitStack() as stack:

        def serve(faults: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> None:
            wanted: dict[str, Any] = {"port": 0, "stop_grace_seconds": 0.1, **(settings or {})}
            use_batch(stack.enter_context(batch_emulator.serve(faults=Faults(**faults or {}), **wanted)))

        yield serve


@pytest.mark.slow
@pytest.mark.parametrize("row", sample(TABLE, *QUICK))
def test_what_keeps_a_run_from_going_on_is_told_and_ends_it(serve_with, tmp_path, run_key, row):
    """The run ends within so many polls, says what job, pool and nodes are in, and leaves nothing."""
    inputs = write_files(tmp_path / "in", {"one.txt": "text 1"})
    serve_with(row.faults, row.settings)
    pool = row.pool.model_copy(update={"start_minutes": 0.02})
    options = {"stall_minutes": 0.02, "timeout_seconds": 600, **row.options}
    polls = Polls(row.inject, names_of_run(run_key))
    with listening(polls.hear), pytest.raises(row.error) as caught:
        fan_out(inputs, None, row.command, tmp_path / "out", pool, run_key=run_key, **options)
    for pattern in row.said:
        caught.match(pattern)
    assert find_nonsense(str(caught.value)) == []
    assert type(caught.value) is row.error
    assert polls.count <= row.polls_max, polls.count
    wait_for_remains(run_key, set())


def test_what_can_not_be_told_takes_the_place_of_no_reason(accounts):
    """Neither job nor pool are there any more: what is known of the standstill is told all the same."""
    stall = Stall(Patience(60, 60), view=PoolView(False, True, False, (1, 0), 0, None))
    idle = Stall(Patience(60, 60), view=PoolView(False, True, False, (1, 0), 1, None, nodes={"idle": 1}))
    with batch_client("Looking") as client:
        assert "is steady" in describe_stall(client, "no-pool", "no-job", stall)
        assert describe_running(client, "no-job") == ""
        told = describe_stall(client, "no-pool", "no-job", idle)
        assert "has 1 idle" in told
        assert "need more slots than a node has" in told


def test_tasks_that_somebody_has_deleted_are_not_waited_for(kept, monkeypatch):
    """Nothing waits or runs, and yet they have not completed: they never will."""
    monkeypatch.setattr("tasks.waiting.HEALTH_SECONDS", 0)
    now = datetime.now(timezone.utc)
    job, watch = create_job.fn(names_of_run(kept), RunOptions()), PoolWatch("none", None, None, now)
    item = WorkItem("a.txt", "a_OUTPUT.txt", "5eed")
    batch().create_task(job.id, models.BatchTaskCreateOptions(id=item.task_id, command_line="true"))
    batch().delete_task(job.id, item.task_id)
    looks = Looks(job, watch, Stall(Patience(600, 600)), Spending(now))
    with pytest.raises(JobError, match=rf"no longer 1 Batch task that it had: {item.task_id}\. Somebody"):
        list(wait_for_tasks.fn(looks, [item], time.monotonic() + 60, lambda _: None))


def test_a_wait_that_is_tried_again_goes_on_where_it_broke_off(kept):
    """It tells of its progress in the artifact that is there, and has not forgotten how the pool was."""
    now = datetime.now(timezone.utc)
    job, watch = create_job.fn(names_of_run(kept), RunOptions()), PoolWatch("none", None, None, now)
    item = WorkItem("a.txt", "a_OUTPUT.txt", "5eed")
    batch().create_task(job.id, models.BatchTaskCreateOptions(id=item.task_id, command_line="true"))
    looks, polls = Looks(job, watch, Stall(Patience(600, 600)), Spending(now)), []

    def break_off(_: object) -> None:
        polls.append(1)
        if len(polls) == 2:
            raise TemporaryError("a look that may be made again")

    @flow
    def wait_twice() -> UUID | None:
        with pytest.raises(TemporaryError):
            list(wait_for_tasks.fn(looks, [item], time.monotonic() + 60, break_off))
        shown = looks.progress.artifact_id
        with pytest.raises(RunTimeoutError):
            list(wait_for_tasks.fn(looks, [item], time.monotonic(), lambda _: None))
        return shown

    shown = wait_twice()
    assert shown is not None
    assert looks.progress.artifact_id == shown


@pytest.mark.soak
def test_a_job_that_was_ended_is_to_blame_and_not_its_files(serve_with, tmp_path, run_key, monkeypatch):
    """Whoever looks when all tasks have ended with their job says so, and not that files failed."""
    inputs = write_files(tmp_path / "in", {"one.txt": "text 1"})
    serve_with()
    monkeypatch.setattr("tasks.waiting.HEALTH_SECONDS", 600)
    asked: list[object] = []

    def end_once_it_runs(news: object) -> None:
        if isinstance(news, Counts) and news.running and not asked:
            asked.append(terminate_job(names_of_run(run_key)))

    told = r"by the operator\), with which 1 Batch task ended"
    with listening(end_once_it_runs), pytest.raises(JobError, match=told):
        fan_out(inputs, None, "sleep 600", tmp_path / "out", run_key=run_key, timeout_seconds=600)
