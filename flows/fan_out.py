"""Run any command over any files on Azure Batch, one Batch task for each file."""

import os
import time
from collections.abc import Generator
from datetime import datetime, timezone
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import opaque
from pydantic import BeforeValidator, Field

from tasks.batch_tasks import WorkItem, add_tasks
from tasks.blocks import using_accounts
from tasks.cleanup import clean_up_after, cleaned_up
from tasks.collecting import Downloads
from tasks.containers import check_storage, create_containers
from tasks.errors import FilesFailedError, PermanentError
from tasks.events import tell_failed_files
from tasks.extra_files import upload_extra_files
from tasks.images import choose_image
from tasks.jobs import Job, close_job, create_job, seconds_left
from tasks.labels import label_flow_run
from tasks.plans import Plan, plan_run, task_plan, work_items
from tasks.pools import Pool, create_pool
from tasks.specs import DEFAULT_CLEANUP, DEFAULT_POOL, BlockName, Cleanup, PoolSpec
from tasks.summary import FileResult, RunResult, describe_failures, publish
from tasks.task_specs import DEFAULT_TASK, TaskSpec
from tasks.uploads import upload_application, upload_inputs
from tasks.waiting import wait_for_tasks


def as_text(value: object) -> object:
    """Paths as Prefect's form sends them, so that a `Path` does as well."""
    if isinstance(value, list | tuple):
        return [as_text(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Text = Annotated[str, BeforeValidator(as_text)]
Texts = Annotated[str | list[str], BeforeValidator(as_text)]
Seconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600)]
RunKey = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=50)]

Shards = Generator[list[FileResult], None, RunResult]

AS_A_RUN = {
    "task_runner": ThreadPoolTaskRunner(max_workers=8),
    "on_cancellation": [clean_up_after],
    "on_crashed": [clean_up_after],
}


@flow(name="fan-out", **AS_A_RUN)
def fan_out(
    inputs: Texts,
    application: Text | None,
    command: str,
    output_dir: Text = "output",
    pool: PoolSpec = DEFAULT_POOL,
    cleanup: Cleanup = DEFAULT_CLEANUP,
    timeout_seconds: Seconds = 1200,
    output_name: str = "{stem}_OUTPUT{suffix}",
    max_task_retry_count: Annotated[int, Field(ge=0, le=100)] = 0,
    run_key: RunKey | None = None,
    accounts: BlockName | None = None,
    task: TaskSpec = DEFAULT_TASK,
) -> RunResult:
    """Run a command over files on Azure Batch, and fetch what it writes.

    Args:
        inputs: A folder (with its sub-folders), a glob, or a list of those. Each file is one Batch task.
        application: A program to bring to the nodes, which the command calls {application}. Empty: none.
        command: What to run for each file. {input} and {output} are its files on the node, {name} is the
            input's name, {application} the program. It runs under no shell; without {output}, what it prints
            is the output.
        output_dir: The local folder for the outputs; sub-folders of the inputs are kept.
        pool: The machines.
        cleanup: What is deleted at the end, and when.
        timeout_seconds: How long the Batch tasks may take together, the start of the nodes included.
        output_name: What an output is called, from the input's {stem}, {suffix} and {name}.
        max_task_retry_count: How often Batch repeats a task whose program fails.
        run_key: Names the run's resources. With the key of an earlier run, this one goes on where that one
            stopped. Empty: the flow run's id.
        accounts: The name of the Prefect blocks of the Batch and the storage account. Empty: the accounts of
            the environment.
        task: The container, environment, user and further files of each Batch task.
    """
    return run(
        plan_run(
            run_key=run_key or flow_run.id,
            inputs=inputs,
            application=application,
            command=command,
            output_dir=output_dir,
            output_name=output_name,
            pool=pool,
            cleanup=cleanup,
            timeout_seconds=timeout_seconds,
            max_task_retry_count=max_task_retry_count,
            accounts=accounts,
            task=task,
        )
    )


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


def go_through(plan: Plan) -> Shards:
    """The steps of a run."""
    began = time.monotonic()
    names = plan.names
    label_flow_run(plan.files)
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
        return (yield from collect_outputs(plan, pool, job, items, began))


def collect_outputs(plan: Plan, pool: Pool, job: Job, items: list[WorkItem], began: float) -> Shards:
    """Wait for the Batch tasks, fetching outputs as they come, and tell what became of each file.

    What is there is fetched and told also when the wait ends badly; then its error is raised, else
    FilesFailedError if there are files without an output.
    """
    downloads = Downloads(
        job.id, plan.names.output_container, plan.output_folder, {item.task_id: item for item in items}
    )
    deadline = time.monotonic() + seconds_left(job, plan.timeout_seconds, datetime.now(timezone.utc))
    stopped = None
    try:
        for _ in wait_for_tasks(job, pool, opaque(frozenset(downloads.items)), deadline, downloads.begin):
            if shard := downloads.take():
                yield shard
    except PermanentError as error:
        stopped = error
    if shard := downloads.finish():
        yield shard
    files, elapsed = downloads.file_results(), time.monotonic() - began
    result = RunResult(plan.names.key, job.id, pool.id, str(plan.output_folder), elapsed, files)
    publish(result)
    tell_failed_files(job.id, result.failures, len(files))
    if stopped is None and result.failures:
        stopped = FilesFailedError(describe_failures(result.failures, len(files)))
    if stopped is not None:
        stopped.result = result
        raise stopped
    return result


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(fan_out))
