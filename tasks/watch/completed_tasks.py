"""Which Batch tasks have completed, and how."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest, HttpResponse

from tasks.azure.azure_errors import redacted
from tasks.azure.clients import BATCH_API_VERSION
from tasks.spec.run_results import TaskResult
from tasks.spec.times import read_time

SELECT = "id,stateTransitionTime,executionInfo,nodeInfo"
PAGE_MAX = 1000


@dataclass(frozen=True)
class Seen:
    """What is known of a job's completed tasks."""

    ids: frozenset[str] = frozenset()
    latest: datetime | None = None
    """When the last of them became so."""


NOTHING_SEEN = Seen()


def list_completed(client: BatchClient, job_id: str, since: datetime | None) -> Iterator[TaskResult]:
    """The tasks of a job that are completed; with `since`, only those that became so from then on."""
    condition = "state eq 'completed'"
    if since is not None:
        condition += f" and stateTransitionTime ge DateTime'{since.isoformat().replace('+00:00', 'Z')}'"
    query = {
        "api-version": BATCH_API_VERSION,
        "maxresults": PAGE_MAX,
        "$filter": condition,
        "$select": SELECT,
    }
    for page in _list_pages(client, HttpRequest("GET", f"/jobs/{job_id}/tasks", params=query)):
        yield from map(_read_result, page)


def _list_pages(client: BatchClient, request: HttpRequest) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list as they are in JSON: a model of the client for each task would cost three times as
    much as all else here, and there may be 100,000 tasks."""
    while True:
        answer = client.send_request(request)
        if answer.status_code != 200:
            raise _read_error(answer)
        page = answer.json()
        yield page["value"]
        if not (link := page.get("odata.nextLink")):
            return
        request = HttpRequest("GET", link)


def _read_error(answer: HttpResponse) -> HttpResponseError:
    """The error that the client's own list would raise."""
    try:
        model = models.BatchError(answer.json())
    except ValueError:
        model = None
    kind = ResourceNotFoundError if answer.status_code == 404 else HttpResponseError
    return kind(response=answer, model=model)


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
