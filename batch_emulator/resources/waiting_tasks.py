"""The tasks of a job that wait for others before they can run."""

from __future__ import annotations

from collections.abc import Iterator

#: What else a task waits for, with the position among all that it depends on.
Rest = Iterator[tuple[int, str]]


class WaitingTasks:
    """Each is filed under one thing that it waits for, with the rest still to be looked at: however much a
    task depends on, keeping it here costs the same."""

    def __init__(self) -> None:
        self._rests: dict[str, Rest] = {}
        self._filed: dict[str, list[tuple[str, Rest]]] = {}

    def __contains__(self, task_key: str) -> bool:
        return task_key in self._rests

    def hold(self, task_key: str, awaited: str, rest: Rest) -> None:
        """File a task under what it waits for now."""
        self._rests[task_key] = rest
        self._filed.setdefault(awaited, []).append((task_key, rest))

    def take(self, awaited: str) -> list[tuple[str, Rest]]:
        """Take out the tasks that wait for this; with each the rest that it was filed with."""
        filed = self._filed.pop(awaited, [])
        found = [(task_key, rest) for task_key, rest in filed if self._rests.get(task_key) is rest]
        for task_key, _ in found:
            del self._rests[task_key]
        return found

    def discard(self, task_key: str) -> None:
        """A task that was deleted waits no more."""
        self._rests.pop(task_key, None)
