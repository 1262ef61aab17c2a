"""Outputs that are fetched while inputs of other files are still being uploaded."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from prefect.futures import PrefectFuture, wait

from tasks.azure.clients import batch_client
from tasks.base.deadlines import glance
from tasks.base.pacing import Pace
from tasks.downloads import start_download
from tasks.observing import left_out_on_failure
from tasks.spec.bundles import Unit
from tasks.spec.run_results import TaskResult
from tasks.spec.work import WorkItem
from tasks.watch.completed_tasks import NOTHING_SEEN, Seen, list_completed

# These looks are for no more than to begin early.
LOOK_SECONDS = 2.0


@dataclass
class EarlyOutputs:
    """What has been begun before there is a wait for the Batch tasks, which goes on with it."""

    job_id: str
    container: str
    folder: Path | None
    """None where none are fetched so: outputs that stay in storage, and those of Batch tasks with several
    files, of which it is known otherwise when they are done."""

    size: int
    """How many outputs come with a download: those of a full shard."""

    results: dict[str, TaskResult] = field(default_factory=dict)
    """Of the tasks that have succeeded, by their ids."""

    downloads: list[tuple[list[WorkItem], PrefectFuture]] = field(default_factory=list)
    pending: list[WorkItem] = field(default_factory=list)
    """Those whose outputs are there, and which are no full shard yet."""

    latest: datetime | None = None
    has_failed: bool = False
    """Whether some have failed, of which the wait is to hear as of all that it lists."""

    pace: Pace = field(default_factory=lambda: Pace(LOOK_SECONDS))

    def look(self, added: Mapping[str, Unit]) -> None:
        """From time to time start a download for each full shard of the work that was added, by the ids of
        tasks, and has its outputs by now. What goes wrong is left to the wait."""
        if self.folder is None or not added or not self.pace.is_due:
            return
        with left_out_on_failure("An early look at the Batch tasks"):
            self._take(added, self.folder)
        self.pace.note()

    @property
    def seen(self) -> Seen:
        """What the wait need not list again."""
        return NOTHING_SEEN if self.has_failed else Seen(tuple(self.results), self.latest)

    def _list_completed(self) -> list[TaskResult]:
        # The downloads below have the run's time.
        with glance(), batch_client(f"Looking at the tasks of the job {self.job_id}") as client:
            return list(list_completed(client, self.job_id, self.latest))

    def _take(self, added: Mapping[str, Unit], folder: Path) -> None:
        for result in self._list_completed():
            self.latest = max(self.latest or result.changed_at, result.changed_at)
            self.has_failed = self.has_failed or not result.succeeded
            item = added.get(result.task_id)
            if result.succeeded and isinstance(item, WorkItem) and result.task_id not in self.results:
                self.results[item.task_id] = replace(result, task_id=item.task_id)
                self.pending.append(item)
        while len(self.pending) >= self.size:
            self._download(self.pending[: self.size], folder)
            del self.pending[: self.size]

    def _download(self, items: list[WorkItem], folder: Path) -> None:
        label = str(len(self.downloads) + 1) if self.size > 1 else ""
        self.downloads.append((items, start_download(self.container, items, folder, label)))

    @contextmanager
    def ended_on_failure(self) -> Iterator[None]:
        """If the block fails, wait for what is under way, as nobody will go on with it."""
        try:
            yield
        except Exception:
            wait([future for _, future in self.downloads])
            raise
