"""How far a run is, as a Prefect artifact and in a bounded number of log lines."""

import time
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks import listeners
from tasks.logs import run_logger
from tasks.observing import left_out_on_failure

ARTIFACT_KEY = "fan-out-progress"
# Each update is a request to the Prefect server.
UPDATE_SECONDS = 3.0
AFTER_FAILURE_SECONDS = 300.0
LOG_LINES = 10


@dataclass(frozen=True)
class Counts:
    """Batch tasks by state; the failed are among the completed."""

    total: int
    waiting: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0

    def __str__(self) -> str:
        failed = f", {self.failed} of them failed" if self.failed else ""
        return (
            f"{self.completed} of {self.total} Batch tasks completed{failed}, "
            f"{self.running} running, {self.waiting} waiting"
        )


@dataclass
class Progress:
    """Tells of counts as they change, no more often than is useful."""

    artifact_id: UUID | None = None
    shown: Counts | None = None
    shown_at: float = field(default=0.0)
    logged_tenths: int = -1
    pause_seconds: float = UPDATE_SECONDS

    def tell(self, counts: Counts, now_seconds: float | None = None) -> None:
        listeners.notify(counts)
        now_seconds = time.monotonic() if now_seconds is None else now_seconds
        tenths = LOG_LINES * counts.completed // max(1, counts.total)
        if tenths > self.logged_tenths:
            self.logged_tenths = tenths
            run_logger().info("%s", counts)
        is_last = counts.completed >= counts.total
        is_due = now_seconds - self.shown_at >= self.pause_seconds
        if counts != self.shown and (is_due or (is_last and self.pause_seconds == UPDATE_SECONDS)):
            # A server that is away keeps each call waiting: then it is asked seldom.
            self.shown, self.shown_at, self.pause_seconds = counts, now_seconds, AFTER_FAILURE_SECONDS
            with left_out_on_failure("The progress in the dashboard"):
                self.show(counts)
                self.pause_seconds = UPDATE_SECONDS

    def show(self, counts: Counts) -> None:
        percent = 100.0 * counts.completed / max(1, counts.total)
        if self.artifact_id is None:
            made = create_progress_artifact(percent, key=ARTIFACT_KEY, description=str(counts))
            self.artifact_id = cast(UUID, made)
        else:
            update_progress_artifact(self.artifact_id, percent, description=str(counts))
