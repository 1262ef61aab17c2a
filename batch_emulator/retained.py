"""Completed tasks whose directories are still on their nodes, in the order in which these may go."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from batch_emulator.model import Task


class Retained:
    """For each retention time the tasks that have it, in order of their end; 16 bytes a task.

    A task that has run again is there once for each end, and only the last of these counts. `alarms` has the
    number of the one timer that counts for each retention time.
    """

    def __init__(self) -> None:
        self._ends: dict[str, deque[int]] = {}
        self._tasks: dict[str, deque[Task]] = {}
        self.alarms: dict[str, int] = {}

    def add(self, retention_time: str, task: Task) -> bool:
        """Note the end of a task. Returns whether it is the only one with this retention time."""
        ends = self._ends.setdefault(retention_time, deque())
        ends.append(task.ended)
        self._tasks.setdefault(retention_time, deque()).append(task)
        return len(ends) == 1

    def pop_until(self, retention_time: str, ended: int) -> Iterator[Task]:
        """Take out the tasks that ended at this time (ticks) or before; those that run again are left out."""
        ends, tasks = self._ends.get(retention_time, deque()), self._tasks.get(retention_time, deque())
        while ends and ends[0] <= ended:
            end, task = ends.popleft(), tasks.popleft()
            if task.ended == end:
                yield task

    def first_end(self, retention_time: str) -> int | None:
        """When the first of those that are left ended."""
        ends = self._ends.get(retention_time)
        return ends[0] if ends else None
