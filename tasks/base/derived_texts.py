"""Texts that are made of others, as names of outputs are of those of inputs: kept as how they are made."""

from array import array
from itertools import takewhile
from operator import eq
from typing import NamedTuple

from tasks.base.packed import Interned, PackedTexts, append_number

# More ways than these are none that many have in common.
WAYS_MAX = 200
LATEST = 4


class Derivation(NamedTuple):
    """How a text is made of another: without its last characters, with something before and behind."""

    root: str
    """What comes first."""

    cut: int
    """How many of the last characters are left out."""

    put: str
    """What comes instead."""

    kept: int
    """How many of the last characters come then."""


class DerivedTexts:
    """Texts each of which is made of another, which is kept elsewhere. Of many, most are made in few ways;
    those that are not are kept whole."""

    def __init__(self):
        self._numbers, self._ways, self._wholes = array("B"), Interned[Derivation](), PackedTexts()
        # The ways in which most are made at the moment.
        self._latest: list[Derivation] = []

    def append(self, text: str, source: str, root: str = "") -> None:
        """Append a text that is made of another one, perhaps behind a root."""
        way = self._find_latest(text, source) or self._find_new(text, source, root)
        if way is None:
            self._append_number(WAYS_MAX + len(self._wholes))
            self._wholes.append(text)
        else:
            self._append_number(self._ways.add(way))

    @property
    def differ_as_sources(self) -> bool:
        """Whether all are sure to differ where those that they are made of do: something is put into each at
        one place."""
        ways = [self._ways[number] for number in range(len(self._ways))]
        return len(ways) == 1 and ways[0].cut == ways[0].kept and not self._wholes

    def append_nothing(self) -> None:
        """Append a text that nobody asks for."""
        self._append_number(0)

    def _append_number(self, number: int) -> None:
        self._numbers = append_number(self._numbers, number)

    def _find_latest(self, text: str, source: str) -> Derivation | None:
        for way in self._latest:
            if _derive(way, source) == text:
                return way
        return None

    def _find_new(self, text: str, source: str, root: str) -> Derivation | None:
        """Another way; None if there are too many."""
        if len(self._ways) >= WAYS_MAX:
            return None
        way = _find_derivation(text, source, root)
        self._latest = [way, *self._latest[: LATEST - 1]]
        return way

    def make(self, number: int, source: str) -> str:
        """The text of that number, given the one that it is made of."""
        way = self._numbers[number]
        return _derive(self._ways[way], source) if way < WAYS_MAX else self._wholes[way - WAYS_MAX]


def _derive(way: Derivation, source: str) -> str:
    """The text that is made so of another, which is as long as what is cut off at least."""
    root, cut, put, kept = way
    end = len(source)
    return f"{root}{source[: end - cut]}{put}{source[end - kept :]}"


def _find_derivation(text: str, source: str, root: str = "") -> Derivation:
    """How a text is made of another; with a root if it begins so."""
    root = root if text.startswith(root) else ""
    rest = text[len(root) :]
    start = _count_same(rest, source)
    kept = min(_count_same(rest[::-1], source[::-1]), len(source) - start, len(rest) - start)
    return Derivation(root, len(source) - start, rest[start : len(rest) - kept], kept)


def _count_same(one: str, another: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(bool, map(eq, one, another)))
