"""How far a run is, as a Prefect artifact and in a bounded number of log lines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from tasks.base import listeners
from tasks.logs import run_logger
from tasks.prefect.observing import left_out_on_failure
from tasks.spec.spent import Spent

ARTIFACT_KEY = "fan-out-progress"
# Each update is a request to the Prefect server.
UPDATE_SECONDS = 3.0
AFTER_FAILURE_SECONDS = 300.0
LOG_LINES = 10
# What the nodes have cost is news after so long, though nothing else has changed; and sooner only to whom it
# is a matter of money.
COST_SECONDS = 60.0
# Of fewer one can't tell how fast they are.
RATED_MIN = 3


@dataclass(frozen=True)
class FileCounts:
    """Files that share Batch tasks; the failed are among the done."""

    total: int
    done: int
    failed: int


@dataclass(frozen=True)
class Counts:
    """Batch tasks by state; the failed are among the completed."""

    total: int
    waiting: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    files: FileCounts | None = None
    """None where each Batch task is a file."""

    def __str__(self) -> str:
        if self.files is not None:
            failed = f", {self.files.failed:,} of them failed" if self.files.failed else ""
            return (
                f"{self.files.done:,} of {self.files.total:,} files done{failed}; {self.completed:,} of "
                f"{self.total:,} Batch tasks completed, {self.running:,} running, {self.waiting:,} waiting"
            )
        failed = f", {self.failed:,} of them failed" if self.failed else ""
        return (
            f"{self.completed:,} of {self.total:,} Batch tasks completed{failed}, "
            f"{self.running:,} running, {self.waiting:,} waiting"
        )

    @property
    def done(self) -> tuple[int, int]:
        """How much is done, of how much: files."""
        return (self.files.done, self.files.total) if self.files else (self.completed, self.total)

    def all_completed(self) -> "Counts":
        """The same once all tasks have completed."""
        return replace(self, waiting=0, running=0, completed=self.total)

    def at_least(self, completed: int, failed: int) -> "Counts":
        """The same where so many are known to have completed, and to have failed: counts lag behind lists."""
        newer = max(0, min(completed, self.total) - self.completed)
        return replace(
            self,
            completed=self.completed + newer,
            failed=max(self.failed, failed),
            running=max(0, self.running - newer),
            waiting=max(0, self.waiting - max(0, newer - self.running)),
        )

    @property
    def left(self) -> int:
        done, total = self.done
        return max(0, total - done)

    def brief(self) -> str:
        """The numbers first, for where the end of a line is cut off."""
        if self.files is not None:
            failed = f", {self.files.failed:,} failed" if self.files.failed else ""
            return (
                f"{self.files.done:,}/{self.files.total:,} files{failed}, "
                f"{self.running:,} Batch tasks running, {self.waiting:,} waiting"
            )
        failed = f", {self.failed:,} failed" if self.failed else ""
        return (
            f"{self.completed:,}/{self.total:,}{failed}, {self.running:,} running, {self.waiting:,} waiting"
        )

    def at_the_end(self) -> str:
        """Of a wait that ended before all was done: what runs then is not waited for."""
        (done, total), failed = self.done, self.files.failed if self.files else self.failed
        return f"stopped at {done:,}/{total:,}" + (f", {failed:,} failed" if failed else "")


@dataclass
class Progress:
    """Tells of counts as they change, no more often than is useful."""

    artifact_id: UUID | None = None
    shown: Counts | None = None
    shown_at: float = field(default=0.0)
    logged_tenths: int = -1
    began: tuple[float, int] | None = None
    """When a Batch task was first seen running, and how many files were done by then."""
    pause_seconds: float = UPDATE_SECONDS
    latest: Counts | None = None
    spent: Callable[[], Spent | None] = lambda: None
    """What the nodes have come to so far."""

    told_first: float | None = None

    def tell(self, counts: Counts, now_seconds: float | None = None) -> None:
        self.latest = counts
        listeners.notify(counts)
        now_seconds = time.monotonic() if now_seconds is None else now_seconds
        self.told_first = now_seconds if self.told_first is None else self.told_first
        done, total = counts.done
        tenths = LOG_LINES * done // max(1, total)
        if tenths > self.logged_tenths:
            self.logged_tenths = tenths
            run_logger().info("%s%s%s", counts, self.pace(counts, now_seconds), self.cost(now_seconds))
        if self._is_due(counts, now_seconds):
            # A server that is away keeps each call waiting: then it is asked seldom.
            self.shown, self.shown_at, self.pause_seconds = counts, now_seconds, AFTER_FAILURE_SECONDS
            with left_out_on_failure("The progress in the dashboard"):
                told = f"{counts.brief()}{self.pace(counts, now_seconds)}{self.cost(now_seconds)}"
                self.show(counts, told)
                self.pause_seconds = UPDATE_SECONDS

    def _is_due(self, counts: Counts, now_seconds: float) -> bool:
        passed_seconds = now_seconds - self.shown_at
        if counts == self.shown:
            return passed_seconds >= max(self.pause_seconds, COST_SECONDS) and bool(self.cost(now_seconds))
        is_last = counts.completed >= counts.total
        return passed_seconds >= self.pause_seconds or (is_last and self.pause_seconds == UPDATE_SECONDS)

    def cost(self, now_seconds: float) -> str:
        """What the nodes have come to so far; "" of the first minute, where nobody has given prices."""
        spent = self.spent()
        is_new = now_seconds - (now_seconds if self.told_first is None else self.told_first) < COST_SECONDS
        return "" if spent is None or (is_new and spent.cost is None) else f"; {spent.brief()} so far"

    def pace(self, counts: Counts, now_seconds: float) -> str:
        """How fast files are done, and how long the rest takes at that; "" while too few are."""
        if self.began is None and (counts.running or counts.completed):
            self.began = now_seconds, counts.done[0]
        if self.began is None or not counts.left:
            return ""
        seconds, completed = now_seconds - self.began[0], counts.done[0] - self.began[1]
        if completed < RATED_MIN or seconds <= 0:
            return ""
        per_minute = 60 * completed / seconds
        return (
            f"; {_round(per_minute)} a minute, about {_describe_length(60 * counts.left / per_minute)} left"
        )

    def stop(self) -> None:
        """Say that nobody watches any more; not to a server that has been away."""
        is_there = self.artifact_id is not None and self.pause_seconds == UPDATE_SECONDS
        if self.latest is None or not self.latest.left or not is_there:
            return
        with left_out_on_failure("The progress in the dashboard"):
            self.show(self.latest, self.latest.at_the_end())

    def show(self, counts: Counts, description: str) -> None:
        done, total = counts.done
        # Shown as it is, digit by digit; and 100 is said of nothing less.
        percent = 1000 * done // max(1, total) / 10
        if self.artifact_id is None:
            made = create_progress_artifact(percent, key=ARTIFACT_KEY, description=description)
            self.artifact_id = cast(UUID, made)
        else:
            update_progress_artifact(self.artifact_id, percent, description=description)


@contextmanager
def watched(progress: Progress) -> Iterator[Progress]:
    """A progress that doesn't go on telling of running Batch tasks where the wait has broken off."""
    try:
        yield progress
    except BaseException:
        progress.stop()
        raise


def _round(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _describe_length(seconds: float) -> str:
    """In the unit in which one would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
