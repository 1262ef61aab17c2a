"""The files of a run, each as a piece of work."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import tee
from typing import NamedTuple
from zlib import crc32

from tasks.base.derived_texts import DerivedTexts
from tasks.base.known_texts import NumberTable, hash_digest
from tasks.base.packed import PackedSequence, PackedTexts, encode
from tasks.spec.blob_places import InputBlob
from tasks.spec.naming import name_by_content, name_task
from tasks.spec.recipe import SOURCE_BYTES, digest_source, read_source

NO_MD5 = bytes(16)
WORK_BYTES = SOURCE_BYTES + len(NO_MD5)


class WorkItem(NamedTuple):
    """One file of a run: its blob, its output's blob, and the Batch task in between."""

    name: str
    output_name: str
    source: str
    """The digest of all that makes the output (`tasks.spec.recipe`)."""

    md5: bytes = b""
    """Of the content of an input that was uploaded."""

    blob: InputBlob | None = None
    """An input that was in blob storage before the run."""

    @property
    def input_blob(self) -> str:
        """The input in its container: the run's own, unless it was in blob storage before."""
        return self.blob.name if self.blob else name_by_content(self.name, self.md5.hex())

    @property
    def task_id(self) -> str:
        return name_task(self.name, self.source)


def make_item(
    name: str,
    output_name: str,
    content: str,
    recipe: str,
    blob: InputBlob | None = None,
    outputs: str = "",
) -> WorkItem:
    """The work on an input by this recipe; `content` tells what is in the input from any other, and is the
    MD5, hexadecimal, of one that was uploaded. `outputs` is the identity of their place."""
    source = digest_source(recipe, name, outputs + output_name, content)
    md5 = b"" if blob else bytes.fromhex(content)
    return WorkItem(name, output_name, source, md5, blob)


class WorkItems(PackedSequence[WorkItem]):
    """The work on many files, in the order in which it is added, or found by the ids of Batch tasks."""

    def __init__(self, items: Iterable[WorkItem] = (), expected: int = 0):
        """As many as are `expected` are found without making room for them several times."""
        self._names, self._output_names = PackedTexts(), DerivedTexts()
        self._digests = bytearray()
        self._blobs: dict[int, InputBlob] = {}
        self._by_source = NumberTable(self._hash_source, expected)
        self._by_name = NumberTable(self._hash_name, expected)
        self.extend(items)

    def extend(self, items: Iterable[WorkItem]) -> None:
        for item in items:
            self.append(item)

    def append(self, item: WorkItem) -> None:
        if item.blob:
            self._blobs[len(self)] = item.blob
        self._digests += bytes.fromhex(item.source) + (item.md5 or NO_MD5)
        self._output_names.append(item.output_name, item.name)
        self._names.append(item.name)

    @property
    def names(self) -> PackedTexts:
        """Of the inputs."""
        return self._names

    def __len__(self) -> int:
        return len(self._names)

    def _make(self, number: int) -> WorkItem:
        return next(self.make_all([number]))

    def make_all(self, numbers: Iterable[int]) -> Iterator[WorkItem]:
        numbers, for_names = tee(numbers)
        digests, blobs, make_output_name = self._digests, self._blobs, self._output_names.make
        for number, name in zip(numbers, self._names.make_all(for_names), strict=True):
            blob, start = blobs.get(number), number * WORK_BYTES
            middle = start + SOURCE_BYTES
            md5 = b"" if blob else bytes(digests[middle : start + WORK_BYTES])
            yield WorkItem(name, make_output_name(number, name), digests[start:middle].hex(), md5, blob)

    def find(self, task_id: str) -> int | None:
        """The number of the work that a Batch task does; None if that is not among these. Of its id only the
        digest counts: the name before it is in that."""
        for number in range(len(self._by_source), len(self)):
            source = self._read_source(number)
            if self._by_source.add(hash_digest(source), partial(self._has_source, source)) != number:
                raise ValueError(f"{self[number].task_id!r} stands for two pieces of work")
        source = read_source(task_id)
        if source is None:
            return None
        return self._by_source.find(hash_digest(source), partial(self._has_source, source))

    def _read_source(self, number: int) -> bytearray:
        return self._digests[number * WORK_BYTES : number * WORK_BYTES + SOURCE_BYTES]

    def _has_source(self, source: bytes | bytearray, number: int) -> bool:
        return self._digests.startswith(source, number * WORK_BYTES)

    def _hash_source(self, number: int) -> int:
        return hash_digest(self._read_source(number))

    def find_named(self, name: str) -> int | None:
        """The number of the work on an input; None if there is none among these."""
        for number in range(len(self._by_name), len(self)):
            known = self._names.read_bytes(number)
            if self._by_name.add(crc32(known), partial(self._is_named, known)) != number:
                raise ValueError(f"{self._names[number]!r} stands for two pieces of work")
        wanted = encode(name)
        return self._by_name.find(crc32(wanted), partial(self._is_named, wanted))

    def _is_named(self, name: bytes | bytearray, number: int) -> bool:
        return self._names.read_bytes(number) == name

    def _hash_name(self, number: int) -> int:
        return crc32(self._names.read_bytes(number))
