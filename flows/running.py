"""A run from its plan to its result: the steps, in their order."""

import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import opaque

from tasks.azure.blocks import using_accounts
from tasks.batch_tasks import WorkItem, add_tasks
from tasks.cleanup import clean_up_after, cleaned_up
from tasks.containers import check_storage, create_containers
from tasks.errors import FilesFailedError, PermanentError
from tasks.extra_files import upload_extra_files
from tasks.images import choose_image
from tasks.jobs import Job, close_job, create_job, find_job, seconds_left
from tasks.plans import Plan, task_plan, work_items
from tasks.pools import Pool, create_pool
from tasks.report.events import tell_failed_files
from tasks.report.run_name import label_flow_run
from tasks.report.summary import describe_failures, publish
from tasks.reuse.unchanged_outputs import find_unchanged, remember_outputs, way_of
from tasks.spec.run_results import FileResult, FileResults, RunResult
from tasks.uploads import upload_application, upload_inputs
from tasks.waiting import wait_for_tasks
from tasks.watch.collecting import Downloads
from tasks.watch.live_output import Stream

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
    """Run on the plan's accounts, yielding what became of the files as they arrive."""
    with using_accounts(plan.accounts):
        return (yield from go_through(plan))


@dataclass(frozen=True)
class Start:
    """What is known of a run before it makes anything."""

    plan: Plan
    at: float
    """A reading of `time.monotonic()`."""

    way: str
    """A digest of how outputs are made."""

    unchanged: dict[str, FileResult]
    """The files that need not be run, by their names."""


def go_through(plan: Plan) -> Shards:
    """The steps of a run; there are none if all outputs of an earlier run still hold."""
    label_flow_run(plan.files)
    start = begin(plan)
    if start.unchanged:
        yield list(start.unchanged.values())
    left = [file for file in plan.files if file.name not in start.unchanged]
    if not left:
        return conclude(start, "", "", [])
    return (yield from run_files(replace(plan, files=left), start))


def begin(plan: Plan) -> Start:
    at, way = time.monotonic(), way_of(plan)
    held = {} if plan.refresh or goes_on(plan) else find_unchanged(plan, way)
    unchanged = {name: FileResult(name, None, path, unchanged=True) for name, path in held.items()}
    return Start(plan, at, way, unchanged)


def goes_on(plan: Plan) -> bool:
    """Whether an earlier attempt has left its job: then all its tasks are there, and nothing is left out."""
    is_another_attempt = plan.names.key != flow_run.id or (flow_run.run_count or 1) > 1
    return is_another_attempt and find_job(plan.names.job_id)


def run_files(plan: Plan, start: Start) -> Shards:
    """The steps of a run whose files have to be run."""
    names = plan.names
    check_storage(names)
    image = choose_image(plan.pool.image, plan.pool.containers.are_wanted)
    with cleaned_up(names, plan.cleanup):
        fresh = create_containers(names, plan.timeout_seconds, plan.cleanup.containers)
        if plan.application is not None:
            upload_application(names.application_container, plan.application.name, str(plan.application))
        upload_extra_files(names.application_container, plan.extra_files)
        pool = create_pool(
            names, plan.pool, image, plan.shared_application, plan.timeout_seconds, plan.cleanup.pool
        )
        items = work_items(plan, upload_inputs(names.input_container, plan.files, fresh))
        job = create_job(names, plan.timeout_seconds, plan.cleanup.job)
        add_tasks(job, opaque(items), opaque(task_plan(plan)))
        close_job(job.id)
        return (yield from collect_outputs(start, pool, job, items))


def collect_outputs(start: Start, pool: Pool, job: Job, items: list[WorkItem]) -> Shards:
    """Wait for the Batch tasks, fetching outputs as they come, and tell what became of each file.

    What is there is fetched and told also when the wait ends badly; then its error is raised, else
    FilesFailedError if there are files without an output.
    """
    plan = start.plan
    streams = [Stream(job.id, item.task_id, item.name) for item in items if item.name == plan.stream_output]
    downloads = Downloads(
        job.id, plan.names.output_container, plan.output_folder, {item.task_id: item for item in items}
    )
    deadline = time.monotonic() + seconds_left(job, plan.timeout_seconds, datetime.now(timezone.utc))
    stopped = None
    try:
        for _ in wait_for_tasks(job, pool, opaque(frozenset(downloads.items)), deadline, downloads.begin):
            for stream in streams:
                stream.tell()
            if shard := downloads.take():
                yield shard
    except PermanentError as error:
        stopped = error
    for stream in streams:
        stream.tell(is_last=True)
    if shard := downloads.finish():
        yield shard
    made = [
        (item, path) for task_id, item in downloads.items.items() if (path := downloads.paths.get(task_id))
    ]
    remember_outputs(plan.output_folder, start.way, opaque(made))
    result = conclude(start, job.id, pool.id, downloads.file_results())
    if stopped is None and result.failures:
        stopped = FilesFailedError(describe_failures(result.failures, len(result.files)))
    if stopped is not None:
        stopped.result = result
        raise stopped
    return result


def conclude(start: Start, job_id: str, pool_id: str, results: Iterable[FileResult]) -> RunResult:
    """The result of the run, in the order of its inputs; it is told wherever one may look for it."""
    plan, found = start.plan, start.unchanged | {result.name: result for result in results}
    files = FileResults(found[file.name] for file in plan.files)
    elapsed = time.monotonic() - start.at
    result = RunResult(plan.names.key, job_id, pool_id, str(plan.output_folder), elapsed, files)
    publish(result)
    tell_failed_files(job_id, result.failures, len(files))
    return result
