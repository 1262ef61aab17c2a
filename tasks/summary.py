"""What a run tells at its end: in the log, as Prefect artifacts, and to the flow that called it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from tasks import listeners
from tasks.logs import run_logger
from tasks.picture import publish_picture
from tasks.results import TaskResult

SUMMARY_KEY = "fan-out-summary"
FILES_KEY = "fan-out-files"
# A table beyond this is no longer readable in Prefect's UI; failures and the slowest files come first.
ROWS_MAX = 500
FAILURES_IN_MESSAGE = 10
# The service's code for a program that ended with another exit code than 0, which says nothing more.
PLAIN_FAILURE = "FailureExitCode"


@dataclass(frozen=True)
class FileResult:
    """What became of one input: its Batch task's result, and where its output is, or why there is none."""

    name: str
    task: TaskResult | None
    output_path: str | None = None
    problem: str = ""
    """"" for a file that has its output."""

    stderr: str = ""
    """The end of what a failed task printed."""


class FileResults(Sequence[FileResult]):
    """A tuple of results, but one that Prefect doesn't walk through.

    It looks for futures in all lists and dataclasses that a flow returns: 12 seconds for 100,000 files.
    """

    def __init__(self, results: Iterable[FileResult] = ()):
        self._results = tuple(results)

    def __getitem__(self, index):
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)


@dataclass(frozen=True)
class RunResult:
    """A whole run: `outputs` says for each input that succeeded where its output is."""

    run_key: str
    job_id: str
    pool_id: str
    output_dir: str
    elapsed_seconds: float
    files: FileResults = field(repr=False)

    @property
    def outputs(self) -> dict[str, str]:
        return {file.name: file.output_path for file in self.files if file.output_path is not None}

    @property
    def failures(self) -> list[FileResult]:
        return [file for file in self.files if file.problem]


def problem_of(task: TaskResult | None, has_output: bool) -> str:
    """Why a file has no output, in words; "" if it has one."""
    if task is None:
        return "its Batch task did not complete"
    if not task.succeeded:
        exit_code = "did not run" if task.exit_code is None else f"exit code {task.exit_code}"
        said = [task.category] if task.code == PLAIN_FAILURE else [task.category, task.code, task.message]
        service = ": ".join(part for part in said if part)
        return f"{exit_code} ({service})" if service else exit_code
    return "" if has_output else "exit code 0, but the program wrote no output"


def describe_failures(failures: list[FileResult], total: int) -> str:
    """A message with the name, the reason and the end of the standard error of the first failures."""
    lines = [f"{len(failures)} of {total} files failed; the outputs of the others are there."]
    for file in failures[:FAILURES_IN_MESSAGE]:
        lines.append(f"{file.name}: {file.problem}")
        lines += [f"    {line}" for line in file.stderr.splitlines()]
    if len(failures) > FAILURES_IN_MESSAGE:
        lines.append(f"... and {len(failures) - FAILURES_IN_MESSAGE} more, in the artifact {FILES_KEY}")
    return "\n".join(lines)


def publish(result: RunResult) -> None:
    """Write the summary to the log and to Prefect's artifacts, and tell who listens."""
    listeners.tell(result)
    for line in summary_lines(result):
        run_logger().info("%s", line)
    create_markdown_artifact(summary_markdown(result), key=SUMMARY_KEY, description="What became of the run")
    create_table_artifact(file_rows(result.files), key=FILES_KEY, description=table_note(result))
    publish_picture(result)


def summary_lines(result: RunResult) -> list[str]:
    succeeded, failed = len(result.files) - len(result.failures), len(result.failures)
    elapsed = timedelta(seconds=round(result.elapsed_seconds))
    return [
        f"Files: {len(result.files)}, {succeeded} succeeded, {failed} failed",
        f"Outputs: {len(result.outputs)} in {result.output_dir}",
        f"Job: {result.job_id}",
        f"Pool: {result.pool_id}",
        f"Elapsed time: {elapsed}",
    ]


def summary_markdown(result: RunResult) -> str:
    lines = ["# Summary", "", *(f"- {line}" for line in summary_lines(result))]
    if result.failures:
        message = describe_failures(result.failures, len(result.files))
        lines += ["", "## Failed files", "", *(f"    {line}" for line in message.splitlines())]
    return "\n".join(lines)


def table_note(result: RunResult) -> str:
    if len(result.files) <= ROWS_MAX:
        return "Files of the run"
    return f"{ROWS_MAX} of {len(result.files)} files: those that failed, then the slowest"


def file_rows(files: Iterable[FileResult]) -> list[dict[str, str | int | float | None]]:
    """A row for each file, failures first, then the slowest; no more than the UI can show."""
    files = list(files)
    if len(files) > ROWS_MAX:
        files.sort(key=lambda file: (not file.problem, -((file.task and file.task.seconds) or 0)))
    else:
        files.sort(key=lambda file: (not file.problem, file.name))
    return [file_row(file) for file in files[:ROWS_MAX]]


def file_row(file: FileResult) -> dict[str, str | int | float | None]:
    task = file.task
    # The widest come last: the UI shows the first ones, the others one has to scroll for.
    return {
        "file": file.name,
        "state": "failed" if file.problem else "succeeded",
        "exit code": task and task.exit_code,
        "tries": task and task.tries,
        "seconds": task and task.seconds and round(task.seconds, 2),
        "problem": file.problem,
        "output": file.output_path or "",
        "node": task and task.node_id,
    }
