"""What the end of a task means for the tasks that depend on it, and for its job: `exitConditions`.

An exit condition is how a task ended by itself: its exit code, an error before it started, or one of
uploading its files; `default` stands for those of them that are not listed. A task that was ended by request
has met none: nothing happens to its job, and what depends on it stays blocked.

Source: REST documentation of Add Task, `exitConditions` and `exitOptions`; Microsoft's live tests terminate a
task of a job with `performexitoptionsjobaction` and go on with that job.
"""

from __future__ import annotations

from batch_emulator.resources.model import Task, Wire
from batch_emulator.scheduler.taskends import TASK_ENDED


def dependency_action(task: Task) -> str:
    """`satisfy` lets tasks that depend on this one run, `block` does not."""
    default = "satisfy" if task.result == "success" else "block"
    return _matching_options(task).get("dependencyAction", default)


def job_action(task: Task) -> str:
    """`none`, `disable` or `terminate`."""
    default = "none" if task.result == "success" or _was_ended(task) else "terminate"
    return _matching_options(task).get("jobAction", default)


def _was_ended(task: Task) -> bool:
    """Whether a request ended the task: a client's to terminate it, its job, or what ran on its node."""
    return task.exit_code is None and task.failure == TASK_ENDED


def _matching_options(task: Task) -> Wire:
    """Those of the exit code, if it is listed; else those of what failed; else the default of a failure."""
    conditions = task.spec.get("exitConditions")
    if not conditions or _was_ended(task):
        return {}
    listed = None if task.exit_code is None else _options_of_code(conditions, task.exit_code)
    if listed is not None:
        return listed
    default = conditions.get("default", {}) if task.result == "failure" else {}
    return conditions.get(_CONDITIONS[task.failed_at], default) if task.failed_at else default


_CONDITIONS = {"start": "preProcessingError", "upload": "fileUploadError"}


def _options_of_code(conditions: Wire, code: int) -> Wire | None:
    for each in conditions.get("exitCodes", []):
        if each["code"] == code:
            return each["exitOptions"]
    for each in conditions.get("exitCodeRanges", []):
        if each["start"] <= code <= each["end"]:
            return each["exitOptions"]
    return None
