"""Outputs, fetched as soon as their Batch tasks complete, while others still run."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from types import MappingProxyType

from prefect.futures import PrefectFuture, wait

from tasks.azure.node_logs import read_task_stderr
from tasks.base.interrupts import uninterrupted
from tasks.base.pacing import Pace
from tasks.base.packed import KnownTexts
from tasks.base.partial_files import remove_partial_files
from tasks.downloads import start_download, take_fetched
from tasks.outputs.delivered import read_log_tail, see_output, see_shard
from tasks.outputs.evidence import LogFolder, keep_logs, read_tail
from tasks.sharding import find_failure, in_threads, shard_size
from tasks.spec.file_results import NOT_FETCHED, FileResult, TaskResult, describe_problem
from tasks.spec.work import WorkItem, WorkItems
from tasks.step import opaque
from tasks.watch.collected import OutputMd5s, TaskResults
from tasks.watch.early_outputs import ABOUT_TO_ARRIVE_SECONDS, EarlyOutputs
from tasks.watch.progress import FileCounts

# The results of more would fill the memory; what all of them printed lies beside the outputs.
STDERRS_MAX = 500
# Where it could not be kept there: each takes a few requests.
STDERRS_FROM_NODES_MAX = 50
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
        self.submitted = submitted[:]
        self.items = submitted
        self.items.extend(computed)
        self.tasks = TaskResults()
        self.pending: list[WorkItem] = []
        self.failed: list[WorkItem] = []
        self.log_futures: list[PrefectFuture] = []
        # Downloads of outputs, and logs of files that failed, that have not been received, with the ids of
        # their tasks; those of them that have ended; and how many downloads there were.
        self.downloads: dict[PrefectFuture, list[str]] = {}
        self.reports: dict[PrefectFuture, list[str]] = {}
        self.arrived: deque[PrefectFuture] = deque()
        self.download_count = 0
        self.fetched = OutputMd5s()
        # How long those wait that are no full shard.
        self.download_pace, self.report_pace = Pace(PATIENCE_SECONDS), Pace(PATIENCE_SECONDS)
        self.problems: dict[str, str] = {}
        # Of files whose inputs have changed under the run.
        self.changed: dict[str, str] = {}
        self.stderrs: dict[str, str] = {}
        # What is submitted while a task waits, Prefect takes for a part of that one, and hides it behind its
        # mark; downloads and failed files are steps of the flow, in whose context this is made.
        self.in_flow = copy_context().run

    def find_tasks(self, name: str | None) -> dict[str, str]:
        """The names of the inputs that are called so, by Batch task id."""
        return {item.task_id: item.name for item in self.items if item.name == name} if name else {}

    def go_on_with(self, early: EarlyOutputs) -> None:
        """Take over what was begun while inputs were uploaded; what has failed by now is begun again."""
        self.tasks, self.fetched = early.tasks, early.fetched
        self.fetch(early.pending)
        for items, download in early.downloads:
            if download.state.is_final() and not download.state.is_completed():
                self.fetch(items)
            else:
                self._note_download(items, download)
        # They hold what they have brought.
        early.downloads.clear()

    def begin(self, completed: list[TaskResult]) -> None:
        """Take completed Batch tasks, and start a download for each full shard of those that succeeded."""
        new = [(task, self._find(task.task_id)) for task in completed if self.tasks.add(task)]
        self._fail(item for task, item in new if not task.succeeded)
        self.fetch(item for task, item in new if task.succeeded)

    def fetch(self, items: Iterable[WorkItem]) -> None:
        """Start a download for each full shard of items whose outputs are there."""
        self.pending += items
        size = shard_size(len(self.items))
        while len(self.pending) >= size:
            self._download(self.pending[:size])
            del self.pending[:size]
        if self.pending and self.download_pace.is_due:
            self._download(self.pending)
            self.pending = []

    def _download(self, items: list[WorkItem]) -> None:
        self.download_pace.note()
        # Else it may end on disk, and nobody know.
        with uninterrupted():
            self._note_download(items, self._start_download(items))

    def _note_download(self, items: list[WorkItem], future: PrefectFuture) -> None:
        ids = [item.task_id for item in items]
        self.download_count += 1
        self.downloads[future] = ids
        # A deque may be appended to by the thread that downloads.
        future.add_done_callback(self.arrived.append)
        if self.keeps_all_logs:
            self._keep_logs("logs of", items)

    def _start_download(self, items: list[WorkItem]) -> PrefectFuture:
        """Start the download of a shard; of outputs that stay where they are, only a look at them."""
        is_visible, label = shard_size(len(self.items)) == 1, str(self.download_count + 1)
        if self.folder is None:
            if is_visible:
                return self.in_flow(see_output.submit, self.outputs, items[0])
            return self.in_flow(see_shard.submit, label, self.outputs, opaque(items))
        label = "" if is_visible else label
        return self.in_flow(start_download, self.container, items, self.folder, label)

    def _fail(self, items: Iterable[WorkItem]) -> None:
        """Keep the logs of each full shard of items that have failed, and show them as failed."""
        self.failed += items
        size = shard_size(len(self.items))
        while len(self.failed) >= size:
            self._report(self.failed[:size])
            del self.failed[:size]
        if self.failed and self.report_pace.is_due:
            self._report(self.failed)
            self.failed = []

    def _report(self, items: list[WorkItem]) -> None:
        self.report_pace.note()
        ids = [item.task_id for item in items]
        problems = {item.name: self._find_problem(item.task_id) for item in items}
        future = self._keep_logs("failed", items, problems)
        self.reports[future] = ids
        future.add_done_callback(self.arrived.append)

    def _keep_logs(
        self, what: str, items: list[WorkItem], problems: Mapping[str, str] = MappingProxyType({})
    ) -> PrefectFuture:
        is_visible = shard_size(len(self.items)) == 1
        name = items[0].name if is_visible else f"shard {len(self.log_futures) + 1}"
        label = f"{what} {name}"
        future = self.in_flow(keep_logs.submit, label, opaque(self.logs), opaque(items), opaque(problems))
        self.log_futures.append(future)
        return future

    def take(self) -> Iterator[list[FileResult]]:
        """What became of the files that have arrived, or failed, since the last call; nothing if none has."""
        taken, failed = self.receive()
        self._read_stderrs(failed)
        if taken:
            yield [self._result(self._find(task_id)) for task_id in taken]

    def receive(self) -> tuple[list[str], list[str]]:
        """Note what has arrived since the last call; the ids of its tasks, and of those that failed."""
        taken: list[str] = []
        failed: list[str] = []
        while self.arrived:
            future = self.arrived.popleft()
            if future in self.reports:
                ids = self.reports.pop(future)
                failed += ids
                taken += ids
            elif future in self.downloads:
                taken += self._receive_download(self.downloads.pop(future), future)
        return taken, failed

    def _receive_download(self, ids: list[str], download: PrefectFuture) -> list[str]:
        """The ids of the files of which a download has brought all that there will be."""
        error = find_failure(download)
        if error is not None:
            self.problems.update(dict.fromkeys(ids, f"the download failed: {error}"))
            return ids
        for task_id, fetched in zip(ids, take_fetched(download), strict=True):
            if fetched is not None and fetched.problem:
                self.changed[task_id], fetched = fetched.problem, None
            self.fetched.note(task_id, fetched and fetched.md5)
        self._fail(self._find(task_id) for task_id in ids if self.fetched.get(task_id) is None)
        return [task_id for task_id in ids if self.fetched.get(task_id) is not None]

    def stop(self) -> None:
        """Note what has arrived by now or is about to, when nobody will take it any more."""
        self._wait(self.downloads, ABOUT_TO_ARRIVE_SECONDS)
        self.receive()

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
        return [item for item in self.items if self._find_problem(item.task_id)]

    def finish(self) -> Iterator[list[FileResult]]:
        """Wait for all downloads; what became of the files that `take` has not given yet."""
        if self.pending:
            self._download(self.pending)
            self.pending = []
        self._wait(self.downloads)
        yield from self.take()
        # Those whose programs have written no output are known only now.
        if self.failed:
            self._report(self.failed)
            self.failed = []
        self._wait(self.log_futures)
        if self.folder is not None:
            remove_partial_files(self.folder)
        yield from self.take()

    def results(self, names: Iterable[str]) -> Iterator[FileResult | None]:
        """What became of files, by their names; None for those that no work was to be done on."""
        known = KnownTexts(self.items.names)
        for name in names:
            number = known.find(name)
            yield None if number is None else self._result(self.items[number])

    def _find(self, task_id: str) -> WorkItem:
        """The work that a Batch task does."""
        number = self.items.find(task_id)
        if number is None:
            raise KeyError(task_id)
        return self.items[number]

    def _result(self, item: WorkItem) -> FileResult:
        task_id = item.task_id
        task, is_there = self.tasks.get(task_id), self.fetched.get(task_id) is not None
        return FileResult(
            item.name,
            task,
            self._locate(item) if is_there else None,
            self._describe(task_id, task, is_there),
            self.stderrs.get(task_id, ""),
        )

    def _locate(self, item: WorkItem) -> str:
        """Where an output is: its path, or its URL."""
        if self.folder is None:
            return self.outputs.locate(item.output_name).url
        return os.path.join(self.folder, item.output_name)

    def _find_problem(self, task_id: str) -> str:
        return self._describe(task_id, self.tasks.get(task_id), self.fetched.get(task_id) is not None)

    def _describe(self, task_id: str, task: TaskResult | None, has_output: bool) -> str:
        """Why a file has no output; "" if it has one."""
        if problem := self.problems.get(task_id) or self.changed.get(task_id):
            return problem
        is_waiting = task is not None and task.succeeded and task_id not in self.fetched
        return NOT_FETCHED if is_waiting else describe_problem(task, has_output)

    def _read_stderrs(self, task_ids: list[str]) -> None:
        """Read the ends of the standard errors of tasks that failed, while they are among the first."""
        first = task_ids[: max(0, STDERRS_MAX - len(self.stderrs))]
        self.stderrs.update(zip(first, in_threads(self._read_stderr, first), strict=True))

    def _read_stderr(self, task_id: str) -> str:
        name = self._find(task_id).name
        if self.folder is None:
            blob = self.outputs.name_log(self.logs.run_key, name, task_id, "stderr.txt")
            if tail := read_log_tail(self.outputs, blob):
                return tail
        elif self.logs.locate(self.folder, name, "stderr.txt").is_file():
            return read_tail(self.logs.locate(self.folder, name, "stderr.txt"))
        if len(self.stderrs) >= STDERRS_FROM_NODES_MAX:
            return ""
        # Of a bundle that ended before its turn came, what that has printed tells more.
        task_id = self.logs.bundled.get(task_id, task_id)
        return read_task_stderr(self.logs.job_id, task_id, self.container)
