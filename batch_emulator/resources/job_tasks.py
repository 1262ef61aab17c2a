"""The tasks of one job, with their indexes: by id, by state, failed, by time of change, ready, counted."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from sortedcontainers import SortedDict, SortedSet

from batch_emulator.resources.changes import Changes
from batch_emulator.resources.model import Task
from batch_emulator.resources.ready_tasks import ReadyTasks
from batch_emulator.resources.transitions import TASK, TaskState
from batch_emulator.resources.waiting_tasks import WaitingTasks

#: Sorts behind every character of an id.
_LAST = "\U0010ffff"


@dataclass(slots=True)
class Counts:
    """How many tasks, or slots, stand where. `running` includes `preparing`, as in Get Task Counts."""

    active: int = 0
    running: int = 0
    completed: int = 0
    succeeded: int = 0
    failed: int = 0

    def add(self, task: Task, amount: int) -> None:
        if task.state == "active":
            self.active += amount
        elif task.state != "completed":
            self.running += amount
        elif task.result == "success":
            self.completed += amount
            self.succeeded += amount
        else:
            self.completed += amount
            self.failed += amount


class JobTasks:
    """One job's tasks. Every change of a task's state goes through here; its `result` changes only before it
    becomes completed and after it was."""

    def __init__(self) -> None:
        self.by_id: SortedDict[str, Task] = SortedDict()
        self.by_state: dict[str, SortedSet] = {state: SortedSet() for state in TASK}
        self.failed: SortedSet = SortedSet()
        self.counts = Counts()
        self.slot_counts = Counts()
        self.ready = ReadyTasks()
        self._changes = Changes()
        self.waiting = WaitingTasks()
        self.padded: dict[str, set[str]] = {}

    def add(self, task: Task, *, ready: bool) -> None:
        self.by_id[task.key] = task
        if number := _padded_number(task.key):
            self.padded.setdefault(number, set()).add(task.key)
        self._file(task)
        self._changes.note(task)
        task.ready = False
        if ready:
            self.ready.add(task)

    def remove(self, task: Task) -> None:
        self.ready.discard(task)
        self._unfile(task)
        del self.by_id[task.key]
        self._changes.tidy(len(self.by_id), self._exists)
        self.waiting.discard(task.key)
        if number := _padded_number(task.key):
            self.padded[number].discard(task.key)

    def move(self, task: Task, after: TaskState, now: int) -> None:
        """Take a task to another state, or to the one that it is in once more. One that becomes active is
        ready, unless it still waits for others."""
        self.ready.discard(task)
        if after != task.state:
            self._unfile(task)
            task.previous_state, task.previous_state_since = task.state, task.state_since
            task.state, task.state_since = after, now
            self._file(task)
            self._changes.note(task)
            self._changes.tidy(len(self.by_id), self._exists)
        if after == "active" and task.key not in self.waiting:
            self.ready.add(task)

    def _file(self, task: Task) -> None:
        self.by_state[task.state].add(task.key)
        if task.state == "completed" and task.result != "success":
            self.failed.add(task.key)
        self._count(task, 1)

    def _unfile(self, task: Task) -> None:
        self.by_state[task.state].remove(task.key)
        self.failed.discard(task.key)
        self._count(task, -1)

    def _count(self, task: Task, sign: int) -> None:
        self.counts.add(task, sign)
        self.slot_counts.add(task, sign * task.slots)

    def free(self, count: int) -> bool:
        """Forget some of the tasks of a job that is gone: a million at once would take a second. Returns
        whether there are more."""
        self.by_state, self.failed, self._changes, self.ready = {}, SortedSet(), Changes(), ReadyTasks()
        for _ in range(min(count, len(self.by_id))):
            self.by_id.popitem()
        return bool(self.by_id)

    def _exists(self, task: Task) -> bool:
        return self.by_id.get(task.key) is task

    @property
    def running(self) -> int:
        """Tasks that hold slots for this job's `maxParallelTasks`."""
        return self.counts.running

    def ids(self, states: frozenset[str] | None, after: str | None) -> Iterator[str]:
        """Task keys in order of id, of these states only, behind `after`."""
        filed = [self.by_id] if states is None else [self.by_state[state] for state in sorted(states)]
        ranges = [each.irange(after, inclusive=(False, True)) for each in filed]
        return ranges[0] if len(ranges) == 1 else heapq.merge(*ranges)

    def count_with_prefix(self, prefix: str) -> int:
        return self.by_id.bisect_left(prefix + _LAST) - self.by_id.bisect_left(prefix)

    def ids_with_prefix(self, prefix: str, after: str | None) -> Iterator[str]:
        """Task keys that begin with `prefix`, in order, behind `after`."""
        if after is None or after < prefix:
            return self.by_id.irange(prefix, prefix + _LAST)
        return self.by_id.irange(after, prefix + _LAST, inclusive=(False, True))

    def count_changed_since(self, time: int) -> int:
        """How many tasks `ids_changed_since` looks at."""
        return self._changes.count_since(time)

    def ids_changed_since(self, time: int, after: str | None) -> Iterator[str]:
        """Keys of the tasks whose state last changed at `time` or later, in order of id, behind `after`."""
        found = {task.key for task in self._changes.since(time) if self._exists(task)}
        behind = [each for each in found if after is None or each > after]
        heapq.heapify(behind)
        while behind:
            yield heapq.heappop(behind)


def _padded_number(task_key: str) -> str | None:
    """`7` for `007`; None for what is no number, or a number without zeros in front."""
    padded = task_key.startswith("0") and task_key.isdecimal() and task_key != "0"
    return str(int(task_key)) if padded else None
