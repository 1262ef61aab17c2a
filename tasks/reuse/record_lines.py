"""What is remembered of many outputs, as lines in the order of their names: kept as bytes."""

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice, pairwise
from json.encoder import encode_basestring_ascii as spell_name
from operator import le
from typing import Any, NamedTuple

import orjson

from tasks.base.packed import PackedTexts

# A line up to the end of its name. As no such beginning is that of another, lines are in the order of these.
_BEGINNING = re.compile(rb'\["(?:[^"\\]|\\.)*",')

BATCH_LINES = 10_000
# A run of a million files has 2,000 shards, of those of earlier attempts some more.
RUNS_MAX = 10_000


class OutputRecord(NamedTuple):
    """How one output was made: the digest of all that made it (`tasks.spec.recipe`), the MD5 of its content,
    hexadecimal, and how long its program ran, if that is known."""

    source: str
    md5: str
    seconds: float | None = None


# The digest of nothing, and its MD5.
NO_RECORD = OutputRecord("", "")


class OutputRecords(Mapping[str, OutputRecord]):
    """Records by the names of inputs. Each is a line of JSON, and is read when it is asked for."""

    def __init__(self, lines: Iterable[bytes] = ()):
        """Of a name there is one line. Lines in order take no more memory than they are long."""
        self._text, self._ends = bytearray(), array("Q", [0])
        # Whoever asks for one mostly asks for the next one then.
        self._next = 0
        if not self._fill(lines):
            lines = sorted(self.cut(0, len(self)))
            self._text, self._ends = bytearray(), array("Q", [0])
            self._fill(lines)

    def _fill(self, lines: Iterable[bytes]) -> bool:
        """Append lines, many at a time, as each alone takes as long as ten so; whether they are in order."""
        lines, last, are_in_order = iter(lines), b"", True
        while batch := [*islice(lines, BATCH_LINES)]:
            are_in_order = are_in_order and last <= batch[0] and all(map(le, batch, islice(batch, 1, None)))
            last = batch[-1]
            ends = accumulate(map(len, batch), initial=len(self._text))
            self._text += b"".join(batch)
            self._ends.extend(islice(ends, 1, None))
        return are_in_order

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[str]:
        return (json.loads(line)[0] for line in self.cut(0, len(self)))

    def __getitem__(self, name: str) -> OutputRecord:
        number = self.find(name)
        if number is None:
            raise KeyError(name)
        return self.read(number)

    def find(self, name: str) -> int | None:
        """The number of a name's record; None if there is none."""
        beginning = _spell_beginning(name)
        number = self._find_place(beginning, self._next)
        if not self._is_at(number, beginning):
            return None
        self._next = number + 1
        return number

    def read(self, number: int) -> OutputRecord:
        """What a line says; of one that is broken a record that is of no output."""
        try:
            return OutputRecord(*_load(self._cut_one(number))[1:])
        except (ValueError, TypeError):
            return NO_RECORD

    def _find_place(self, beginning: bytes, guess: int) -> int:
        """Where the line with a beginning stands, or would."""
        if self._is_at(guess, beginning):
            return guess
        return bisect_left(range(len(self)), beginning, key=self._cut_one)

    def _is_at(self, number: int, beginning: bytes) -> bool:
        """Whether it is the line of that number that has this beginning."""
        return number < len(self) and self._text.startswith(beginning, self._ends[number])

    def cut(self, start: int, end: int) -> Iterator[bytes]:
        """The lines between two numbers, in order."""
        # Of the ends a slice, as `islice` would pass by all before it each time.
        text, ends = self._text, self._ends[start : end + 1]
        return (bytes(text[begin:end]) for begin, end in pairwise(ends))

    def _cut_one(self, number: int) -> bytes:
        return bytes(self._text[self._ends[number] : self._ends[number + 1]])


def spell_record(name: str, record: OutputRecord) -> bytes:
    """The line of a record."""
    return json.dumps([name, *record]).encode("ascii")


def put_in_order(numbers: Sequence[int], names: PackedTexts) -> Sequence[int]:
    """The numbers of names, in the order of the lines of these.

    Names come in runs that are in order themselves, as a run's shards are, and which are put one behind the
    other where none reaches into the next: there would be room for few numbers in the memory of a sort.
    """
    runs = list(islice(_find_runs(map(spell_name, names.make_all(numbers))), RUNS_MAX))
    runs.sort()
    if len(runs) < RUNS_MAX and all(one.last < another.first for one, another in pairwise(runs)):
        return array("I", chain.from_iterable(numbers[one.start : one.end] for one in runs))
    return array("I", sorted(numbers, key=lambda number: spell_name(names[number])))


class _Run(NamedTuple):
    """Texts that are in order, by the first and the last, and by their places."""

    first: str
    last: str
    start: int
    end: int


def _find_runs(texts: Iterable[str]) -> Iterator[_Run]:
    first, last, start, end = "", "", 0, 0
    for end, text in enumerate(texts):
        if end == start:
            first = text
        elif text < last:
            yield _Run(first, last, start, end)
            first, start = text, end
        last = text
    if last:
        yield _Run(first, last, start, end + 1)


def find_records(lines: Iterable[bytes]) -> list[bytes]:
    """Those of the lines that are ours, as far as one sees without reading them."""
    begins = _BEGINNING.match
    return [line for line in lines if begins(line) and line.endswith(b"]")]


class OutOfOrderError(Exception):
    """Lines were taken for being in order, and are not."""


def check_order(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that are in order, as far as they are asked for. Raises OutOfOrderError."""
    last = b""
    for line in lines:
        if line < last:
            raise OutOfOrderError
        last = line
        yield line


def sort_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in order. There is room for all of them."""
    records = OutputRecords(lines)
    return records.cut(0, len(records))


def merge_lines(made: Iterable[bytes], there: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of both, which are in order; of each name that both have, the one that was made."""
    there = iter(there)
    other = next(there, None)
    for line in made:
        beginning = _find_beginning(line)
        while other is not None and other < beginning:
            yield other
            other = next(there, None)
        # Parts of two writes, that machines made at once, may have a name twice.
        while other is not None and other.startswith(beginning):
            other = next(there, None)
        yield line
    if other is not None:
        yield other
    yield from there


def _load(line: bytes) -> list[Any]:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Of a name with bytes that are no characters.
        return json.loads(line)


def _spell_beginning(name: str) -> bytes:
    return f"[{spell_name(name)},".encode("ascii")


def _find_beginning(line: bytes) -> bytes:
    found = _BEGINNING.match(line)
    return found[0] if found else line
