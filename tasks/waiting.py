"""Waiting for the Batch tasks, at a cost that doesn't grow with their number."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from azure.batch import BatchClient
from azure.batch.models import BatchTaskCounts
from azure.core.exceptions import ResourceNotFoundError
from prefect import task

from tasks.azure.clients import batch_client
from tasks.azure.error_codes import has_code
from tasks.base.pacing import find_interval
from tasks.base.printable import say_count
from tasks.errors import CostLimitError, JobError, RunTimeoutError, StallError
from tasks.jobs import Job
from tasks.logs import run_logger
from tasks.prefect.observing import left_out_on_failure
from tasks.spec.bundles import Unit
from tasks.spec.file_results import ENDED, TaskResult
from tasks.step import NOT_CACHED, RETRIED
from tasks.watch.awaited_tasks import NO_OTHER_TASKS, AwaitedTasks, OtherTasks
from tasks.watch.completed_tasks import NOTHING_SEEN, Seen, list_completed
from tasks.watch.cost_limit import WHAT_NOW, end_at_limit
from tasks.watch.health import PoolView
from tasks.watch.job_watch import check_end, check_job, refuse_lost_container
from tasks.watch.pool_watch import PoolWatch, check_pool
from tasks.watch.progress import Counts, FileCounts, Progress, watched
from tasks.watch.spending import Spending
from tasks.watch.stall import Stall, describe_seconds
from tasks.watch.stall_report import describe_running, describe_stall

FIRST_INTERVAL_SECONDS = 0.15
BUSY_INTERVAL_MAX_SECONDS = 5.0
IDLE_INTERVAL_MAX_SECONDS = 15.0
# Of the time so far, where tasks complete.
BUSY_PART = 0.025
HEALTH_SECONDS = 2.0
GONE_SHOWN = 3
MORE_TIME = "Give the run more time (timeout_seconds) or the pool more nodes."
TASK_LIMIT = "A limit for each task (max_wall_clock_minutes) ends a program that hangs, and no other."


@dataclass
class Looks:
    """What is looked at while a run waits, and what is remembered of it, by each try of the wait."""

    job: Job
    watch: PoolWatch
    stall: Stall
    spending: Spending
    progress: Progress = field(init=False)
    began_seconds: float = field(default_factory=time.monotonic)

    def __post_init__(self):
        self.progress = Progress(spent=lambda: self.spending.sum_up(datetime.now(timezone.utc)))


# Not cached: what it gives is what it sees while it waits.
@task(name="wait for tasks", task_run_name="wait for tasks", **NOT_CACHED, **RETRIED)
def wait_for_tasks(
    looks: Looks,
    units: Sequence[Unit],
    deadline_seconds: float,
    on_completed: Callable[[list[TaskResult]], FileCounts | None],
    seen: Seen = NOTHING_SEEN,
) -> Iterator[int]:
    """Wait until the Batch tasks of the units have completed, handing on each result as soon as it is there.

    Where several files share a Batch task, `on_completed` tells how many of them are done. Tasks that were
    `seen` to complete before are not handed on. `looks` is what the run has seen so far and has told, which a
    wait that is tried again goes on with.

    After each poll it yields how many came with it, to whoever has more to do meanwhile. A poll is one call
    for the counts, one for what has completed since the last, and every few seconds three more for pool and
    job. `deadline_seconds` is a reading of `time.monotonic()`. Raises RunTimeoutError, PoolError when no node
    can run tasks any more, JobError when the job is over too soon, StallError when nothing has gone on for
    longer than it may, CostLimitError when the nodes have cost as much as they may.
    """
    job, watch = looks.job, looks.watch
    with batch_client(f"Waiting for the job {job.id}") as client:
        watch.until = datetime.now(timezone.utc) + timedelta(seconds=deadline_seconds - time.monotonic())
        try:
            awaited = AwaitedTasks(units, seen)
            collector = _Collector(job.id, awaited, seen.latest)
            yield from _wait(client, looks, collector, deadline_seconds, on_completed)
        except ResourceNotFoundError as error:
            if not has_code(error, "JobNotFound"):
                raise
            raise JobError(f"The job {job.id} was deleted while its tasks were waiting.") from error
        finally:
            with left_out_on_failure("A last look at the nodes"):
                looks.spending.look(client, watch.pool_id, None, datetime.now(timezone.utc))


def _count_others(
    client: BatchClient, job_id: str, awaited: AwaitedTasks, counts: BatchTaskCounts
) -> OtherTasks:
    """What an earlier attempt has left in the job: completed tasks that are not waited for."""
    others = counts.active + counts.running + counts.completed - len(awaited.units)
    if others <= 0:
        return NO_OTHER_TASKS
    failed = client.list_tasks(job_id, filter="executionInfo/result eq 'failure'", select=["id"])
    return OtherTasks(others, sum(found.id not in awaited for found in failed))


def _wait(
    client: BatchClient,
    looks: Looks,
    collector: "_Collector",
    deadline_seconds: float,
    on_completed: Callable[[list[TaskResult]], FileCounts | None],
) -> Iterator[int]:
    began, health_at, spending = looks.began_seconds, time.monotonic(), looks.spending
    with watched(looks.progress) as progress:
        while True:
            counts = _count_tasks(client, looks.job.id, collector.awaited)
            listed = collector.listed
            for page in collector.collect(client, counts):
                on_completed(page)
                refuse_lost_container(page, counts)
            counts = replace(collector.bring_up_to_date(counts), files=on_completed([]))
            progress.tell(counts.all_completed() if collector.is_complete else counts)
            fresh = collector.listed - listed
            yield fresh
            now = time.monotonic()
            is_over = not (spending.is_ending and counts.running) or now >= deadline_seconds
            if collector.is_complete and is_over:
                if collector.ended:
                    check_end(client, looks.job.id, counts.all_completed(), collector.ended)
                return
            if now >= deadline_seconds:
                raise RunTimeoutError(_describe_timeout(client, looks, counts))
            if now - health_at >= find_interval(now - began, HEALTH_SECONDS, _health_max_seconds()):
                health_at = now
                collector.refuse_deleted(client, counts)
                _look(client, looks, counts, now)
            interval = next_interval(fresh > 0, now - began)
            time.sleep(min(interval, deadline_seconds - now))


def _look(client: BatchClient, looks: Looks, counts: Counts, now_seconds: float) -> None:
    """Look at job and pool, and tell what is new. Raises what ends the wait."""
    job, watch, stall = looks.job, looks.watch, looks.stall
    job_state = check_job(client, job.id, counts)
    view, news = check_pool(client, watch, now_seconds, lambda: counts.waiting + counts.running)
    for line in news:
        run_logger().warning("%s", line)
    _look_at_cost(client, looks, view, counts)
    is_excused = watch.quota_wait is not None or looks.spending.is_ending
    stall.look(counts, view, job_state, now_seconds, is_excused)
    if stall.is_over:
        limit = describe_seconds(stall.patience.stall_seconds)
        said = describe_stall(client, watch.pool_id, job.id, stall)
        raise StallError(f"{counts}. {said}\nA run may stand still for {limit} (stall_minutes).")
    if stall.is_half_over and "stall" not in watch.told:
        watch.told.add("stall")
        run_logger().warning("%s. %s", counts, describe_stall(client, watch.pool_id, job.id, stall))


def _look_at_cost(client: BatchClient, looks: Looks, view: PoolView, counts: Counts) -> None:
    """Let no more tasks begin when the nodes have cost as much as they may. Raises CostLimitError when those
    that ran then have ended."""
    spending, now = looks.spending, datetime.now(timezone.utc)
    spending.look(client, looks.watch.pool_id, view.nodes, now)
    if end_at_limit(client, looks.watch, spending, now):
        run_logger().warning("%s. %s: no further Batch task begins", counts, spending.sum_up(now))
    elif spending.is_ending and not counts.running:
        raise CostLimitError(
            f"{counts}. The nodes have cost as much as they may (max_cost): {spending.sum_up(now)}. "
            f"{WHAT_NOW}"
        )


def _describe_timeout(client: BatchClient, looks: Looks, counts: Counts) -> str:
    """How far the run got in its time; more of it helps only where something goes on."""
    job, watch, stall = looks.job, looks.watch, looks.stall
    said = [f"Time is up: {counts}."]
    if counts.running and (running := describe_running(client, job.id)):
        said.append(f"Still running: {running}.")
    if stall.is_working or stall.view is None:
        said.append(MORE_TIME if counts.waiting else f"{MORE_TIME} {TASK_LIMIT}")
    else:
        said.append(describe_stall(client, watch.pool_id, job.id, stall))
    return "\n".join(said)


def next_interval(has_moved: bool, elapsed_seconds: float) -> float:
    """Seconds until the next poll: few while tasks complete, but more the longer the run takes anyway."""
    if has_moved:
        return find_interval(elapsed_seconds, FIRST_INTERVAL_SECONDS, BUSY_INTERVAL_MAX_SECONDS, BUSY_PART)
    return find_interval(elapsed_seconds, FIRST_INTERVAL_SECONDS, IDLE_INTERVAL_MAX_SECONDS)


def _health_max_seconds() -> float:
    return max(HEALTH_SECONDS, IDLE_INTERVAL_MAX_SECONDS)


def _count_tasks(client: BatchClient, job_id: str, awaited: AwaitedTasks) -> Counts:
    """The job's task counts; they may lag a little behind the truth."""
    counts = client.get_job_task_counts(job_id).task_counts
    if awaited.others is None:
        awaited.others = _count_others(client, job_id, awaited, counts)
    total, others = len(awaited.units), awaited.others
    completed = max(0, min(counts.completed - others.completed, total))
    return Counts(total, counts.active, counts.running, completed, max(0, counts.failed - others.failed))


class _Collector:
    """The results that a _wait has seen so far, so that each task is listed about once."""

    def __init__(self, job_id: str, awaited: AwaitedTasks, latest: datetime | None):
        self.job_id = job_id
        self.awaited = awaited
        self.latest = latest
        self.failed = 0
        self.ended = 0
        """How many did not end by themselves."""

    @property
    def is_complete(self) -> bool:
        return not self.awaited.left_count

    @property
    def listed(self) -> int:
        return len(self.awaited.units) - self.awaited.left_count

    def collect(self, client: BatchClient, counts: Counts) -> Iterator[list[TaskResult]]:
        """The results of tasks that completed since the last call, a page of a list at a time.

        When the counts say that all is done and some are still missing, everything is listed: what a listing
        by time may have missed is found there, and a task counts as done only if a list has said so.
        """
        is_last = counts.completed >= counts.total or not (counts.waiting or counts.running)
        if not is_last and counts.completed <= self.listed:
            return
        yield from self._list(client, self.latest)
        if is_last and not self.is_complete:
            yield from self._list(client, None)

    def bring_up_to_date(self, counts: Counts) -> Counts:
        """The counts, which say no less than what has been listed."""
        return counts.at_least(self.listed, self.failed)

    def refuse_deleted(self, client: BatchClient, counts: Counts) -> None:
        """Raise JobError when what is still missing will never complete: when nothing waits or runs, and the
        job has no such tasks, as somebody has deleted them."""
        if counts.waiting or counts.running or self.is_complete:
            return
        there = {found.id for found in client.list_tasks(self.job_id, select=["id"], max_results=1000)}
        if gone := sorted(id for id in self.awaited.list_left() if id not in there):
            first = ", ".join(gone[:GONE_SHOWN]) + (", ..." if len(gone) > GONE_SHOWN else "")
            raise JobError(
                f"{counts}. The job {self.job_id} has no longer {say_count(len(gone), 'Batch task')} that it "
                f"had: {first}. Somebody has deleted them. Run again with the same run_key for the rest."
            )

    def _list(self, client: BatchClient, since: datetime | None) -> Iterator[list[TaskResult]]:
        latest = self.latest
        for page in list_completed(client, self.job_id, since):
            fresh = [result for result in page if self.awaited.take(result.task_id)]
            self.failed += sum(not result.succeeded for result in fresh)
            self.ended += sum(result.code == ENDED for result in fresh)
            known = [latest] if latest else []
            latest = max([*known, *(result.changed_at for result in fresh)], default=None)
            yield fresh
        # Not before its end, as a list is in no order of time.
        self.latest = latest
