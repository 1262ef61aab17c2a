"""Which of a job's tasks changed their state when: the newest are found without looking at the others."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

from batch_emulator.resources.model import Task

_SLACK = 1024


class Changes:
    """Changes of state in order of time, 16 bytes each. One that a later one has made stale stays a while."""

    def __init__(self) -> None:
        self._times = array("q")
        self._tasks: list[Task] = []

    def note(self, task: Task) -> None:
        """The task's state is what it is since `state_since`."""
        time = task.state_since
        if not self._times or time >= self._times[-1]:
            self._times.append(time)
            self._tasks.append(task)
            return
        position = bisect_right(self._times, time)
        self._times.insert(position, time)
        self._tasks.insert(position, task)

    def count_since(self, time: int) -> int:
        """No fewer than the tasks whose state changed at `time` (ticks) or later."""
        return len(self._times) - bisect_left(self._times, time)

    def since(self, time: int) -> Iterator[Task]:
        """Tasks whose state last changed at `time` (ticks) or later; some come twice, or are gone."""
        for position in range(bisect_left(self._times, time), len(self._times)):
            task = self._tasks[position]
            if task.state_since == self._times[position]:
                yield task

    def tidy(self, task_count: int, exists: Callable[[Task], bool]) -> None:
        """Drop what is stale, once that is more than half."""
        if len(self._times) <= 2 * task_count + _SLACK:
            return
        entries = zip(self._times, self._tasks, strict=True)
        kept = [(time, task) for time, task in entries if task.state_since == time and exists(task)]
        self._times = array("q", (time for time, _ in kept))
        self._tasks = [task for _, task in kept]
