"""The Batch tasks that a run waits for, and what else its job has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.base.known_texts import KnownTexts
from tasks.spec.bundles import Unit
from tasks.spec.work import WorkItems
from tasks.watch.completed_tasks import Seen


@dataclass(frozen=True)
class OtherTasks:
    """Tasks in the job of a run that are not waited for: all completed, left there by an earlier attempt."""

    completed: int = 0
    failed: int = 0
    """Of the completed."""


NO_OTHER_TASKS = OtherTasks()


class AwaitedTasks:
    """The Batch tasks that are waited for, and which of them are still to come."""

    def __init__(self, units: Sequence[Unit], seen: Seen):
        """Tasks that were `seen` to complete are not to come any more."""
        self.units = units
        self.others: OtherTasks | None = None
        """None until the job's tasks are counted."""

        is_work = isinstance(units, WorkItems)
        self._find = (units if is_work else KnownTexts(unit.task_id for unit in units)).find
        # Results have the numbers of the work: those of bundles are others.
        known = seen.numbers[: len(units)] if is_work else b""
        self._is_left = bytearray(not is_known for is_known in known) + b"\1" * (len(units) - len(known))
        self.left_count = sum(self._is_left)

    def __contains__(self, task_id: str) -> bool:
        return self._find(task_id) is not None

    def take(self, task_id: str) -> bool:
        """Whether a task was to come; it is not from now on."""
        number = self._find(task_id)
        if number is None or not self._is_left[number]:
            return False
        self._is_left[number] = False
        self.left_count -= 1
        return True

    def list_left(self) -> Iterator[str]:
        """The ids of those that are to come."""
        return (unit.task_id for unit, is_left in zip(self.units, self._is_left, strict=True) if is_left)
