"""Which Batch tasks have completed, and how."""

from collections.abc import Iterator
from datetime import datetime

from azure.batch import BatchClient, models

from tasks.azure.azure_errors import redacted
from tasks.spec.run_results import TaskResult

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
    ran = found.execution_info
    failure = ran.failure_info if ran else None
    return TaskResult(
        task_id=found.id,
        changed_at=found.state_transition_time,
        exit_code=ran.exit_code if ran else None,
        node_id=(found.node_info.node_id if found.node_info else None) or "",
        seconds=_measure_seconds(ran) if ran else None,
        tries=1 + ((ran.retry_count if ran else None) or 0),
        category=str(getattr(failure.category, "value", failure.category)) if failure else "",
        code=(failure.code if failure else None) or "",
        message=_failure_message(failure) if failure else "",
    )


def _measure_seconds(ran: models.BatchTaskExecutionInfo) -> float | None:
    """How long the program ran; None if it has no start, or no end."""
    if ran.start_time is None or ran.end_time is None:
        return None
    return (ran.end_time - ran.start_time).total_seconds()


def _failure_message(failure: models.BatchTaskFailureInfo) -> str:
    """The service's message, with its details where they say more."""
    said = {failure.message or ""}
    details = [detail for detail in failure.details or [] if detail.value not in said]
    return redacted("; ".join([failure.message or "", *(f"{item.name}: {item.value}" for item in details)]))
