"""Outputs, fetched as soon as their Batch tasks complete, while others still run."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from prefect.futures import PrefectFuture, wait
from prefect.utilities.annotations import opaque

from tasks.azure.node_logs import stderr_of_task
from tasks.batch_tasks import WorkItem
from tasks.downloads import download_output, download_shard
from tasks.sharding import failure_of, in_threads, shard_size
from tasks.spec.run_results import FileResult, FileResults, TaskResult, problem_of

# Each takes a few requests; a run of which thousands fail mostly fails for one reason.
STDERRS_MAX = 50


@dataclass
class Downloads:
    """The outputs of a run on their way; tasks are handed in as they complete, files taken as they arrive."""

    job_id: str
    container: str
    folder: Path
    items: dict[str, WorkItem]
    """By Batch task id."""

    results: dict[str, TaskResult] = field(default_factory=dict)
    pending: list[WorkItem] = field(default_factory=list)
    started: list[PrefectFuture] = field(default_factory=list)
    arrived: deque[tuple[list[str], PrefectFuture | None]] = field(default_factory=deque)
    """The ids of tasks of which all is there that will be, and the download of their outputs, now ended;
    None for tasks that failed."""

    paths: dict[str, str | None] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    stderrs: dict[str, str] = field(default_factory=dict)

    def begin(self, completed: list[TaskResult]) -> None:
        """Take completed Batch tasks, and start a download for each full shard of those that succeeded."""
        new = [result for result in completed if result.task_id not in self.results]
        self.results.update({result.task_id: result for result in new})
        failed = [result.task_id for result in new if not result.succeeded]
        if failed:
            self.arrived.append((failed, None))
        self.pending += [self.items[result.task_id] for result in new if result.succeeded]
        size = shard_size(len(self.items))
        while len(self.pending) >= size:
            self.submit(self.pending[:size])
            del self.pending[:size]

    def submit(self, items: list[WorkItem]) -> None:
        names, ids = [item.output_name for item in items], [item.task_id for item in items]
        if shard_size(len(self.items)) == 1:
            future = download_output.submit(self.container, names[0], self.folder)
        else:
            label = str(len(self.started) + 1)
            future = download_shard.submit(label, self.container, opaque(names), self.folder)
        self.started.append(future)
        # A deque may be appended to by the thread that downloads.
        future.add_done_callback(lambda ended: self.arrived.append((ids, ended)))

    def take(self) -> list[FileResult]:
        """What became of the files that have arrived, or failed, since the last call."""
        taken = []
        while self.arrived:
            ids, future = self.arrived.popleft()
            if future is None:
                self.read_stderrs(ids)
            elif (error := failure_of(future)) is None:
                self.paths.update(zip(ids, paths_of(future), strict=True))
            else:
                self.problems.update(dict.fromkeys(ids, f"the download failed: {error}"))
            taken += ids
        return [self.file_result(task_id) for task_id in taken]

    def finish(self) -> list[FileResult]:
        """Wait for all downloads; what became of the files that `take` has not given yet."""
        if self.pending:
            self.submit(self.pending)
            self.pending = []
        wait(self.started)
        return self.take()

    def file_results(self) -> FileResults:
        """What became of each file, in the order of the items."""
        return FileResults(map(self.file_result, self.items))

    def file_result(self, task_id: str) -> FileResult:
        task, path = self.results.get(task_id), self.paths.get(task_id)
        return FileResult(
            name=self.items[task_id].name,
            task=task,
            output_path=path,
            problem=self.problems.get(task_id) or problem_of(task, path is not None),
            stderr=self.stderrs.get(task_id, ""),
        )

    def read_stderrs(self, task_ids: list[str]) -> None:
        """Read the ends of the standard errors of tasks that failed, while they are among the first."""
        first = task_ids[: max(0, STDERRS_MAX - len(self.stderrs))]
        texts = in_threads(lambda task_id: stderr_of_task(self.job_id, task_id, self.container), first)
        self.stderrs.update(zip(first, texts, strict=True))


def paths_of(future: PrefectFuture) -> list[str | None]:
    """What a download of one file, or of a shard, has returned."""
    found = future.result()
    return found if isinstance(found, list) else [found]
