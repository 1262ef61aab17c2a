"""The tasks of a job that can be started, by the slots that they need."""

from __future__ import annotations

from collections import deque

from batch_emulator.resources.model import Task

_SLACK = 64


class ReadyTasks:
    """Ready tasks in order of becoming ready, the job manager task (`manager`) apart. What is no longer ready
    leaves its queue when it gets to the head, so that no operation costs more for more tasks.

    There is a queue for each number of slots, and one for each number of nodes, below zero, for the
    multi-instance tasks.
    """

    def __init__(self) -> None:
        self._queues: dict[int, deque[Task]] = {}
        self._counts: dict[int, int] = {}
        self.manager: Task | None = None

    def __bool__(self) -> bool:
        return bool(self._counts) or self.manager is not None

    def __len__(self) -> int:
        return sum(self._counts.values()) + (self.manager is not None)

    @property
    def instances(self) -> int:
        """Ready tasks, a multi-instance task as many times as it has instances."""
        counts = self._counts.items()
        return sum(count * max(1, -need) for need, count in counts) + (self.manager is not None)

    def add(self, task: Task) -> None:
        if task.ready:
            return
        task.ready = True
        if task.is_manager:
            self.manager = task
            return
        need = _need(task)
        queue = self._queues.setdefault(need, deque())
        queue.append(task)
        self._counts[need] = count = self._counts.get(need, 0) + 1
        if len(queue) > 2 * count + _SLACK:
            self._queues[need] = _without_stale(queue)

    def discard(self, task: Task) -> None:
        if not task.ready:
            return
        task.ready = False
        if task is self.manager:
            self.manager = None
            return
        need = _need(task)
        self._counts[need] -= 1
        if not self._counts[need]:
            del self._counts[need], self._queues[need]

    def first(self, most_slots: int) -> Task | None:
        """The oldest task that needs no more than `most_slots`: of each number of slots the one that became
        ready first is looked at."""
        heads = [self._head(need) for need in self._counts if 0 < need <= most_slots]
        return min(heads, key=lambda task: task.number, default=None)

    @property
    def has_multi_instance(self) -> bool:
        return any(need < 0 for need in self._counts)

    def first_multi_instance(self, most_nodes: int) -> Task | None:
        """The oldest multi-instance task that needs no more than `most_nodes`, found in the same way."""
        heads = [self._head(need) for need in self._counts if -most_nodes <= need < 0]
        return min(heads, key=lambda task: task.number, default=None)

    def _head(self, need: int) -> Task:
        queue = self._queues[need]
        while not queue[0].ready:
            queue.popleft()
        return queue[0]


def _need(task: Task) -> int:
    """The slots that a task needs, or, below zero, the nodes."""
    if "multiInstanceSettings" in task.spec:
        return -task.spec["multiInstanceSettings"]["numberOfInstances"]
    return task.slots


def _without_stale(queue: deque[Task]) -> deque[Task]:
    """Each ready task once, at its first place."""
    return deque({id(task): task for task in queue if task.ready}.values())
