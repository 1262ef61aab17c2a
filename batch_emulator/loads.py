"""What the jobs of each pool ask of it, as sums that are kept while tasks change: nothing is counted anew."""

from __future__ import annotations

from typing import NamedTuple


class Load(NamedTuple):
    """Tasks of one job, or of all jobs of one pool. `ready` ones could start; a multi-instance task counts
    there as many times as it has instances."""

    ready: int = 0
    running: int = 0
    running_slots: int = 0
    succeeded: int = 0
    failed: int = 0


_NOTHING = Load()


class Loads:
    """The sum of each pool's jobs. Whoever changes a job's tasks, state or pool reports its new load."""

    def __init__(self) -> None:
        self._of_jobs: dict[str, tuple[str, Load]] = {}
        self._of_pools: dict[str, Load] = {}

    def report(self, job_key: str, pool_key: str, load: Load) -> None:
        """A job's load is now this, and it is that pool's."""
        before = self._of_jobs.get(job_key)
        if before == (pool_key, load):
            return
        if before is not None:
            self._add(before[0], before[1], -1)
        self._of_jobs[job_key] = (pool_key, load)
        self._add(pool_key, load, 1)

    def forget(self, job_key: str) -> None:
        """The job is gone."""
        if before := self._of_jobs.pop(job_key, None):
            self._add(*before, -1)

    def of_pool(self, pool_key: str) -> Load:
        return self._of_pools.get(pool_key, _NOTHING)

    def _add(self, pool_key: str, load: Load, sign: int) -> None:
        known = self.of_pool(pool_key)
        total = Load(*(there + sign * more for there, more in zip(known, load, strict=True)))
        if total == _NOTHING:
            self._of_pools.pop(pool_key, None)
        else:
            self._of_pools[pool_key] = total
