"""Sequences of small things kept as columns of bytes: a million Python objects of each kind would fill the
memory of a driver.
"""

from abc import abstractmethod
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")
Value = TypeVar("Value", bound=Hashable)

DIGEST_BYTES = 16
# Of the table by which a member is found, this part is in use at most.
USED_PART = 0.5
FREE = -1
# It has so many places at least.
LEAST = 16
# What columns of numbers become that are too large for them.
WIDER = {"B": "H", "H": "I", "I": "Q"}


class PackedSequence(Sequence[Item]):
    """A sequence that makes an item when it is asked for it; a slice of it is a view, which holds none."""

    @abstractmethod
    def _make(self, number: int) -> Item:
        """The item of that number, which is one of them."""

    def make_all(self, numbers: Iterable[int]) -> Iterator[Item]:
        """The items of those numbers, which are some of them: of many at once it may cost less."""
        return map(self._make, numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return Selection(self, range(len(self))[index])
        number = index if index >= 0 else index + len(self)
        if not 0 <= number < len(self):
            raise IndexError(index)
        return self._make(number)

    def __iter__(self) -> Iterator[Item]:
        return self.make_all(range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(
            one == another for one, another in zip(self, other, strict=True)
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({[*self]!r})"


class Selection(PackedSequence[Item]):
    """Some of a sequence's items, in an order of their own, by their numbers."""

    def __init__(self, items: Sequence[Item], numbers: Iterable[int]):
        self._items = items
        self._numbers = numbers if isinstance(numbers, range | array) else array("I", numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Item]:
        return self._make_of_items(self._numbers)

    def _make_of_items(self, numbers: Iterable[int]) -> Iterator[Item]:
        items = self._items
        return (
            items.make_all(numbers) if isinstance(items, PackedSequence) else map(items.__getitem__, numbers)
        )

    def _make(self, number: int) -> Item:
        return self._items[self._numbers[number]]

    def make_all(self, numbers: Iterable[int]) -> Iterator[Item]:
        return self._make_of_items(map(self._numbers.__getitem__, numbers))


def select(items: Sequence[Item], is_wanted: Callable[[Item], object]) -> Sequence[Item]:
    """Those of the items that are wanted: all as they are, or some as a view, which holds none."""
    chosen = array("I", (number for number, item in enumerate(items) if is_wanted(item)))
    return items if len(chosen) == len(items) else Selection(items, chosen)


class PackedTexts(PackedSequence[str]):
    """Texts, whatever characters they have, one behind the other in UTF-8."""

    def __init__(self, texts: Iterable[str] = ()):
        self._bytes, self._ends = bytearray(), array("I", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        self._bytes += encode(text)
        self._ends = append_number(self._ends, len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _make(self, number: int) -> str:
        part = self._bytes[self._ends[number] : self._ends[number + 1]]
        return part.decode("utf-8", "surrogatepass")

    def make_all(self, numbers: Iterable[int]) -> Iterator[str]:
        content, ends = self._bytes, self._ends
        for number in numbers:
            yield content[ends[number] : ends[number + 1]].decode("utf-8", "surrogatepass")

    def read_bytes(self, number: int) -> bytearray:
        """A text as it is kept (`encode`)."""
        return self._bytes[self._ends[number] : self._ends[number + 1]]


def encode(text: str) -> bytes:
    """A text as bytes, as names of files may have some that are no characters."""
    return text.encode("utf-8", "surrogatepass")


def append_number(column: array, number: int) -> array:
    """The column with one more number: the same or, if it is too large for that, one of larger places."""
    try:
        column.append(number)
        return column
    except OverflowError:
        return append_number(array(WIDER[column.typecode], column), number)


class Interned(Generic[Value]):
    """Values of which many are the same, each kept once and known by a number."""

    def __init__(self):
        self._numbers, self._values = dict[Value, int](), list[Value]()

    def add(self, value: Value) -> int:
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, number: int) -> Value:
        return self._values[number]


class NumberTable:
    """Finds the numbers of things by their hashes. The things are kept elsewhere, in the order of their
    numbers."""

    def __init__(self, find_hash: Callable[[int], int], expected: int = 0):
        """`find_hash` gives the hash of what has a number. For as many as are `expected` there is room from
        the beginning."""
        self._find_hash, self._count = find_hash, 0
        self._table = _make_table(max(LEAST, int(expected / USED_PART) + 1))

    def __len__(self) -> int:
        return self._count

    def find(self, hash: int, is_it: Callable[[int], bool]) -> int | None:
        """The number of what has this hash; None if there is no such thing. `is_it` tells it from others."""
        number = self._table[self._find_place(hash, is_it)]
        return None if number == FREE else number

    def add(self, hash: int, is_it: Callable[[int], bool]) -> int:
        """The number of what has this hash: the next one, if it has none yet."""
        place = self._find_place(hash, is_it)
        if self._table[place] != FREE:
            return self._table[place]
        self._table[place] = self._count
        self._count += 1
        if self._count > USED_PART * len(self._table):
            self._grow()
        return self._count - 1

    def _find_place(self, hash: int, is_it: Callable[[int], bool]) -> int:
        """Where in the table a number stands, or would: where its hash says, or behind."""
        table, size = self._table, len(self._table)
        place = hash % size
        while (number := table[place]) != FREE and not is_it(number):
            place = (place + 1) % size
        return place

    def _grow(self) -> None:
        size = 2 * len(self._table)
        # First, as it says nothing that the hashes don't.
        del self._table[:]
        self._table = _make_table(size)
        for number in range(self._count):
            self._table[self._find_place(self._find_hash(number), _is_never)] = number


def _make_table(size: int) -> array:
    return array("i", [FREE]) * size


def _is_never(_number: int) -> bool:
    return False


class KnownTexts:
    """Texts of which is only to be known which there are: each has a number, in the order of their coming.

    A digest is kept of each. Two texts of the same are as unlikely as two files of the same content.
    """

    def __init__(self, texts: Iterable[str] = ()):
        self._digests = bytearray()
        self._table = NumberTable(self._find_hash)
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, text: str) -> bool:
        return self.find(text) is not None

    def find(self, text: str) -> int | None:
        """The number of a text; None if it is none of them."""
        digest = _digest(text)
        return self._table.find(hash_digest(digest), lambda number: self._has(number, digest))

    def add(self, text: str) -> int:
        """The number of a text, which is one of them from now on."""
        digest = _digest(text)
        # Before its number is known, as a table that grows looks at the digests of all.
        self._digests += digest
        number = self._table.add(hash_digest(digest), lambda number: self._has(number, digest))
        del self._digests[len(self) * DIGEST_BYTES :]
        return number

    def _has(self, number: int, digest: bytes) -> bool:
        return self._digests.startswith(digest, number * DIGEST_BYTES)

    def _find_hash(self, number: int) -> int:
        return hash_digest(self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES])


def hash_digest(digest: bytes | bytearray) -> int:
    """The hash of what has this digest, or one that begins so."""
    return int.from_bytes(digest[:8], "little")


def _digest(text: str) -> bytes:
    return blake2b(encode(text), digest_size=DIGEST_BYTES).digest()
