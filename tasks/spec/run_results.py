"""What a run comes to: how each Batch task ended, what became of each file, and of the whole."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from tasks.spec.naming import LOGS_FOLDER
from tasks.spec.spent import Spent

# The service's code for a program that ended with another exit code than 0, which says nothing more.
PLAIN_FAILURE = "FailureExitCode"
# Of one that did not end by itself: somebody, a limit or the end of its job has ended it.
ENDED = "TaskEnded"
# Of files whose run ended before their Batch tasks did, or before their outputs were there.
NOT_COMPLETED = "its Batch task did not complete"
NOT_FETCHED = "its Batch task succeeded, its output was not fetched"
SELDOM = ("unfinished", "unchanged", "skipped")


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a Batch task ended."""

    task_id: str
    changed_at: datetime
    """When it became completed, by the service's clock."""

    exit_code: int | None = None
    """None if its program never ran to its end."""

    node_id: str = ""
    seconds: float | None = None
    tries: int = 1
    category: str = ""
    """`UserError` or `ServerError` of a task that failed; "" of one that succeeded."""

    code: str = ""
    message: str = ""

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0 and not self.category


@dataclass(frozen=True, slots=True)
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

    skipped: bool = False
    """Whether something else lay where the output would be, which was left as it is, so that no Batch task
    ran."""

    @property
    def state(self) -> Literal["succeeded", "failed", "unfinished", "unchanged", "skipped"]:
        if self.problem:
            return "unfinished" if self.problem in (NOT_COMPLETED, NOT_FETCHED) else "failed"
        if self.skipped:
            return "skipped"
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
    command: str = ""
    nodes: str = ""
    """The machines that were asked for, in words."""

    spent: Spent | None = None
    """How long the nodes lived in this run, and what that cost if prices were given; None if it had none."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    uploaded_at: tuple[datetime, datetime] | None = None
    """When the uploads of inputs began and ended; None if there was nothing to run."""

    ended_early: str = ""
    """Why the run ended before all its Batch tasks had; "" if it did not."""

    set_aside: tuple[str, ...] = ()
    """The names of outputs of earlier runs that were moved away, as their files have failed now."""

    bundles: int = 0
    """How many Batch tasks its files shared; 0 if each had one of its own."""

    @property
    def logs_dir(self) -> str:
        """The folder in which the logs of failed files are."""
        return f"{self.output_dir}/{LOGS_FOLDER}/{self.run_key}"

    @property
    def outputs(self) -> dict[str, str]:
        return {file.name: file.output_path for file in self.files if file.output_path is not None}

    @property
    def failures(self) -> list[FileResult]:
        """All that have no output: those that failed, and those that are unfinished."""
        return [file for file in self.files if file.problem]

    @property
    def unchanged(self) -> list[FileResult]:
        return [file for file in self.files if file.unchanged]

    @cached_property
    def counts(self) -> Counter[str]:
        """How many files came to which end."""
        return Counter(file.state for file in self.files)

    @property
    def tally(self) -> str:
        """The same in words."""
        counts = self.counts
        always = [f"{counts[state]:,} {state}" for state in ("succeeded", "failed")]
        return ", ".join(always + [f"{counts[state]:,} {state}" for state in SELDOM if counts[state]])


def describe_problem(task: TaskResult | None, has_output: bool) -> str:
    """Why a file has no output, in words; "" if it has one."""
    if task is None:
        # An earlier attempt may have made it, whose Batch task is gone.
        return "" if has_output else NOT_COMPLETED
    if not task.succeeded:
        exit_code = f"exit code {task.exit_code}"
        if task.exit_code is None:
            was_ended = task.code == ENDED and task.seconds is not None
            exit_code = "did not run to its end" if was_ended else "did not run"
        said = [task.category] if task.code == PLAIN_FAILURE else [task.category, task.code, task.message]
        service = ": ".join(part for part in said if part)
        return f"{exit_code} ({service})" if service else exit_code
    return "" if has_output else "exit code 0, but the program wrote no output, or somebody has deleted it"
