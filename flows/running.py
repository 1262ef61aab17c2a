"""A run from its plan to its result: the steps, in their order."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.collecting import collect_outputs
from flows.submitting import Submitted, may_be_repeated, runs_all, submit_files
from tasks.azure.blocks import using_accounts
from tasks.azure.secret_blocks import read_secrets
from tasks.base.deadlines import run_deadline
from tasks.base.free_memory import return_memory
from tasks.checks import check_accounts
from tasks.cleanup import clean_at_end, clean_up, clean_up_after, cleaned_up
from tasks.containers import create_containers
from tasks.errors import FanOutError, FilesFailedError
from tasks.logs import run_logger
from tasks.outputs.evidence import LogFolder
from tasks.plans import Plan
from tasks.prefect.caching import in_first_attempt, refreshing
from tasks.prefect.hangups import hangup_ends_run
from tasks.prefect.observing import left_out_on_failure
from tasks.report.events import emit_failed_files
from tasks.report.run_name import label_flow_run
from tasks.report.summary import describe_failures, publish_result
from tasks.report.unnamed_artifacts import remove_unnamed_artifact
from tasks.reuse.earlier_runs import read_program, remember_outputs
from tasks.reuse.earlier_seconds import share_tasks
from tasks.reuse.existing_outputs import SettledFiles, find_existing, settle_existing
from tasks.reuse.remembering import list_records, remembered, set_stale_aside, tell_stale
from tasks.reuse.tallies import begin_spending, noted
from tasks.sharding import SHARD_MAX, split
from tasks.spec.bundles import map_bundled
from tasks.spec.file_results import NOT_COMPLETED, FileResult
from tasks.spec.input_files import list_names
from tasks.spec.packed_results import FileResults
from tasks.spec.prices import describe_estimate
from tasks.spec.recipe import digest_recipe
from tasks.spec.run_results import RunResult
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import describe_nodes
from tasks.step import opaque
from tasks.watch.downloading import Outputs
from tasks.watch.spending import Spending

Shards = Generator[Sequence[FileResult], None, RunResult]

# What the flows of a run have in common.
AS_A_RUN = {
    "task_runner": ThreadPoolTaskRunner(max_workers=8),
    "on_cancellation": [clean_up_after],
    "on_crashed": [clean_up_after],
    "on_failure": [remove_unnamed_artifact],
}


def run(plan: Plan) -> RunResult:
    """Run to the end. Raises FilesFailedError when all is done but some files failed."""
    shards = run_in_shards(plan)
    while True:
        try:
            next(shards)
        except StopIteration as end:
            return end.value


def run_in_shards(plan: Plan) -> Shards:
    """Run on the plan's accounts, yielding what became of the files as they arrive.

    There are no steps if all outputs of an earlier run still hold.
    """
    with (
        hangup_ends_run(),
        using_accounts(plan.spec.accounts, plan.spec.storage_accounts),
        refreshing(runs_all(plan)),
        in_first_attempt(not may_be_repeated(plan)),
        run_deadline(plan.spec.timeout_seconds),
    ):
        label_flow_run(plan.files)
        start = _begin(plan)
        left = start.settled.list_left()
        with nullcontext() if left else _cleaned_behind_others(plan):
            yield from split(start.settled, SHARD_MAX)
            if left:
                with noted(start.spending, plan.names.key != flow_run.id):
                    return (yield from run_files(replace(plan, files=left), start))
            return _conclude(start, Submitted([]), None)


def _cleaned_behind_others(plan: Plan) -> AbstractContextManager[None]:
    """Clean up behind earlier attempts of a run that has nothing to do itself."""
    clean = partial(clean_up, plan.names, plan.spec.cleanup)
    return clean_at_end(clean) if may_be_repeated(plan) else nullcontext()


@dataclass(frozen=True)
class Start:
    """What is known of a run before it makes anything."""

    plan: Plan
    started_at_seconds: float
    """A reading of `time.monotonic()`."""

    started_at: datetime
    settled: SettledFiles
    """What became of the files that need not be run."""

    spending: Spending


def _begin(plan: Plan) -> Start:
    started_at_seconds, started_at = time.monotonic(), datetime.now(timezone.utc)
    recipe = digest_recipe(plan.spec, plan.application and plan.application.name, read_program(plan))
    settled = settle_existing(plan, find_existing(plan, recipe, runs_all(plan)))
    spending = begin_spending(plan, started_at, may_be_repeated(plan))
    return Start(plan, started_at_seconds, started_at, settled, spending)


def run_files(plan: Plan, start: Start) -> Shards:
    """The steps of a run whose files have to be run."""
    plan = share_tasks(plan)
    names, spec = plan.names, plan.spec
    # Known from here on, each is hidden wherever it is printed.
    read_secrets(spec.task.secret_environment)
    image = check_accounts(names, spec)
    _tell_estimate(plan)
    with cleaned_up(names, spec.cleanup):
        create_containers(names, spec, plan.output_folder)
        submitted = submit_files(plan, image, start.spending)
        return_memory()
        outputs = _expect_outputs(plan, submitted)
        with (
            _told_if_interrupted(
                lambda: _conclude(start, submitted, outputs, "it was cancelled or interrupted.")
            ),
            remembered(plan.output_folder, outputs) as memory,
        ):
            if submitted.early is not None:
                outputs.go_on_with(submitted.early)
            outputs.fetch_computed()
            stopped = yield from collect_outputs(plan, start.spending, submitted, outputs, memory)
        return_memory()
        stale = _remember_and_set_aside(plan.output_folder, outputs)
        result = _conclude(start, submitted, outputs, str(stopped or ""), stale)
        _judge_result(result, stopped, spec, bool(outputs.problems))
        return result


def _expect_outputs(plan: Plan, submitted: Submitted) -> Outputs:
    """The outputs and logs that are to come of what was submitted."""
    names, bundled = plan.names, map_bundled(submitted.bundles)
    logs = LogFolder(
        names.key, submitted.job_id, names.output_container, plan.output_folder, plan.outputs, bundled
    )
    return Outputs(logs, submitted.items, submitted.computed, keeps_all_logs=plan.spec.keep_logs == "all")


def _remember_and_set_aside(folder: Path | None, outputs: Outputs) -> list[str]:
    """Remember what is in a folder, and set aside what is stale there; its names. In blob storage outputs say
    themselves what made them, and nothing is moved."""
    if folder is None:
        tell_stale(outputs)
        return []
    remember_outputs(folder, opaque(list_records(outputs, outputs.items)))
    return set_stale_aside(folder, outputs)


def _tell_estimate(plan: Plan) -> None:
    prices, spec = plan.prices, plan.spec
    if prices and (estimate := describe_estimate(prices, spec.pool, spec.timeout_seconds)):
        run_logger().info("The nodes cost %s", estimate)


@contextmanager
def _told_if_interrupted(conclude: Callable[[], object]) -> Iterator[None]:
    """Tell what has come of a run also when it is cancelled. Whoever just leaves its loop is told nothing."""
    try:
        yield
    except (KeyboardInterrupt, TerminationSignal):
        with left_out_on_failure("What has come of this run"):
            conclude()
        raise


def _conclude(
    start: Start,
    submitted: Submitted,
    outputs: Outputs | None,
    ended_early: str = "",
    set_aside: Iterable[str] = (),
) -> RunResult:
    """The result of the run, in the order of its inputs; it is told wherever one may look for it."""
    plan, files = start.plan, _gather_results(start, outputs)
    elapsed, ended_at = time.monotonic() - start.started_at_seconds, datetime.now(timezone.utc)
    result = RunResult(
        run_key=plan.names.key,
        job_id=submitted.job_id,
        pool_id=submitted.pool_id,
        output_dir=plan.output_dir,
        elapsed_seconds=elapsed,
        files=files,
        command=plan.spec.command,
        nodes=describe_nodes(plan.spec.pool),
        spent=start.spending.sum_up(ended_at),
        started_at=start.started_at,
        ended_at=ended_at,
        uploaded_at=submitted.uploaded_at,
        ended_early=ended_early,
        set_aside=tuple(set_aside),
        bundles=len(submitted.bundles),
    )
    publish_result(result)
    emit_failed_files(result)
    return result


def _gather_results(start: Start, outputs: Outputs | None) -> FileResults:
    """What became of each file, in the order of the inputs."""
    left = list_names(start.settled.list_left())
    # Of files that were not uploaded any more, as the run had to end, nothing was found.
    results = (
        (outputs and outputs.find_result(name)) or FileResult(name, None, problem=NOT_COMPLETED)
        for name in left
    )
    return start.settled.fill_in(results)


def _judge_result(
    result: RunResult, stopped: FanOutError | None, spec: RunOptions, has_unfetched: bool
) -> None:
    """Raise what ended the wait, else FilesFailedError if there are files without an output.

    A run that is to complete nevertheless reports them; but outputs that are there and could not be fetched
    always fail it, as its containers are only kept if it fails.
    """
    if stopped is None and result.failures:
        report = describe_failures(result)
        if spec.on_failure == "complete" and not has_unfetched:
            run_logger().warning("%s", report)
        else:
            stopped = FilesFailedError(report)
    if stopped is not None:
        stopped.result = result
        raise stopped
