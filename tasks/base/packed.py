"""Sequences of small things kept as columns of bytes: a million Python objects of each kind would fill the
memory of a driver.
"""

from abc import abstractmethod
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")
Value = TypeVar("Value", bound=Hashable)

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
