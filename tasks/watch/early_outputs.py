"""Outputs that are fetched while inputs of other files are still being uploaded."""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from prefect.futures import PrefectFuture, wait

from tasks.azure.clients import batch_client
from tasks.base.deadlines import glance
from tasks.base.interrupts import uninterrupted
from tasks.base.pacing import Pace
from tasks.base.packed import Selection
from tasks.downloads import read_fetched, start_download, take_fetched
from tasks.prefect.observing import left_out_on_failure
from tasks.sharding import find_failure, has_ended
from tasks.spec.file_results import TaskResult
from tasks.spec.work import WorkItems
from tasks.watch.collected import OutputMd5s, TaskResults
from tasks.watch.completed_tasks import NOTHING_SEEN, CompletedTasks, Seen

# These looks are for no more than to begin early.
LOOK_SECONDS = 2.0
# A download goes on in its thread while the run is being stopped; large files are not waited for.
ABOUT_TO_ARRIVE_SECONDS = 5.0


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

    tasks: TaskResults = field(default_factory=TaskResults)
    """Of the tasks that have succeeded."""

    fetched: OutputMd5s = field(default_factory=OutputMd5s)
    """Of the outputs that have been fetched."""

    downloads: list[tuple[Sequence[int], PrefectFuture]] = field(default_factory=list)
    """Those that have not brought all their outputs, when last looked at, with the numbers of the work."""

    arrived: deque[Sequence[int]] = field(default_factory=deque)
    """The numbers of the work of each download that has brought all its outputs, of which nobody has been
    told."""

    download_count: int = 0
    pending: array = field(default_factory=partial(array, "I"))
    """The numbers of the work whose outputs are there, and which is no full shard yet."""

    latest: datetime | None = None
    """From when on tasks that have completed are not known yet."""

    newest: datetime | None = None
    """The same, once the list is read that is being read."""

    listing: CompletedTasks | None = None
    """A list that no look has read to its end."""

    has_failed: bool = False
    """Whether some have failed, of which the wait is to hear as of all that it lists."""

    pace: Pace = field(default_factory=lambda: Pace(LOOK_SECONDS))

    def look(self, added: WorkItems) -> None:
        """From time to time start a download for each full shard of the work that was added and has its
        outputs by now. What goes wrong is left to the wait."""
        if self.folder is None or not self.pace.is_due:
            return
        with left_out_on_failure("An early look at the Batch tasks"):
            self._receive()
            self._take(added, self.folder)
        self.pace.note()

    @property
    def seen(self) -> Seen:
        """What the wait need not list again."""
        return NOTHING_SEEN if self.has_failed else Seen(self.tasks.mark_known(), self.latest)

    def _take(self, added: WorkItems, folder: Path) -> None:
        try:
            self._list_completed(added)
        finally:
            # Also what has come of a list that broke off. They have the run's time, and not that of a look.
            while len(self.pending) >= self.size:
                self._download(added, self.pending[: self.size], folder)
                del self.pending[: self.size]

    def _list_completed(self, added: WorkItems) -> None:
        """Note the tasks that have completed since the last look, and that their outputs are there. Of a long
        list the next look reads the rest."""
        is_new = self.listing is None
        listing, self.listing = self.listing or CompletedTasks(self.job_id, self.latest), None
        with glance() as deadline, batch_client(f"Looking at the tasks of the job {self.job_id}") as client:
            half_seconds = deadline.seconds_left / 2
            for page in listing.read(client):
                self._note_completed(page, added)
                # What completes in later looks may belong to pages that were read before.
                if is_new:
                    self._note_newest(page)
                if deadline.seconds_left < half_seconds:
                    break
        if listing.is_read:
            self.latest = self.newest
        else:
            self.listing = listing

    def _note_newest(self, results: Iterable[TaskResult]) -> None:
        known = [self.newest] if self.newest else []
        self.newest = max([*known, *(result.changed_at for result in results)], default=None)

    def _note_completed(self, results: Iterable[TaskResult], added: WorkItems) -> None:
        for result in results:
            self.has_failed = self.has_failed or not result.succeeded
            number = added.find(result.task_id)
            if result.succeeded and number is not None and self.tasks.add(number, result):
                self.pending.append(number)

    def _download(self, added: WorkItems, numbers: Sequence[int], folder: Path) -> None:
        self.download_count += 1
        label = str(self.download_count) if self.size > 1 else ""
        # Else it may end on disk, and nobody know.
        with uninterrupted():
            items = Selection(added, numbers)
            self.downloads.append((numbers, start_download(self.container, items, folder, label)))

    def _receive(self) -> None:
        """Note what has arrived. A download that went wrong, or lacks an output, is left to whoever waits."""
        self.downloads = [one for one in self.downloads if not self._take_arrived(*one)]

    def _take_arrived(self, numbers: Sequence[int], download: PrefectFuture) -> bool:
        """Note what a download has brought, if that is all it was to bring."""
        if not has_ended(download) or find_failure(download) is not None:
            return False
        if any(one is None or one.problem for one in read_fetched(download)):
            return False
        for number, one in zip(numbers, take_fetched(download), strict=True):
            self.fetched.note(number, one and one.md5)
        self.arrived.append(numbers)
        return True

    @contextmanager
    def ended_on_failure(self) -> Iterator[None]:
        """If the block fails, note what is under way, as nobody will go on with it; where the run is being
        stopped, what is about to arrive."""
        try:
            yield
        except Exception:
            self._end(None)
            raise
        except BaseException:
            self._end(ABOUT_TO_ARRIVE_SECONDS)
            raise

    def _end(self, timeout_seconds: float | None) -> None:
        """Without such a time it ends by the run's deadline, which each request of a download has."""
        wait([future for _, future in self.downloads], timeout=timeout_seconds)
        self._receive()
