"""How each Batch task ended, and what became of each file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# The service's code for a program that ended with another exit code than 0, which says nothing more.
PLAIN_FAILURE = "FailureExitCode"
# Of one that did not end by itself: somebody, a limit or the end of its job has ended it.
ENDED = "TaskEnded"
# Of files whose run ended before their Batch tasks did, or before their outputs were there.
NOT_COMPLETED = "its Batch task did not complete"
NOT_FETCHED = "its Batch task succeeded, its output was not fetched"


State = Literal["succeeded", "failed", "unfinished", "unchanged", "skipped"]


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
    def state(self) -> State:
        return find_state(self.problem, self.unchanged, self.skipped)

    @property
    def exit_code(self) -> int | None:
        """None if the program never ran to its end."""
        return self.task and self.task.exit_code


def find_state(problem: str, unchanged: bool, skipped: bool) -> State:
    """What a file came to."""
    if problem:
        return "unfinished" if problem in (NOT_COMPLETED, NOT_FETCHED) else "failed"
    if skipped:
        return "skipped"
    return "unchanged" if unchanged else "succeeded"


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
