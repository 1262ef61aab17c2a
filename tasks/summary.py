"""What a run tells at its end: in the log, as Prefect artifacts, and to the flow that called it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from prefect.artifacts import create_markdown_artifact

from tasks import listeners
from tasks.logs import run_logger
from tasks.picture import publish_picture
from tasks.portal import portal_links
from tasks.results import TaskResult
from tasks.settings import current_accounts
from tasks.tables import FILES_KEY, publish_files

SUMMARY_KEY = "fan-out-summary"
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

    unchanged: bool = False
    """Whether the output is that of an earlier run, which still holds, so that no Batch task ran."""

    @property
    def state(self) -> Literal["succeeded", "failed", "unchanged"]:
        if self.problem:
            return "failed"
        return "unchanged" if self.unchanged else "succeeded"

    @property
    def exit_code(self) -> int | None:
        """None if the program never ran to its end."""
        return self.task and self.task.exit_code


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
    """Empty, like `pool_id`, if all outputs of an earlier run still held and nothing had to be made."""

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

    @property
    def unchanged(self) -> list[FileResult]:
        return [file for file in self.files if file.unchanged]

    @property
    def tally(self) -> str:
        """How many files came to which end, in words."""
        failed, unchanged = len(self.failures), len(self.unchanged)
        ran = f"{len(self.files) - failed - unchanged:,} succeeded, {failed:,} failed"
        return f"{ran}, {unchanged:,} unchanged" if unchanged else ran


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
    markdown = summary_markdown(result, portal_links(current_accounts(), result.run_key))
    create_markdown_artifact(markdown, key=SUMMARY_KEY, description="What became of the run")
    publish_files(result)
    publish_picture(result)


def summary_lines(result: RunResult) -> list[str]:
    elapsed = timedelta(seconds=round(result.elapsed_seconds))
    made = [f"Job: {result.job_id}", f"Pool: {result.pool_id}"] if result.job_id else []
    return [
        f"Files: {len(result.files)}, {result.tally}",
        f"Outputs: {len(result.outputs)} in {result.output_dir}",
        *made,
        f"Elapsed time: {elapsed}",
    ]


def summary_markdown(result: RunResult, links: Sequence[str] = ()) -> str:
    """The summary as Markdown, with links to what the run has made."""
    lines = ["# Summary", "", *(f"- {line}" for line in summary_lines(result))]
    lines += [f"- In the portal: {link}" for link in links]
    if result.failures:
        message = describe_failures(result.failures, len(result.files))
        lines += ["", "## Failed files", "", *(f"    {line}" for line in message.splitlines())]
    return "\n".join(lines)
