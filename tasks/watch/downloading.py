"""Outputs, fetched as soon as their Batch tasks complete, while others still run."""

import os
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from itertools import chain, islice
from types import MappingProxyType

from prefect.futures import PrefectFuture, wait

from tasks.base.interrupts import uninterrupted
from tasks.base.pacing import Pace
from tasks.base.packed import Selection
from tasks.base.partial_files import remove_partial_files
from tasks.downloads import start_download, take_fetched
from tasks.outputs.delivered import see_output, see_shard
from tasks.outputs.evidence import LogFolder, keep_logs
from tasks.sharding import SHARDS_AT_ONCE, find_failure, shard_size
from tasks.spec.file_results import NOT_FETCHED, FileResult, TaskResult, describe_problem
from tasks.spec.work import WorkItem, WorkItems
from tasks.step import opaque
from tasks.watch.collected import OutputMd5s, TaskResults
from tasks.watch.completed_tasks import NOTHING_SEEN
from tasks.watch.early_outputs import ABOUT_TO_ARRIVE_SECONDS, EarlyOutputs
from tasks.watch.failed_stderrs import FailedStderrs
from tasks.watch.progress import FileCounts

# How long at least a completed task's output waits for others to come with it.
PATIENCE_SECONDS = 3.0


class Outputs:
    """The outputs of a run on their way: tasks are handed in as they complete, files taken as they arrive."""

    def __init__(
        self,
        logs: LogFolder,
        submitted: WorkItems,
        computed: Sequence[WorkItem] = (),
        keeps_all_logs: bool = False,
    ):
        """`submitted` is what Batch tasks are to do, `computed` what earlier attempts have done."""
        self.logs = logs
        self.container = logs.container
        self.outputs = logs.outputs
        self.folder = logs.output_folder
        self.keeps_all_logs = keeps_all_logs
        self.submitted = submitted
        # Each is known by its number here.
        self.items = WorkItems(chain(submitted, computed)) if computed else submitted
        self.tasks = TaskResults()
        # What was seen before the wait, whatever is told later: one that is tried again begins from there.
        self.seen = NOTHING_SEEN
        # Those whose outputs are there, and those that have failed, as far as they are no full shards yet.
        self.pending, self.failed = array("I"), array("I")
        self.log_futures: list[PrefectFuture] = []
        # Downloads of outputs, and logs of files that failed, that have not been received, with the numbers
        # of their work; those of them that have ended; and how many downloads there were.
        self.downloads: dict[PrefectFuture, Sequence[int]] = {}
        self.reports: dict[PrefectFuture, Sequence[int]] = {}
        self.arrived: deque[PrefectFuture] = deque()
        self.download_count = 0
        # What has been received and not told, a download each; what has failed, and its stderr was not read.
        self.untold: deque[Sequence[int]] = deque()
        self.unread = array("I")
        self.fetched = OutputMd5s()
        # How long those wait that are no full shard.
        self.download_pace, self.report_pace = Pace(PATIENCE_SECONDS), Pace(PATIENCE_SECONDS)
        self.problems: dict[int, str] = {}
        # Of files whose inputs have changed under the run.
        self.changed: dict[int, str] = {}
        self.stderrs = FailedStderrs(logs)
        # What is submitted while a task waits, Prefect takes for a part of that one, and hides it; downloads
        # and failed files are steps of the flow, in whose context this is made.
        self.in_flow = copy_context().run

    def find_tasks(self, name: str | None) -> dict[str, str]:
        """The names of the inputs that are called so, by Batch task id."""
        return {item.task_id: item.name for item in self.items if item.name == name} if name else {}

    def go_on_with(self, early: EarlyOutputs) -> None:
        """Take over what was begun while inputs were uploaded; what has failed by now is begun again."""
        self.seen = early.seen
        self.tasks, self.fetched, self.untold = early.tasks, early.fetched, early.arrived
        for numbers in early.arrived:
            self._keep_all_logs(numbers)
        self.fetch(early.pending)
        for numbers, download in early.downloads:
            if download.state.is_final() and not download.state.is_completed():
                self.fetch(numbers)
            else:
                self._note_download(numbers, download)
        # They hold what they have brought.
        early.downloads.clear()

    def begin(self, completed: list[TaskResult]) -> None:
        """Take completed Batch tasks, and start a download for each full shard of those that succeeded."""
        found = [(self._find(task.task_id), task) for task in completed]
        new = [(number, task) for number, task in found if self.tasks.add(number, task)]
        # All are kept before anything is begun that may fail: a wait that is tried again brings none twice.
        self.failed.extend(number for number, task in new if not task.succeeded)
        self.fetch(number for number, task in new if task.succeeded)
        self._fail(())
        # What downloads have brought is objects, and a list may have many pages.
        self._receive()

    def fetch_computed(self) -> None:
        """Start downloads of what earlier attempts have done."""
        self.fetch(range(len(self.submitted), len(self.items)))

    def fetch(self, numbers: Iterable[int]) -> None:
        """Start a download for each full shard of the work whose outputs are there, by its numbers."""
        self.pending.extend(numbers)
        size = shard_size(len(self.items))
        while len(self.pending) >= size:
            self._download(self.pending[:size])
            del self.pending[:size]
        if self.pending and self.download_pace.is_due:
            self._download_pending()

    def _download_pending(self) -> None:
        self._download(self.pending[:])
        del self.pending[:]

    def _download(self, numbers: Sequence[int]) -> None:
        self.download_pace.note()
        # Else it may end on disk, and nobody know.
        with uninterrupted():
            self._note_download(numbers, self._start_download(Selection(self.items, numbers)))

    def _note_download(self, numbers: Sequence[int], future: PrefectFuture) -> None:
        self.download_count += 1
        self.downloads[future] = numbers
        # A deque may be appended to by the thread that downloads.
        future.add_done_callback(self.arrived.append)
        self._keep_all_logs(numbers)

    def _keep_all_logs(self, numbers: Sequence[int]) -> None:
        if self.keeps_all_logs:
            self._keep_logs("logs of", Selection(self.items, numbers))

    def _start_download(self, items: Sequence[WorkItem]) -> PrefectFuture:
        """Start the download of a shard; of outputs that stay where they are, only a look at them."""
        is_visible, label = shard_size(len(self.items)) == 1, str(self.download_count + 1)
        if self.folder is None:
            if is_visible:
                return self.in_flow(see_output.submit, self.outputs, items[0])
            return self.in_flow(see_shard.submit, label, self.outputs, opaque(items))
        label = "" if is_visible else label
        return self.in_flow(start_download, self.container, items, self.folder, label)

    def _fail(self, numbers: Iterable[int]) -> None:
        """Keep the logs of each full shard of the work that has failed, and show it as failed."""
        self.failed.extend(numbers)
        size = shard_size(len(self.items))
        while len(self.failed) >= size:
            self._report(self.failed[:size])
            del self.failed[:size]
        if self.failed and self.report_pace.is_due:
            self._report_failed()

    def _report_failed(self) -> None:
        self._report(self.failed[:])
        del self.failed[:]

    def _report(self, numbers: Sequence[int]) -> None:
        self.report_pace.note()
        items = Selection(self.items, numbers)
        problems = {
            item.name: self._find_problem(number) for number, item in zip(numbers, items, strict=True)
        }
        future = self._keep_logs("failed", items, problems)
        self.reports[future] = numbers
        future.add_done_callback(self.arrived.append)

    def _keep_logs(
        self, what: str, items: Sequence[WorkItem], problems: Mapping[str, str] = MappingProxyType({})
    ) -> PrefectFuture:
        is_visible = shard_size(len(self.items)) == 1
        name = items[0].name if is_visible else f"shard {len(self.log_futures) + 1}"
        label = f"{what} {name}"
        future = self.in_flow(keep_logs.submit, label, opaque(self.logs), opaque(items), opaque(problems))
        self.log_futures.append(future)
        return future

    def take(self) -> Iterator[list[FileResult]]:
        """What became of the files that have arrived, or failed, since the last call, a shard at a time;
        nothing if none has."""
        self._receive()
        failed, self.unread = self.unread, array("I")
        self.stderrs.read(zip(failed, self.items.make_all(failed), strict=True))
        while self.untold:
            yield self._make_results(self.untold.popleft())

    def _make_results(self, numbers: Sequence[int]) -> list[FileResult]:
        return [*map(self._result, numbers, self.items.make_all(numbers))]

    def _receive(self) -> None:
        """Note what has arrived since the last call."""
        while self.arrived:
            future = self.arrived.popleft()
            if (numbers := self.reports.pop(future, None)) is not None:
                self.unread.extend(numbers)
            elif (numbers := self.downloads.pop(future, None)) is not None:
                numbers = self._receive_download(numbers, future)
            if numbers:
                self.untold.append(numbers)

    def _receive_download(self, numbers: Sequence[int], download: PrefectFuture) -> Sequence[int]:
        """The work of which a download has brought all that there will be."""
        error = find_failure(download)
        if error is not None:
            self.problems.update(dict.fromkeys(numbers, f"the download failed: {error}"))
            return numbers
        for number, fetched in zip(numbers, take_fetched(download), strict=True):
            if fetched is not None and fetched.problem:
                self.changed[number], fetched = fetched.problem, None
            self.fetched.note(number, fetched and fetched.md5)
        self._fail(number for number in numbers if not self.fetched.has_output(number))
        return array("I", filter(self.fetched.has_output, numbers))

    def stop(self) -> None:
        """Note what has arrived by now or is about to, when nobody will take it any more."""
        self._wait(self.downloads, ABOUT_TO_ARRIVE_SECONDS)
        self._receive()

    def _wait(self, futures: Iterable[PrefectFuture], timeout_seconds: float | None = None) -> None:
        """Wait for these. What has ended has arrived: its callbacks run after that, and may not have told."""
        done, _ = wait(list(futures), timeout=timeout_seconds)
        self.arrived.extend(done)

    def count_files(self, total: int) -> FileCounts:
        """How many of so many files that wait, or run, are done."""
        return FileCounts(total, len(self.tasks), self.tasks.failed)

    def find_failed(self) -> list[WorkItem]:
        """The work on those files that have no output."""
        if self.fetched.found == len(self.items) and not (self.tasks.failed or self.problems or self.changed):
            return []
        return [item for number, item in enumerate(self.items) if self._find_problem(number)]

    def has_ended(self, item: WorkItem) -> bool:
        """Whether a Batch task has done this work in this run, well or not."""
        return self._find(item.task_id) in self.tasks

    def finish(self) -> Iterator[list[FileResult]]:
        """Wait for all downloads; what became of the files that `take` has not given yet."""
        if self.pending:
            self._download_pending()
        while self.downloads:
            self._wait([*islice(self.downloads, SHARDS_AT_ONCE)])
            yield from self.take()
        yield from self.take()
        # Those whose programs have written no output are known only now.
        if self.failed:
            self._report_failed()
        self._wait(self.log_futures)
        if self.folder is not None:
            remove_partial_files(self.folder)
        yield from self.take()

    def find_result(self, name: str) -> FileResult | None:
        """What became of the file of that name; None if no work was to be done on it."""
        number = self.items.find_named(name)
        return None if number is None else self._result(number, self.items[number])

    def _find(self, task_id: str) -> int:
        """The number of the work that a Batch task does."""
        number = self.items.find(task_id)
        if number is None:
            raise KeyError(task_id)
        return number

    def _result(self, number: int, item: WorkItem) -> FileResult:
        task, is_there = self.tasks.get(number, item.task_id), self.fetched.has_output(number)
        return FileResult(
            item.name,
            task,
            self._locate(item) if is_there else None,
            self._describe(number, task, is_there),
            self.stderrs.get(number),
        )

    def _locate(self, item: WorkItem) -> str:
        """Where an output is: its path, or its URL."""
        if self.folder is None:
            return self.outputs.locate(item.output_name).url
        return os.path.join(self.folder, item.output_name)

    def _find_problem(self, number: int) -> str:
        return self._describe(number, self.tasks.get(number, ""), self.fetched.has_output(number))

    def _describe(self, number: int, task: TaskResult | None, has_output: bool) -> str:
        """Why a file has no output; "" if it has one."""
        if problem := self.problems.get(number) or self.changed.get(number):
            return problem
        is_waiting = task is not None and task.succeeded and number not in self.fetched
        return NOT_FETCHED if is_waiting else describe_problem(task, has_output)
