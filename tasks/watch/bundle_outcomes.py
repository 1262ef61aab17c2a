"""What has become of each file of a bundle, by the outcomes that its runner notes (`node/run_bundle.py`)."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from tasks.azure import blobs
from tasks.azure.azure_errors import redacted
from tasks.errors import NotFoundError
from tasks.outputs.delivered import has_output
from tasks.outputs.evidence import LogFolder
from tasks.sharding import in_threads
from tasks.spec.bundles import Bundle, outcomes_blob
from tasks.spec.file_results import TaskResult
from tasks.spec.work import WorkItem

# Of files that have no outcome of their own.
BUNDLE_ENDED = "BundleEnded"


def read_results(
    logs: LogFolder, bundles: Iterable[Bundle], completed: Iterable[TaskResult]
) -> list[TaskResult]:
    """What became of the files of bundles that have completed, as if each had a Batch task of its own."""
    by_id = {bundle.task_id: bundle for bundle in bundles}
    results = in_threads(lambda task: _read_results(logs, by_id[task.task_id], task), completed)
    return [result for of_bundle in results for result in of_bundle]


def _read_results(logs: LogFolder, bundle: Bundle, task: TaskResult) -> list[TaskResult]:
    found = {result.task_id: result for result in _read_outcomes(logs, bundle)}
    lost = [item for item in bundle.items if item.task_id not in found]
    return [*found.values(), *(_judge_lost(item, task, has_output(logs.outputs, item)) for item in lost)]


def read_results_so_far(logs: LogFolder, bundles: Iterable[Bundle]) -> list[TaskResult]:
    """What became of those files that are done of bundles that are not."""
    results = in_threads(lambda bundle: _read_outcomes(logs, bundle), bundles)
    return [result for of_bundle in results for result in of_bundle]


def _read_outcomes(logs: LogFolder, bundle: Bundle) -> list[TaskResult]:
    """The outcomes that a bundle has noted; none if it has not begun."""
    try:
        noted = blobs.read_blob(logs.container, outcomes_blob(logs.job_id, bundle.task_id))
    except NotFoundError:
        return []
    found = read_outcomes(noted)
    outcomes = [(item, found.get(item.task_id)) for item in bundle.items]
    return [result for item, one in outcomes if one is not None and (result := read_outcome(item, one))]


def read_outcomes(noted: bytes) -> dict[str, Any]:
    """Outcomes by the ids of their files. None can be read of what a program has written over them: it is no
    more to be trusted than all else that comes from a node."""
    try:
        found = json.loads(noted)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Outcome(BaseModel):
    """What became of a file, as `node/run_bundle.py` notes it."""

    exit_code: int | None
    node_id: str
    seconds: float | None = Field(ge=0, allow_inf_nan=False)
    tries: int = Field(ge=1)
    category: Literal["", "UserError", "ServerError"]
    code: str
    message: str
    ended_at: AwareDatetime


def read_outcome(item: WorkItem, outcome: Any) -> TaskResult | None:
    """One outcome; None for what a bundle's runner would not note."""
    try:
        noted = Outcome.model_validate(outcome)
    except ValidationError:
        return None
    return TaskResult(
        task_id=item.task_id,
        changed_at=noted.ended_at,
        exit_code=noted.exit_code,
        node_id=noted.node_id,
        seconds=noted.seconds,
        tries=noted.tries,
        category=noted.category,
        code=noted.code,
        message=redacted(noted.message),
    )


def _judge_lost(item: WorkItem, task: TaskResult, is_there: bool) -> TaskResult:
    """What became of a file that has no outcome, though its bundle has ended: it was not its turn, or what
    was noted last is lost. Then its output tells."""
    lost = replace(task, task_id=item.task_id, seconds=None)
    if is_there:
        return replace(lost, exit_code=0, category="", code="", message="")
    how = f"exit code {task.exit_code}" if task.exit_code is not None else "no exit code"
    said = f"; {task.message}" if task.message else ""
    return replace(
        lost,
        exit_code=None,
        category=task.category or "ServerError",
        code=BUNDLE_ENDED,
        message=f"the Batch task {task.task_id} of this and other files ended before, with {how}{said}",
    )
