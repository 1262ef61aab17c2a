"""Outputs, fetched as soon as their Batch tasks complete, while others still run."""

from dataclasses import dataclass, field
from pathlib import Path

from prefect.futures import PrefectFuture, wait
from prefect.utilities.annotations import opaque

from tasks.batch_tasks import WorkItem
from tasks.outputs import download_output, download_shard
from tasks.results import TaskResult, stderr_of_task
from tasks.sharding import failure_of, in_threads, shard_size
from tasks.summary import FileResult, FileResults, problem_of

# Each takes a few requests; a run of which thousands fail mostly fails for one reason.
STDERRS_MAX = 50


@dataclass
class Downloads:
    """The outputs of a run on their way; tasks are handed in as they complete."""

    container: str
    folder: Path
    items: dict[str, WorkItem]
    """By Batch task id."""

    results: dict[str, TaskResult] = field(default_factory=dict)
    pending: list[WorkItem] = field(default_factory=list)
    started: list[tuple[list[WorkItem], PrefectFuture]] = field(default_factory=list)

    def begin(self, completed: list[TaskResult]) -> None:
        """Take completed Batch tasks, and start a download for each full shard of those that succeeded."""
        new = [result for result in completed if result.task_id not in self.results]
        self.results.update({result.task_id: result for result in new})
        self.pending += [self.items[result.task_id] for result in new if result.succeeded]
        size = shard_size(len(self.items))
        while len(self.pending) >= size:
            self.submit(self.pending[:size])
            del self.pending[:size]

    def submit(self, items: list[WorkItem]) -> None:
        names = [item.output_name for item in items]
        if shard_size(len(self.items)) == 1:
            future = download_output.submit(self.container, names[0], self.folder)
        else:
            label = str(len(self.started) + 1)
            future = download_shard.submit(label, self.container, opaque(names), self.folder)
        self.started.append((items, future))

    def finish(self, job_id: str) -> FileResults:
        """Wait for all downloads; what became of each file, in the order of the items."""
        if self.pending:
            self.submit(self.pending)
            self.pending = []
        wait([future for _, future in self.started])
        paths, problems = {}, {}
        for items, future in self.started:
            ids = [item.task_id for item in items]
            error = failure_of(future)
            if error is None:
                paths.update(zip(ids, paths_of(future), strict=True))
            else:
                problems.update(dict.fromkeys(ids, f"the download failed: {error}"))
        return self.file_results(job_id, paths, problems)

    def file_results(
        self, job_id: str, paths: dict[str, str | None], problems: dict[str, str]
    ) -> FileResults:
        stderrs = self.stderrs(job_id)
        return FileResults(
            FileResult(
                name=item.name,
                task=(task := self.results.get(task_id)),
                output_path=paths.get(task_id),
                problem=problems.get(task_id) or problem_of(task, paths.get(task_id) is not None),
                stderr=stderrs.get(task_id, ""),
            )
            for task_id, item in self.items.items()
        )

    def stderrs(self, job_id: str) -> dict[str, str]:
        """The ends of the standard errors of the first tasks that failed, by task id."""
        failed = [task_id for task_id in self.items if self.has_failed(task_id)][:STDERRS_MAX]
        texts = in_threads(lambda task_id: stderr_of_task(job_id, task_id, self.container), failed)
        return dict(zip(failed, texts, strict=True))

    def has_failed(self, task_id: str) -> bool:
        return task_id in self.results and not self.results[task_id].succeeded


def paths_of(future: PrefectFuture) -> list[str | None]:
    """What a download of one file, or of a shard, has returned."""
    found = future.result()
    return found if isinstance(found, list) else [found]
