"""Answers that are not Azure's: pages of gateways, of proxies, or to sign in at, whatever their status."""

from collections.abc import Mapping

from azure.core.exceptions import ServiceResponseError

# What is in each answer of a service: the REST operations of both say so.
MARKS = {"Batch": "request-id", "Storage": "x-ms-request-id"}
# What a page that is in the way has: it is there as long as nobody signs in, or the endpoint is a wrong one.
PAGE_STATUSES = {*range(200, 400), 404}


class ForeignAnswerError(ServiceResponseError):
    """Somebody in between has answered."""

    def __init__(self, status: int, kind: str):
        super().__init__(f"HTTP {status}{f', {kind}' if kind else ''}")
        self.status = status


def read_kind(headers: Mapping[str, str]) -> str:
    """The media type of an answer's body; "" if it has none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_foreign(service: str, headers: Mapping[str, str]) -> bool:
    """Whether an answer with these headers comes from somebody else than the service. What is no answer is
    not to be read: a page to sign in at would do for a blob, and a gateway's 404 for its end."""
    # A gateway before Batch may leave out what it doesn't know, and nothing of a run depends on that mark.
    # One that answers by itself knows no OData.
    is_odata = service == "Batch" and "odata=" in headers.get("content-type", "").lower()
    return MARKS[service] not in headers and not is_odata
