"""What the jobs of a pool ask of it: which jobs these are is kept, their tasks are added up when asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Job


class Load(NamedTuple):
    """Tasks of all jobs of one pool. `ready` ones could start; a multi-instance task counts there as many
    times as it has instances."""

    ready: int = 0
    running: int = 0
    running_slots: int = 0
    succeeded: int = 0
    failed: int = 0


class JobsOfPools:
    """The keys of each pool's jobs, and of those that let others push their tasks out. Whoever adds a job,
    changes that or moves it to another pool, files it."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, bool]] = {}
        self._jobs: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._preemptible: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def file(self, job_key: str, pool_key: str, is_preemptible: bool) -> None:
        if self._places.get(job_key) != (pool_key, is_preemptible):
            self.forget(job_key)
            self._places[job_key] = (pool_key, is_preemptible)
            self._jobs[pool_key][job_key] = None
            if is_preemptible:
                self._preemptible[pool_key][job_key] = None

    def forget(self, job_key: str) -> None:
        """The job is gone."""
        pool_key, _ = self._places.pop(job_key, (None, False))
        if pool_key is None:
            return
        for jobs in (self._jobs, self._preemptible):
            jobs[pool_key].pop(job_key, None)
            if not jobs[pool_key]:
                del jobs[pool_key]

    def of_pool(self, pool_key: str) -> list[str]:
        return list(self._jobs.get(pool_key, ()))

    def preemptible(self, pool_key: str) -> Collection[str]:
        return self._preemptible.get(pool_key, ())


def add_up(jobs: Iterable[tuple[Job, JobTasks]]) -> Load:
    """The sum over jobs, from the counts that each keeps. Only those of active jobs are ready."""
    loads = [_load(job, tasks) for job, tasks in jobs]
    return Load(*map(sum, zip(*loads, strict=True))) if loads else Load()


def _load(job: Job, tasks: JobTasks) -> Load:
    counts = tasks.counts
    ready = tasks.ready.instances if job.state == "active" else 0
    return Load(ready, counts.running, tasks.slot_counts.running, counts.succeeded, counts.failed)
