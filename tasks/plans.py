"""A run as it is to be, checked as far as that goes without an account."""

from dataclasses import dataclass
from pathlib import Path

from tasks.batch_tasks import TaskPlan, WorkItem
from tasks.downloads import prepare_output_folder
from tasks.errors import InputError
from tasks.extra_files import ExtraFile, find_extra_files
from tasks.pools import is_shared_by_start_task
from tasks.spec.command_line import NodeCommand, build_command
from tasks.spec.inputs import InputFile, find_inputs, why_no_blob_name
from tasks.spec.naming import RunNames, names_of_run, task_id_of
from tasks.spec.specs import Cleanup, PoolSpec
from tasks.spec.task_specs import DEFAULT_TASK, TaskSpec, pool_for, uses_identity


@dataclass(frozen=True)
class Plan:
    """All that a run needs to know beforehand."""

    names: RunNames
    files: list[InputFile]
    application: Path | None
    command: NodeCommand
    output_folder: Path
    pool: PoolSpec
    cleanup: Cleanup
    timeout_seconds: float
    max_task_retry_count: int
    accounts: str | None = None
    """The name of the blocks of the accounts; None: those of the environment."""

    task: TaskSpec = DEFAULT_TASK
    extra_files: tuple[ExtraFile, ...] = ()
    """The local files that each Batch task gets besides its input."""

    refresh: bool = False
    """Whether files are run whose outputs of an earlier run still hold."""

    stream_output: str | None = None
    """The name of the input whose program's lines go into the log."""

    @property
    def shared_application(self) -> str | None:
        """The application's name if the start task brings it to the nodes."""
        return self.application.name if self.application and self.is_shared else None

    @property
    def is_shared(self) -> bool:
        return is_shared_by_start_task(self.pool, self.cleanup)


def plan_run(
    run_key: str,
    inputs: str | list[str],
    application: str | None,
    command: str,
    output_dir: str,
    output_name: str,
    pool: PoolSpec,
    cleanup: Cleanup,
    timeout_seconds: float,
    max_task_retry_count: int = 0,
    accounts: str | None = None,
    task: TaskSpec = DEFAULT_TASK,
    refresh: bool = False,
    stream_output: str | None = None,
) -> Plan:
    """The plan of a run. Raises InputError for whatever is wrong with it, before anything is created."""
    refuse_identity(task, pool)
    program = None if application is None else find_application(application)
    is_shared = is_shared_by_start_task(pool, cleanup)
    files = find_inputs(inputs, output_name)
    check_stream(stream_output, files)
    return Plan(
        names=names_of_run(run_key, pool.pool_id),
        files=files,
        application=program,
        command=build_command(command, program and program.name, is_shared),
        output_folder=prepare_output_folder(output_dir),
        pool=pool_for(task, pool),
        cleanup=cleanup,
        timeout_seconds=timeout_seconds,
        max_task_retry_count=max_task_retry_count,
        accounts=accounts,
        task=task,
        extra_files=tuple(find_extra_files(task.files)),
        refresh=refresh,
        stream_output=stream_output,
    )


def check_stream(name: str | None, files: list[InputFile]) -> None:
    """Raise InputError for a name that no input has."""
    if name is not None and name not in {file.name for file in files}:
        raise InputError(
            f"stream_output: none of the {len(files)} inputs is named {name!r}; the first is "
            f"{files[0].name!r}."
        )


def refuse_identity(task: TaskSpec, pool: PoolSpec) -> None:
    """Raise InputError for a managed identity on a pool of the run's own."""
    if uses_identity(task, pool) and pool.pool_id is None:
        raise InputError(
            "A pool that a run makes has no managed identity: only Azure Resource Manager gives one to a "
            "pool. Make the pool there, and give its pool_id."
        )


def find_application(application: str) -> Path:
    path = Path(application).expanduser()
    if not path.is_file():
        raise InputError(f"There is no application {application} (looked from {Path.cwd()}).")
    reason = why_no_blob_name(path.name)
    if reason:
        raise InputError(f"The application's name {path.name!r} {reason}.")
    return path


def work_items(plan: Plan, digests: list[str]) -> list[WorkItem]:
    """What is to be done for each file, once the MD5s of the uploaded contents are known."""
    return [
        WorkItem(file.name, file.output_name, task_id_of(file.name, digest), file.size_bytes, digest)
        for file, digest in zip(plan.files, digests, strict=True)
    ]


def task_plan(plan: Plan) -> TaskPlan:
    copied = plan.application.name if plan.application and not plan.is_shared else None
    return TaskPlan(
        names=plan.names,
        command=plan.command,
        application=copied,
        max_task_retry_count=plan.max_task_retry_count,
        timeout_seconds=plan.timeout_seconds,
        task=plan.task,
        files=plan.extra_files,
    )
