"""Which Batch tasks have completed, and how."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from azure.batch import BatchClient, models

from tasks.azure.azure_errors import redacted
from tasks.spec.run_results import TaskResult
from tasks.spec.times import read_time

SELECT = ["id", "state", "stateTransitionTime", "executionInfo", "nodeInfo"]
PAGE_MAX = 1000


def list_completed(client: BatchClient, job_id: str, since: datetime | None) -> Iterator[TaskResult]:
    """The tasks of a job that are completed; with `since`, only those that became so from then on."""
    condition = "state eq 'completed'"
    if since is not None:
        condition += f" and stateTransitionTime ge DateTime'{since.isoformat().replace('+00:00', 'Z')}'"
    listed = client.list_tasks(job_id, filter=condition, select=SELECT, max_results=PAGE_MAX)
    return (_read_result(found) for found in listed)


def _read_result(found: models.BatchTask) -> TaskResult:
    """How a task ended.

    Its properties are read by their names in REST: by those in Python each costs as much as all of this, and
    there may be 100,000 tasks.
    """
    ran: Mapping[str, Any] = found.get("executionInfo") or {}
    failure = found.execution_info.failure_info if found.execution_info and "failureInfo" in ran else None
    return TaskResult(
        task_id=found["id"],
        changed_at=read_time(found["stateTransitionTime"]),
        exit_code=ran.get("exitCode"),
        node_id=(found.get("nodeInfo") or {}).get("nodeId") or "",
        seconds=_measure_seconds(ran),
        tries=1 + (ran.get("retryCount") or 0),
        category=str(getattr(failure.category, "value", failure.category)) if failure else "",
        code=(failure.code if failure else None) or "",
        message=_failure_message(failure) if failure else "",
    )


def _measure_seconds(ran: Mapping[str, Any]) -> float | None:
    """How long the program ran; None if it has no start, or no end."""
    start, end = ran.get("startTime"), ran.get("endTime")
    return (read_time(end) - read_time(start)).total_seconds() if start and end else None


def _failure_message(failure: models.BatchTaskFailureInfo) -> str:
    """The service's message, with its details where they say more."""
    said = {failure.message or ""}
    details = [detail for detail in failure.details or [] if detail.value not in said]
    return redacted("; ".join([failure.message or "", *(f"{item.name}: {item.value}" for item in details)]))
