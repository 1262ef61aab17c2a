"""Requests to Azure Batch whose bodies and answers are JSON as it is.

The client sends them, with its signatures and retries. Of what there is one of for each file a model of the
client would cost several times as much as all else that is done with it, and there may be 100,000 tasks;
nor is one made of each node at each look at a pool. Of what goes on for minutes
the client's `begin_*` starts a thread that asks for its end, though nobody waits.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import formatdate
from typing import Any

import orjson
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.rest import HttpRequest, HttpResponse

API_VERSION = "2025-06-01"
PAGE_MAX = 1000
CONTENT_TYPE = "application/json; odata=minimalmetadata"
TAKEN = (200, 202)
# What the client's own operations raise.
KINDS = {404: ResourceNotFoundError, 409: ResourceExistsError}


class Pages:
    """The pages of a list, which may be read in several parts."""

    def __init__(self, path: str, query: Mapping[str, Any]):
        asked = {"api-version": API_VERSION, "maxresults": PAGE_MAX, **query}
        self._request = HttpRequest("GET", path, params=asked)
        self.is_read = False
        """Whether there are no more."""

    def read(self, client: BatchClient) -> Iterator[list[dict[str, Any]]]:
        """Those that were not read before; the reader may leave them at any, and go on later."""
        while not self.is_read:
            page = _send(client, self._request)
            if link := page.get("odata.nextLink"):
                self._request = HttpRequest("GET", link)
            else:
                self.is_read = True
            yield page["value"]


def post(client: BatchClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send a body; the answer's, which is empty if the service only takes note."""
    content = orjson.dumps(body)
    headers, query = {"Content-Type": CONTENT_TYPE}, {"api-version": API_VERSION}
    return _send(client, HttpRequest("POST", path, params=query, headers=headers, content=content))


def delete(client: BatchClient, path: str, unmodified_since: datetime | None = None) -> None:
    """Ask for a deletion, if the thing was not changed since that time."""
    headers = {}
    if unmodified_since:
        headers["If-Unmodified-Since"] = formatdate(unmodified_since.timestamp(), usegmt=True)
    _send(client, HttpRequest("DELETE", path, params={"api-version": API_VERSION}, headers=headers))


def _send(client: BatchClient, request: HttpRequest) -> dict[str, Any]:
    answer = client.send_request(request)
    if answer.status_code not in TAKEN:
        raise _read_error(answer)
    return orjson.loads(answer.content) if answer.content else {}


def _read_error(answer: HttpResponse) -> HttpResponseError:
    """The error that the client's own operations would raise."""
    try:
        model = models.BatchError(answer.json())
    except ValueError:
        model = None
    return KINDS.get(answer.status_code, HttpResponseError)(response=answer, model=model)
