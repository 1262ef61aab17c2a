"""What the jobs of a pool ask of it: which jobs these are is kept, their tasks are added up when asked."""

from __future__ import annotations

from collections.abc import Iterable
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
    """The keys of each pool's jobs. Whoever adds a job, or moves it to another pool, files it."""

    def __init__(self) -> None:
        self._pools: dict[str, str] = {}
        self._jobs: dict[str, dict[str, None]] = {}

    def file(self, job_key: str, pool_key: str) -> None:
        if self._pools.get(job_key) != pool_key:
            self.forget(job_key)
            self._pools[job_key] = pool_key
            self._jobs.setdefault(pool_key, {})[job_key] = None

    def forget(self, job_key: str) -> None:
        """The job is gone."""
        if pool_key := self._pools.pop(job_key, None):
            del self._jobs[pool_key][job_key]
            if not self._jobs[pool_key]:
                del self._jobs[pool_key]

    def of_pool(self, pool_key: str) -> list[str]:
        return list(self._jobs.get(pool_key, ()))


def add_up(jobs: Iterable[tuple[Job, JobTasks]]) -> Load:
    """The sum over jobs, from the counts that each keeps. Only those of active jobs are ready."""
    loads = [_load(job, tasks) for job, tasks in jobs]
    return Load(*map(sum, zip(*loads, strict=True))) if loads else Load()


def _load(job: Job, tasks: JobTasks) -> Load:
    counts = tasks.counts
    ready = tasks.ready.instances if job.state == "active" else 0
    return Load(ready, counts.running, tasks.slot_counts.running, counts.succeeded, counts.failed)
