"""What is known of many Batch tasks, and of their outputs, by the numbers of the work that they do; kept as
bytes.
"""

from array import array
from collections.abc import Iterable

from tasks.spec.file_results import TaskResult
from tasks.spec.packed_results import TaskEnds

MD5_BYTES = 16
# Where there would be a place, or a length, of work of which nothing is known.
UNKNOWN, NO_OUTPUT = -2, -1


class TaskResults:
    """How Batch tasks have ended, the first that is told of each."""

    def __init__(self, results: Iterable[tuple[int, TaskResult]] = ()):
        self.failed = 0
        """How many did not succeed."""

        self._places, self._ends = array("i"), TaskEnds()
        for number, result in results:
            self.add(number, result)

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, number: int) -> bool:
        return self._find(number) != UNKNOWN

    def add(self, number: int, result: TaskResult) -> bool:
        """Keep how the task that does this work has ended; whether it wasn't known before."""
        if number in self:
            return False
        _lengthen(self._places, number)
        self._places[number] = len(self._ends)
        self.failed += not result.succeeded
        self._ends.append(result)
        return True

    def get(self, number: int, task_id: str) -> TaskResult | None:
        """How the task that does this work has ended; None if it isn't known to have."""
        place = self._find(number)
        return None if place == UNKNOWN else self._ends.make(place, task_id)

    def mark_known(self) -> bytearray:
        """Of the work of each number 1 if its task is known to have ended, else 0: as it is now, whatever is
        told later."""
        return bytearray(place != UNKNOWN for place in self._places)

    def find_seconds(self, number: int) -> float | None:
        """How long the program ran, if that is known."""
        place = self._find(number)
        return None if place == UNKNOWN else self._ends.find_seconds(place)

    def _find(self, number: int) -> int:
        return self._places[number] if number < len(self._places) else UNKNOWN


class OutputMd5s:
    """The MD5s of outputs that are there, "" of one whose MD5 nobody knows, and None of work that has left
    none."""

    def __init__(self):
        self.found = 0
        """How many outputs are there."""

        self._noted = 0
        self._lengths, self._md5s = array("b"), bytearray()

    def __len__(self) -> int:
        return self._noted

    def __contains__(self, number: int) -> bool:
        return self._find_length(number) != UNKNOWN

    def note(self, number: int, md5: str | None) -> None:
        """Keep the MD5 of the output of some work, hexadecimal; the latest counts."""
        known = self._find_length(number)
        self._noted += known == UNKNOWN
        self.found += (md5 is not None) - (known >= 0)
        _lengthen(self._lengths, number)
        start, content = number * MD5_BYTES, bytes.fromhex(md5 or "")
        self._md5s += bytes(max(0, start + MD5_BYTES - len(self._md5s)))
        self._md5s[start : start + len(content)] = content
        self._lengths[number] = NO_OUTPUT if md5 is None else len(content)

    def get(self, number: int) -> str | None:
        """An output's MD5; None also of one of which nothing is known yet."""
        length, start = self._find_length(number), number * MD5_BYTES
        return None if length < 0 else self._md5s[start : start + length].hex()

    def has_output(self, number: int) -> bool:
        return self._find_length(number) >= 0

    def _find_length(self, number: int) -> int:
        return self._lengths[number] if number < len(self._lengths) else UNKNOWN


def _lengthen(column: array, number: int) -> None:
    """See that a column has a place of that number."""
    if number >= len(column):
        column.extend([UNKNOWN] * (number + 1 - len(column)))
