"""What the end of a task means for the tasks that depend on it, and for its job: `exitConditions`.

Source: REST documentation of Add Task, `exitConditions` and `exitOptions`.
"""

from __future__ import annotations

from batch_emulator.resources.model import Task, Wire


def dependency_action(task: Task) -> str:
    """`satisfy` lets tasks that depend on this one run, `block` does not."""
    default = "satisfy" if task.result == "success" else "block"
    return _matching_options(task).get("dependencyAction", default)


def job_action(task: Task) -> str:
    """`none`, `disable` or `terminate`."""
    default = "none" if task.result == "success" else "terminate"
    return _matching_options(task).get("jobAction", default)


def _matching_options(task: Task) -> Wire:
    """Those of the exit code, if it is listed; else those of what failed; else the default of a failure."""
    conditions = task.spec.get("exitConditions")
    if not conditions:
        return {}
    listed = None if task.exit_code is None else _options_of_code(conditions, task.exit_code)
    if listed is not None:
        return listed
    kind = {"start": "preProcessingError", "upload": "fileUploadError"}.get(task.failed_at)
    default = conditions.get("default", {}) if task.result == "failure" else {}
    return conditions.get(kind, default)


def _options_of_code(conditions: Wire, code: int) -> Wire | None:
    for each in conditions.get("exitCodes", []):
        if each["code"] == code:
            return each["exitOptions"]
    for each in conditions.get("exitCodeRanges", []):
        if each["start"] <= code <= each["end"]:
            return each["exitOptions"]
    return None
