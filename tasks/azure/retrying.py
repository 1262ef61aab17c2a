"""How the clients repeat their requests: as long as waiting can help, and the run has time.

The one place that reads the deadline for requests. It stands in the clients' pipelines where Azure's own
retry policies would, which count tries instead of time.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import SEEK_SET
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestTimeoutError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy, RetryPolicy
from azure.core.pipeline.transport import RequestsTransport

from tasks.azure.foreign_answers import PAGE_STATUSES, ForeignAnswerError, is_foreign, read_kind
from tasks.base.deadlines import LEAST_SECONDS, Deadline, current_deadline
from tasks.logs import run_logger

CONNECTION_TIMEOUT_SECONDS = 10.0
# Both services end what takes them longer than half a minute.
READ_TIMEOUT_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.4
PAUSE_MAX_SECONDS = 20.0
# From so much trouble on it is told.
TOLD_AFTER_SECONDS = 5.0
PASSING_STATUSES = {408, 429}
LASTING_SERVER_STATUSES = {501, 505}
# Once may be a fault of a gateway, or of rights that are still spreading; twice is a wrong key.
REFUSALS = {401, 403}
# What Azure's own policies take from a call's options, which the transport would refuse.
OPTIONS = (
    "retry_total",
    "retry_connect",
    "retry_read",
    "retry_status",
    "retry_to_secondary",
    "retry_hook",
    "location_mode",
    "hosts",
)


class RetryUntilDeadline(HTTPPolicy[Any, Any]):
    """Repeats a request that was throttled, met a server's fault or got no answer, until time is up.

    All requests that we send can be repeated: what they make has a name of its own, and whoever sends them
    expects that it exists already.
    """

    def __init__(self, service: str):
        super().__init__()
        self.service = service

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        call = _begin(self.service, request)
        if call.deadline.is_over:
            raise ServiceRequestTimeoutError("There was no time left to ask.")
        while True:
            call.prepare(request)
            try:
                response = self.next.send(request)
            except ClientAuthenticationError:
                # There is no token, or no key that could sign.
                raise
            except AzureError:
                if call.goes_on("does not answer"):
                    continue
                call.end()
                raise
            status, headers = response.http_response.status_code, response.http_response.headers
            if is_foreign(self.service, headers):
                call.meet_foreign(status, headers)
                continue
            if not call.can_pass(status) or not call.goes_on(f"answers {status}", _read_pause(response)):
                # Of what is read as it comes this is the head alone: who reads it knows of the rest.
                if status >= 400 or not request.context.options.get("stream"):
                    call.end(status)
                # The storage client asks its own policy's answers for it.
                response.http_response.location_mode = "primary"
                return response


class TransportUntilDeadline(RequestsTransport):
    """For who asks by a pipeline with retries of its own, as the credentials do: no try waits longer than is
    left, and none begins when nothing is."""

    def send(self, request: Any, **options: Any) -> Any:
        left = current_deadline().seconds_left
        if left <= LEAST_SECONDS:
            # Azure's own policies repeat after any other error.
            raise ClientAuthenticationError("There was no time left to ask for a token.")
        limits = {"connection_timeout": CONNECTION_TIMEOUT_SECONDS, "read_timeout": READ_TIMEOUT_SECONDS}
        timeouts = {name: min(options.get(name, most), left) for name, most in limits.items()}
        return super().send(request, **options | timeouts)


@dataclass
class _Call:
    """One request with its repetitions."""

    service: str
    deadline: Deadline
    is_repeated: bool
    body_position: int | None
    began_seconds: float = field(default_factory=time.monotonic)
    tries: int = 0
    refusals: int = 0
    was_answered: bool = False

    @property
    def seconds_left(self) -> float:
        """Less than the deadline leaves for a service that has not answered at all."""
        left = self.deadline.seconds_left
        if self.was_answered:
            return left
        silent_seconds = time.monotonic() - self.began_seconds
        return max(0.0, min(left, self.deadline.silence_seconds - silent_seconds))

    def prepare(self, request: PipelineRequest[Any]) -> None:
        """Let the next try take no longer than is left, and be as the first was."""
        left = max(LEAST_SECONDS, self.seconds_left)
        request.context.options["connection_timeout"] = min(CONNECTION_TIMEOUT_SECONDS, left)
        request.context.options["read_timeout"] = min(READ_TIMEOUT_SECONDS, left)
        if self.tries:
            # The Batch client dates a request once; a date of a quarter of an hour ago is refused.
            request.http_request.headers.pop("ocp-date", None)
            if self.body_position is not None:
                request.http_request.body.seek(self.body_position, SEEK_SET)
        self.tries += 1

    def can_pass(self, status: int) -> bool:
        """Whether an answer may be another one next time."""
        self.was_answered = True
        if status in REFUSALS:
            self.refusals += 1
            return self.refusals < 2
        return status in PASSING_STATUSES or (status >= 500 and status not in LASTING_SERVER_STATUSES)

    def meet_foreign(self, status: int, headers: Mapping[str, str]) -> None:
        """Wait before the next try, if that can be answered by the service. Raises ForeignAnswerError."""
        # Where nobody ever did, the endpoint is mostly a wrong one.
        is_page = status in PAGE_STATUSES
        if not (is_page or self.can_pass(status)) or not self.goes_on(f"is not what answers {status}"):
            self.end()
            raise ForeignAnswerError(status, read_kind(headers))

    def goes_on(self, trouble: str, asked_seconds: float = 0.0) -> bool:
        """Wait before the next try, as long as the service asks for; False if there is no time for one."""
        left = self.seconds_left
        if not self.is_repeated or asked_seconds >= left:
            return False
        self._tell(trouble)
        growing = min(PAUSE_MAX_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (self.tries - 1))
        # The last tries come close to the end.
        own_seconds = min(growing * random.uniform(0.5, 1.5), left / 2 if left > 1 else left)
        self.deadline.pause(max(asked_seconds, own_seconds))
        return self.seconds_left > LEAST_SECONDS

    def end(self, status: int | None = None) -> None:
        """Let the deadline know what became of the call."""
        if status is not None and status < 400:
            self.deadline.note_answer()
        elif self.deadline.is_over:
            self.deadline.note_failure()

    def _tell(self, trouble: str) -> None:
        """One line now and then, as a run that waits for a service should not look as if it hung."""
        is_lasting = time.monotonic() - self.began_seconds >= TOLD_AFTER_SECONDS
        if is_lasting and self.deadline.is_news(self.service):
            run_logger().warning(
                "Azure %s %s: asking again, for %.0f s at most", self.service, trouble, self.seconds_left
            )


def _begin(service: str, request: PipelineRequest[Any]) -> _Call:
    options = request.context.options
    given = {name: options.pop(name, None) for name in OPTIONS}
    deadline = current_deadline()
    deadline.note_call()
    body = request.http_request.body
    position = body.tell() if hasattr(body, "seek") and hasattr(body, "tell") else None
    return _Call(service, deadline, given["retry_total"] != 0, position)


def _read_pause(response: PipelineResponse[Any, Any]) -> float:
    """What the service asks for in Retry-After; 0 if nothing."""
    return RetryPolicy().get_retry_after(response) or 0.0
