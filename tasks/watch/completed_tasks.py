"""Which Batch tasks have completed, and how."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from azure.batch import BatchClient

from tasks.azure.azure_errors import redacted
from tasks.azure.plain_batch import Pages
from tasks.spec.file_results import TaskResult
from tasks.spec.times import read_time

SELECT = "id,stateTransitionTime,executionInfo,nodeInfo"


@dataclass(frozen=True)
class Seen:
    """What is known of a job's completed tasks."""

    numbers: bytes | bytearray = b""
    """Of the work of each number, as far as there is any, 1 if its task has completed, else 0."""

    latest: datetime | None = None
    """When the last of them became so."""


NOTHING_SEEN = Seen()


class CompletedTasks:
    """The tasks of a job that are completed, a page at a time, in no order of time; with `since`, only those
    that became so from then on."""

    def __init__(self, job_id: str, since: datetime | None):
        condition = "state eq 'completed'"
        if since is not None:
            condition += f" and stateTransitionTime ge DateTime'{since.isoformat().replace('+00:00', 'Z')}'"
        self._pages = Pages(f"/jobs/{job_id}/tasks", {"$filter": condition, "$select": SELECT})

    @property
    def is_read(self) -> bool:
        return self._pages.is_read

    def read(self, client: BatchClient) -> Iterator[list[TaskResult]]:
        """Those that were not read before."""
        return ([*map(_read_result, page)] for page in self._pages.read(client))


def list_completed(client: BatchClient, job_id: str, since: datetime | None) -> Iterator[list[TaskResult]]:
    """The same at once."""
    return CompletedTasks(job_id, since).read(client)


def _read_result(found: Mapping[str, Any]) -> TaskResult:
    """How a task ended."""
    ran: Mapping[str, Any] = found.get("executionInfo") or {}
    failure: Mapping[str, Any] = ran.get("failureInfo") or {}
    return TaskResult(
        task_id=found["id"],
        changed_at=read_time(found["stateTransitionTime"]),
        exit_code=ran.get("exitCode"),
        # Few nodes, many tasks.
        node_id=intern((found.get("nodeInfo") or {}).get("nodeId") or ""),
        seconds=_measure_seconds(ran),
        tries=1 + (ran.get("retryCount") or 0),
        category=failure.get("category") or "",
        code=failure.get("code") or "",
        message=_failure_message(failure),
    )


def _measure_seconds(ran: Mapping[str, Any]) -> float | None:
    """How long the program ran; None if it has no start, or no end."""
    start, end = ran.get("startTime"), ran.get("endTime")
    return (read_time(end) - read_time(start)).total_seconds() if start and end else None


def _failure_message(failure: Mapping[str, Any]) -> str:
    """The service's message, with its details where they say more."""
    message = failure.get("message") or ""
    pairs = [(detail.get("name"), detail.get("value")) for detail in failure.get("details") or []]
    details = [f"{name}: {value}" for name, value in pairs if value not in (message, None)]
    return redacted("; ".join([message, *details]))
