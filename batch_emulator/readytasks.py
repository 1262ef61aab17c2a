"""The tasks of a job that can be started, by the slots that they need."""

from __future__ import annotations

from collections import deque

from batch_emulator.model import Task

_SLACK = 64


class ReadyTasks:
    """Ready tasks in order of becoming ready, the job manager task (`manager`) apart. What is no longer ready
    leaves its queue when it gets to the head, so that no operation costs more for more tasks."""

    def __init__(self) -> None:
        self._queues: dict[int, deque[Task]] = {}
        self._counts: dict[int, int] = {}
        self.manager: Task | None = None

    def __bool__(self) -> bool:
        return bool(self._counts) or self.manager is not None

    def __len__(self) -> int:
        return sum(self._counts.values()) + (self.manager is not None)

    def add(self, task: Task) -> None:
        if task.ready:
            return
        task.ready = True
        if task.is_manager:
            self.manager = task
            return
        queue = self._queues.setdefault(task.slots, deque())
        queue.append(task)
        self._counts[task.slots] = count = self._counts.get(task.slots, 0) + 1
        if len(queue) > 2 * count + _SLACK:
            self._queues[task.slots] = _without_stale(queue)

    def discard(self, task: Task) -> None:
        if not task.ready:
            return
        task.ready = False
        if task is self.manager:
            self.manager = None
            return
        self._counts[task.slots] -= 1
        if not self._counts[task.slots]:
            del self._counts[task.slots], self._queues[task.slots]

    def first(self, most_slots: int) -> Task | None:
        """The oldest task that needs no more than `most_slots`: of each number of slots the one that became
        ready first is looked at."""
        heads = [self._head(slots) for slots in self._counts if slots <= most_slots]
        return min(heads, key=lambda task: task.number, default=None)

    def _head(self, slots: int) -> Task:
        queue = self._queues[slots]
        while not queue[0].ready:
            queue.popleft()
        return queue[0]


def _without_stale(queue: deque[Task]) -> deque[Task]:
    """Each ready task once, at its first place."""
    return deque({id(task): task for task in queue if task.ready}.values())
