"""The jobs of one pool that can start a task, in the two orders in which they may be served."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sortedcontainers import SortedList


class JobQueue:
    """Jobs by priority, then by age; and, of those whose load is asked for, by load before age.

    The order by load is brought up to date when it is asked for, and then for the jobs alone whose load may
    have changed since.
    """

    def __init__(self) -> None:
        #: Rank, age and key of each job, in order.
        self.by_age: SortedList[tuple[int, int, str]] = SortedList()
        self._by_load: SortedList[tuple[int, int, int, str]] = SortedList()
        self._loads: dict[str, tuple[int, int, int, str]] = {}
        self._entries: dict[str, tuple[int, int, str]] = {}
        self._moved: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, job_key: str, rank: int, number: int) -> None:
        """The job is in the queue, at the place of its `rank` (the lowest first) and age; its load may be
        another than before."""
        entry = (rank, number, job_key)
        if self._entries.get(job_key) != entry:
            self.drop(job_key)
            self.by_age.add(entry)
            self._entries[job_key] = entry
        self._moved.add(job_key)

    def drop(self, job_key: str) -> None:
        """The job is not in the queue."""
        if entry := self._entries.pop(job_key, None):
            self.by_age.remove(entry)
        if load := self._loads.pop(job_key, None):
            self._by_load.remove(load)
        self._moved.discard(job_key)

    def by_load(self, load_of: Callable[[str], int]) -> Iterable[tuple[int, int, int, str]]:
        """As `by_age`, but of one rank the least load first."""
        for job_key in self._moved:
            self._file_load(job_key, load_of(job_key))
        self._moved.clear()
        return self._by_load

    def _file_load(self, job_key: str, load: int) -> None:
        rank, number, _ = self._entries[job_key]
        entry = (rank, load, number, job_key)
        before = self._loads.get(job_key)
        if before == entry:
            return
        if before is not None:
            self._by_load.remove(before)
        self._by_load.add(entry)
        self._loads[job_key] = entry
