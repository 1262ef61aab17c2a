"""The tasks of one job, with their indexes: by id, by state, ready to run, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sortedcontainers import SortedDict, SortedSet

from batch_emulator.model import Task

STATES = ("active", "preparing", "running", "completed")


@dataclass(slots=True)
class Counts:
    """How many tasks, or slots, stand where. `running` includes `preparing`, as in Get Task Counts."""

    active: int = 0
    running: int = 0
    completed: int = 0
    succeeded: int = 0
    failed: int = 0

    def add(self, task: Task, amount: int) -> None:
        state = "running" if task.state == "preparing" else task.state
        setattr(self, state, getattr(self, state) + amount)
        if state == "completed":
            outcome = "succeeded" if task.result == "success" else "failed"
            setattr(self, outcome, getattr(self, outcome) + amount)


class JobTasks:
    """One job's tasks. Every change of a task's state or result goes through here."""

    def __init__(self) -> None:
        self.by_id: SortedDict[str, Task] = SortedDict()
        self.by_state: dict[str, SortedSet] = {state: SortedSet() for state in STATES}
        self.counts = Counts()
        self.slot_counts = Counts()
        self._ready: dict[int, dict[str, Task]] = {}
        self._blocked: dict[str, int] = {}
        self._dependents: dict[str, list[str]] = {}

    def add(self, task: Task, *, ready: bool) -> None:
        self.by_id[task.key] = task
        self.by_state[task.state].add(task.key)
        self._count(task, 1)
        if ready:
            self.make_ready(task)

    def remove(self, task: Task) -> None:
        del self.by_id[task.key]
        self.by_state[task.state].discard(task.key)
        self._count(task, -1)
        self._unready(task)
        self._blocked.pop(task.key, None)

    def move(self, task: Task, after: str) -> None:
        """Refile a task that is about to be in state `after`; its `result` is already the new one."""
        self._count(task, -1)
        self._unready(task)
        self.by_state[task.state].discard(task.key)
        before, task.state = task.state, after
        self._count(task, 1)
        task.state = before
        self.by_state[after].add(task.key)
        if after == "active":
            self.make_ready(task)

    def block(self, task_key: str, missing: list[str]) -> None:
        """Hold a task back until each of `missing` has been given to `unblock`."""
        if missing:
            self._blocked[task_key] = len(missing)
        for each in missing:
            self._dependents.setdefault(each, []).append(task_key)

    def unblock(self, satisfied: str) -> list[str]:
        """The tasks that waited for this one last."""
        freed = []
        for task_key in self._dependents.pop(satisfied, ()):
            left = self._blocked.get(task_key, 0) - 1
            if left == 0:
                freed.append(task_key)
                del self._blocked[task_key]
            elif left > 0:
                self._blocked[task_key] = left
        return freed

    def make_ready(self, task: Task) -> None:
        self._ready.setdefault(task.slots, {})[task.key] = task

    def _unready(self, task: Task) -> None:
        waiting = self._ready.get(task.slots)
        if waiting and waiting.pop(task.key, None) and not waiting:
            del self._ready[task.slots]

    def _count(self, task: Task, sign: int) -> None:
        self.counts.add(task, sign)
        self.slot_counts.add(task, sign * task.slots)

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    @property
    def running(self) -> int:
        """Tasks that hold slots for this job's `maxParallelTasks`."""
        return self.counts.running

    def next_ready(self, most_slots: int) -> Task | None:
        """The oldest ready task that needs no more than `most_slots`, in order of becoming ready."""
        heads = [next(iter(tasks.values())) for slots, tasks in self._ready.items() if slots <= most_slots]
        return min(heads, key=lambda task: task.number, default=None)

    def ids(self, states: frozenset[str] | None, after: str | None) -> Iterator[str]:
        """Task keys in order of id, of these states only, behind `after`."""
        if states is not None and len(states) == 1:
            (state,) = states
            yield from self.by_state[state].irange(after, inclusive=(False, True))
            return
        for task_key in self.by_id.irange(after, inclusive=(False, True)):
            if states is None or self.by_id[task_key].state in states:
                yield task_key
