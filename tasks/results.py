"""What became of the Batch tasks, and the end of what they printed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from azure.batch import BatchClient, models
from azure.core.exceptions import AzureError, ResourceNotFoundError

from tasks.azure_errors import redacted
from tasks.batch_tasks import log_blob
from tasks.clients import batch_client, blob_service
from tasks.errors import FanOutError

SELECT = ["id", "state", "stateTransitionTime", "executionInfo", "nodeInfo"]
PAGE_MAX = 1000
TAIL_BYTES = 2000


@dataclass(frozen=True)
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


def list_completed(client: BatchClient, job_id: str, since: datetime | None) -> Iterator[TaskResult]:
    """The tasks of a job that are completed; with `since`, only those that became so from then on."""
    condition = "state eq 'completed'"
    if since is not None:
        condition += f" and stateTransitionTime ge DateTime'{since.isoformat().replace('+00:00', 'Z')}'"
    listed = client.list_tasks(job_id, filter=condition, select=SELECT, max_results=PAGE_MAX)
    return (result_of(found) for found in listed)


def result_of(found: models.BatchTask) -> TaskResult:
    ran = found.execution_info
    failure = ran and ran.failure_info
    ended = ran and ran.start_time and ran.end_time
    return TaskResult(
        task_id=found.id,
        changed_at=found.state_transition_time,
        exit_code=ran and ran.exit_code,
        node_id=(found.node_info and found.node_info.node_id) or "",
        seconds=(ran.end_time - ran.start_time).total_seconds() if ended else None,
        tries=1 + ((ran and ran.retry_count) or 0),
        category=str(getattr(failure.category, "value", failure.category)) if failure else "",
        code=(failure and failure.code) or "",
        message=failure_message(failure) if failure else "",
    )


def failure_message(failure: models.BatchTaskFailureInfo) -> str:
    """The service's message, with its details where they say more."""
    said = {failure.message or ""}
    details = [detail for detail in failure.details or [] if detail.value not in said]
    return redacted("; ".join([failure.message or "", *(f"{item.name}: {item.value}" for item in details)]))


def stderr_of_task(job_id: str, task_id: str, output_container: str) -> str:
    """The end of a failed task's standard error, from its node or, if that is gone, from storage."""
    try:
        with batch_client("Reading stderr.txt") as client:
            return tail(
                lambda: client.get_task_file_properties(job_id, task_id, "stderr.txt").content_length,
                lambda part: client.download_task_file(job_id, task_id, "stderr.txt", ocp_range=part),
            )
    except FanOutError:
        return stored_stderr(output_container, task_id)


def stored_stderr(output_container: str, task_id: str) -> str:
    try:
        with blob_service("Reading stderr.txt") as service:
            blob = service.get_blob_client(output_container, log_blob(task_id, "stderr.txt"))
            size = blob.get_blob_properties().size
            offset = max(0, size - TAIL_BYTES)
            return readable(blob.download_blob(offset, TAIL_BYTES).readall() if size else b"")
    except FanOutError:
        return ""


def stderr_of_start_task(client: BatchClient, pool_id: str, node_id: str) -> str:
    """The end of a start task's standard error; "" if the node doesn't give it."""
    path = "startup/stderr.txt"
    try:
        return tail(
            lambda: client.get_node_file_properties(pool_id, node_id, path).content_length,
            lambda part: client.download_node_file(pool_id, node_id, path, ocp_range=part),
        )
    except (AzureError, ResourceNotFoundError):
        return ""


def tail(size_of: Callable[[], int], read: Callable[[str], Iterator[bytes]]) -> str:
    """The last 2000 bytes of a file that is read by ranges, as text."""
    size = size_of()
    if not size:
        return ""
    return readable(b"".join(read(f"bytes={max(0, size - TAIL_BYTES)}-{size - 1}")))


def readable(content: bytes) -> str:
    return redacted(content.decode(errors="replace").strip())
