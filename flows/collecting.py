"""From Batch tasks to outputs: the wait, and what is fetched meanwhile and at its end."""

import time
from collections.abc import Generator, Iterator

from flows.submitting import Submitted
from tasks.base.deadlines import current_deadline, leave_time
from tasks.base.known_texts import TextsByName
from tasks.errors import FanOutError
from tasks.plans import Plan
from tasks.prefect.observing import left_out_on_failure
from tasks.reuse.earlier_attempts import list_sources
from tasks.reuse.remembering import Memory
from tasks.spec.file_results import FileResult, TaskResult
from tasks.spec.run_spec import RunSpec
from tasks.step import opaque
from tasks.waiting import Looks, wait_for_tasks
from tasks.watch.bundle_watch import BundleWatch
from tasks.watch.downloading import Outputs
from tasks.watch.live_output import LiveOutput
from tasks.watch.progress import FileCounts
from tasks.watch.spending import Spending
from tasks.watch.stall import Patience, Stall

Collected = Generator[list[FileResult], None, FanOutError | None]


def collect_outputs(
    plan: Plan, spending: Spending, submitted: Submitted, outputs: Outputs, memory: Memory
) -> Collected:
    """Wait for the Batch tasks, yielding what became of their files as outputs arrive.

    An error that has ended the uploads or the wait is returned: what is there is fetched nevertheless.
    """
    watch = BundleWatch(outputs.logs, submitted.bundles, 1 + plan.spec.max_task_retry_count)
    stopped = yield from _take_while_waiting(plan.spec, spending, submitted, outputs, memory, watch)
    if stopped is not None:
        _fetch_unseen(plan, submitted, outputs, watch)
    leave_time()
    yield from outputs.finish()
    return stopped


def _take_while_waiting(
    spec: RunSpec,
    spending: Spending,
    submitted: Submitted,
    outputs: Outputs,
    memory: Memory,
    watch: BundleWatch,
) -> Collected:
    """Yield what becomes of files until no Batch task is waited for any more; the error that ended the
    uploads or the wait, if one did."""
    live_output = LiveOutput(outputs.logs, outputs.find_tasks(spec.stream_output))
    stopped = submitted.stopped
    try:
        for _ in _wait_for_files(spec, spending, submitted, outputs, watch):
            live_output.log()
            yield from outputs.take()
            memory.keep_up()
    except FanOutError as error:
        stopped = error
        leave_time()
    live_output.log(is_last=True)
    return stopped


def _fetch_unseen(plan: Plan, submitted: Submitted, outputs: Outputs, watch: BundleWatch) -> None:
    """Fetch the outputs of tasks that completed unseen by the wait, as far as storage answers."""
    leave_time()
    with left_out_on_failure("A last look at the output container"):
        outputs.begin(watch.read_so_far())
        sources = TextsByName(list_sources(plan.outputs))
        outputs.fetch(
            number
            for number, item in enumerate(outputs.submitted)
            if number not in outputs.tasks and sources.get(item.output_name) == item.source
        )


def _wait_for_files(
    spec: RunSpec, spending: Spending, submitted: Submitted, outputs: Outputs, watch: BundleWatch
) -> Iterator[int]:
    """Wait for the Batch tasks; if there are none, all outputs have been made by earlier attempts."""
    if submitted.job is None or submitted.watch is None:
        return
    # The Batch tasks have this time for themselves, however long the uploads took.
    current_deadline().allow(spec.timeout_seconds)
    deadline_seconds = time.monotonic() + spec.timeout_seconds
    patience = Patience(60.0 * spec.stall_minutes, 60.0 * spec.pool.start_minutes, 60.0 * spec.quota_minutes)

    def take(completed: list[TaskResult]) -> FileCounts:
        outputs.begin(watch.read(completed))
        return outputs.count_files(len(outputs.submitted))

    on_completed = take if watch.bundles else outputs.begin
    looks = Looks(submitted.job, submitted.watch, Stall(patience), spending)
    yield from wait_for_tasks(
        opaque(looks), opaque(submitted.units), deadline_seconds, on_completed, opaque(outputs.seen)
    )
