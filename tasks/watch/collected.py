"""What is known of many Batch tasks, and of their outputs, by the ids of the tasks; kept as bytes."""

from array import array
from collections.abc import Iterable

from tasks.base.packed import KnownTexts
from tasks.spec.file_results import TaskResult
from tasks.spec.packed_results import TaskEnds

MD5_BYTES = 16


class TaskResults:
    """How Batch tasks have ended, the first that is told of each."""

    def __init__(self, results: Iterable[TaskResult] = ()):
        self.failed = 0
        """How many did not succeed."""

        self._ids, self._ends = KnownTexts(), TaskEnds()
        for result in results:
            self.add(result)

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._ids

    def add(self, result: TaskResult) -> bool:
        """Keep how a task has ended; whether it wasn't known before."""
        if self._ids.add(result.task_id) < len(self._ends):
            return False
        self.failed += not result.succeeded
        self._ends.append(result)
        return True

    def get(self, task_id: str) -> TaskResult | None:
        """How a task has ended; None if it isn't known to have."""
        number = self._ids.find(task_id)
        return None if number is None else self._ends.make(number, task_id)

    def find_seconds(self, task_id: str) -> float | None:
        """How long a task's program ran, if that is known."""
        number = self._ids.find(task_id)
        return None if number is None else self._ends.find_seconds(number)


class OutputMd5s:
    """The MD5s of outputs that are there, "" of one whose MD5 nobody knows, and None of work that has left
    none."""

    def __init__(self):
        self.found = 0
        """How many outputs are there."""

        self._ids, self._lengths, self._md5s = KnownTexts(), array("b"), bytearray()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._ids

    def note(self, task_id: str, md5: str | None) -> None:
        """Keep an output's MD5, hexadecimal; the latest counts."""
        number = self._ids.add(task_id)
        if number == len(self._lengths):
            self._lengths.append(-1)
            self._md5s += bytes(MD5_BYTES)
        content = bytes.fromhex(md5 or "")
        self.found += (md5 is not None) - (self._lengths[number] >= 0)
        self._lengths[number] = -1 if md5 is None else len(content)
        start = number * MD5_BYTES
        self._md5s[start : start + len(content)] = content

    def get(self, task_id: str) -> str | None:
        """An output's MD5; None also of one of which nothing is known yet."""
        number = self._ids.find(task_id)
        if number is None or self._lengths[number] < 0:
            return None
        start = number * MD5_BYTES
        return self._md5s[start : start + self._lengths[number]].hex()
