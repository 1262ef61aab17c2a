"""A task's run on one node: of a start, job preparation or job release task, or of a part of a
multi-instance task.

All times are ticks (`ticks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

RunState = Literal["preparing", "running", "completed"]


@dataclass(slots=True, kw_only=True)
class Run:
    """`exit_code` is None where no process ran, or none has ended yet; `failure` is a `failureInfo`, None for
    success. `number` tells one run from the next, where a late report of the one before could come."""

    state: RunState = "running"
    started: int | None = None
    ended: int | None = None
    exit_code: int | None = None
    failure: dict[str, Any] | None = None
    retry_count: int = 0
    last_retry: int | None = None
    number: int = 0

    def retry(self, now: int) -> None:
        """It is tried once more."""
        self.retry_count += 1
        self.last_retry = now

    def complete(self, now: int, exit_code: int | None, failure: dict[str, Any] | None) -> None:
        """It has ended for good."""
        self.state, self.ended = "completed", now
        self.exit_code, self.failure = exit_code, failure

    @property
    def result(self) -> Literal["success", "failure"] | None:
        """None until it has ended."""
        if self.ended is None:
            return None
        return "failure" if self.failure else "success"


@dataclass(slots=True, kw_only=True)
class Instance(Run):
    """An instance of a multi-instance task; `id` 0 is the primary. `runs`: a process of it is under way."""

    id: int
    node_id: str
    since: int
    previous: RunState | None = None
    previous_since: int | None = None
    runs: bool = False

    def move(self, state: RunState, now: int) -> None:
        """Take it to another state."""
        self.previous, self.previous_since = self.state, self.since
        self.state, self.since = state, now

    @property
    def is_coordinated(self) -> bool:
        """Whether its coordination command has ended, with whatever exit code."""
        return self.exit_code is not None or self.failure is not None
