"""Things that are found by their names or digests, by tables of nothing but numbers."""

from array import array
from collections.abc import Callable, Iterable
from hashlib import blake2b

from tasks.base.packed import PackedTexts, encode

DIGEST_BYTES = 16
# Of the table by which a member is found, this part is in use at most.
USED_PART = 0.5
FREE = -1
# It has so many places at least.
LEAST = 16


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


class TextsByName:
    """Texts, each by a name: as a dictionary, without the names."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()):
        """Of a name there is one text: the first one."""
        self._names, self._texts = KnownTexts(), PackedTexts()
        for name, text in pairs:
            if self._names.add(name) == len(self._texts):
                self._texts.append(text)

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, name: str) -> str | None:
        number = self._names.find(name)
        return None if number is None else self._texts[number]


def hash_digest(digest: bytes | bytearray) -> int:
    """The hash of what has this digest, or one that begins so."""
    return int.from_bytes(digest[:8], "little")


def _digest(text: str) -> bytes:
    return blake2b(encode(text), digest_size=DIGEST_BYTES).digest()
