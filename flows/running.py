"""A run from its plan to its result: the steps, in their order."""

import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import opaque

from tasks.azure.blocks import using_accounts
from tasks.batch_tasks import add_tasks
from tasks.caching import refreshing
from tasks.cleanup import clean_up_after, cleaned_up
from tasks.containers import check_storage, create_containers
from tasks.errors import FilesFailedError, PermanentError
from tasks.extra_files import upload_extra_files
from tasks.images import choose_image
from tasks.jobs import Job, close_job, create_job, find_job, seconds_left
from tasks.plans import Plan, build_task_plan, build_work_items
from tasks.pools import Pool, create_pool
from tasks.report.events import emit_failed_files
from tasks.report.run_name import label_flow_run
from tasks.report.summary import describe_failures, publish_result
from tasks.reuse.unchanged_outputs import digest_recipe, find_unchanged, remember_outputs
from tasks.spec.run_results import FileResult, FileResults, RunResult
from tasks.uploads import upload_application, upload_inputs
from tasks.waiting import wait_for_tasks
from tasks.watch.collecting import Outputs
from tasks.watch.live_output import LiveOutput

Shards = Generator[list[FileResult], None, RunResult]

# What the flows of a run have in common.
AS_A_RUN = {
    "task_runner": ThreadPoolTaskRunner(max_workers=8),
    "on_cancellation": [clean_up_after],
    "on_crashed": [clean_up_after],
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
    # What an attempt of this very flow run has done counts for the next: it was done anew.
    is_refreshed = plan.spec.refresh and (flow_run.run_count or 1) <= 1
    with using_accounts(plan.spec.accounts), refreshing(is_refreshed):
        label_flow_run(plan.files)
        start = _begin(plan)
        if start.unchanged:
            yield list(start.unchanged.values())
        left = [file for file in plan.files if file.name not in start.unchanged]
        if not left:
            return _conclude(start, "", "", [])
        return (yield from run_files(replace(plan, files=left), start))


@dataclass(frozen=True)
class Start:
    """What is known of a run before it makes anything."""

    plan: Plan
    started_at_seconds: float
    """A reading of `time.monotonic()`."""

    recipe: str
    """A digest of how outputs are made."""

    unchanged: dict[str, FileResult]
    """The files that need not be run, by their names."""


def _begin(plan: Plan) -> Start:
    started_at_seconds, recipe = time.monotonic(), digest_recipe(plan)
    runs_all = plan.spec.refresh or _is_repeated_attempt(plan)
    held = {} if runs_all else find_unchanged(plan, recipe)
    unchanged = {name: FileResult(name, None, path, unchanged=True) for name, path in held.items()}
    return Start(plan, started_at_seconds, recipe, unchanged)


def _is_repeated_attempt(plan: Plan) -> bool:
    """Whether an earlier attempt has left its job: then all its tasks are there, and nothing is left out."""
    has_other_key = plan.names.key != flow_run.id or (flow_run.run_count or 1) > 1
    return has_other_key and find_job(plan.names.job_id)


def run_files(plan: Plan, start: Start) -> Shards:
    """The steps of a run whose files have to be run."""
    names, spec = plan.names, plan.spec
    check_storage(names)
    image = choose_image(spec.pool.image, spec.pool.containers.are_wanted)
    with cleaned_up(names, spec.cleanup):
        create_containers(names, spec)
        if plan.application is not None:
            upload_application(names.application_container, plan.application.name, str(plan.application))
        upload_extra_files(names.application_container, plan.extra_files)
        pool = create_pool(names, spec, image, plan.shared_application)
        items = build_work_items(plan, upload_inputs(names.input_container, plan.files))
        job = create_job(names, spec)
        add_tasks(job, opaque(items), opaque(build_task_plan(plan)))
        close_job(job.id)
        outputs = Outputs(job.id, names.output_container, plan.output_folder, items)
        stopped = yield from collect_outputs(plan, pool, job, outputs)
        remember_outputs(plan.output_folder, start.recipe, opaque(outputs.fetched()))
        result = _conclude(start, job.id, pool.id, outputs.results())
        _raise_failure(result, stopped)
        return result


def collect_outputs(
    plan: Plan, pool: Pool, job: Job, outputs: Outputs
) -> Generator[list[FileResult], None, PermanentError | None]:
    """Wait for the Batch tasks, yielding what became of their files as outputs arrive.

    What is there is fetched also when the wait ends badly; then its error is returned.
    """
    live_output = LiveOutput(job.id, outputs.find_tasks(plan.spec.stream_output))
    task_ids, stopped = opaque(frozenset(outputs.items)), None
    try:
        for _ in wait_for_tasks(job, pool, task_ids, _deadline(plan, job), outputs.begin):
            live_output.log()
            yield from outputs.take()
    except PermanentError as error:
        stopped = error
    live_output.log(is_last=True)
    yield from outputs.finish()
    return stopped


def _deadline(plan: Plan, job: Job) -> float:
    """When the run's time is up, as a reading of `time.monotonic()`."""
    return time.monotonic() + seconds_left(job, plan.spec.timeout_seconds, datetime.now(timezone.utc))


def _conclude(start: Start, job_id: str, pool_id: str, results: Iterable[FileResult]) -> RunResult:
    """The result of the run, in the order of its inputs; it is told wherever one may look for it."""
    plan, found = start.plan, start.unchanged | {result.name: result for result in results}
    files = FileResults(found[file.name] for file in plan.files)
    elapsed = time.monotonic() - start.started_at_seconds
    result = RunResult(plan.names.key, job_id, pool_id, str(plan.output_folder), elapsed, files)
    publish_result(result)
    emit_failed_files(job_id, result.failures, len(files))
    return result


def _raise_failure(result: RunResult, stopped: PermanentError | None) -> None:
    """Raise what ended the wait, else FilesFailedError if there are files without an output."""
    if stopped is None and result.failures:
        stopped = FilesFailedError(describe_failures(result.failures, len(result.files)))
    if stopped is not None:
        stopped.result = result
        raise stopped
