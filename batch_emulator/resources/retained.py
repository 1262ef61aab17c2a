"""Completed tasks whose directories are still on their nodes, in the order in which these may go."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from batch_emulator.resources.model import Task


@dataclass(slots=True)
class _Queue:
    """Three values for each task. Not the task itself: that may be deleted long before its retention ends."""

    ends: deque[int] = field(default_factory=deque)
    job_keys: deque[str] = field(default_factory=deque)
    task_keys: deque[str] = field(default_factory=deque)


class Retained:
    """For each retention time the tasks that have it, in order of their end; 24 bytes a task.

    A task that has run again is there once for each end, and only the last of these counts. `alarms` has the
    number of the one timer that counts for each retention time. How many tasks of which job have data on a
    node is counted: nodes and jobs are few.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._on_nodes: dict[str, Counter[str]] = {}
        self.alarms: dict[str, int] = {}

    def add(self, retention_time: str, task: Task, ended: int) -> bool:
        """Note the end of a task, in ticks. Returns whether it is the only one with this retention time."""
        queue = self._queues.setdefault(retention_time, _Queue())
        queue.ends.append(ended)
        queue.job_keys.append(task.job_key)
        queue.task_keys.append(task.key)
        return len(queue.ends) == 1

    def has(self, retention_time: str, ended: int) -> bool:
        """Whether a task that was added with this end is still there."""
        first = self.first_end(retention_time)
        return first is not None and first <= ended

    def keep_on(self, node_id: str, job_key: str) -> None:
        """A task of the job has left data on a node."""
        self._on_nodes.setdefault(node_id, Counter())[job_key] += 1

    def let_go(self, node_id: str, job_key: str) -> None:
        """That of one task is no longer wanted, if the node and the job are still there."""
        counts = self._on_nodes.get(node_id, {})
        if counts.get(job_key):
            counts[job_key] -= 1

    def is_on(self, node_id: str) -> bool:
        """Whether a node has data of any task."""
        return any(self._on_nodes.get(node_id, {}).values())

    def forget_node(self, node_id: str) -> None:
        self._on_nodes.pop(node_id, None)

    def forget_job(self, job_key: str) -> None:
        for counts in self._on_nodes.values():
            counts.pop(job_key, None)

    def pop_until(self, retention_time: str, ended: int) -> Iterator[tuple[int, str, str]]:
        """Take out what ended at this time (ticks) or before: end, job key, task key. The task may be gone,
        or have run again since."""
        queue = self._queues.get(retention_time, _Queue())
        while queue.ends and queue.ends[0] <= ended:
            yield queue.ends.popleft(), queue.job_keys.popleft(), queue.task_keys.popleft()

    def first_end(self, retention_time: str) -> int | None:
        """When the first of those that are left ended."""
        queue = self._queues.get(retention_time)
        return queue.ends[0] if queue and queue.ends else None
