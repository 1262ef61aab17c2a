"""The files of a run, each as a piece of work."""

from collections.abc import Iterable, Iterator
from itertools import tee
from typing import NamedTuple

from tasks.base.packed import KnownTexts, PackedSequence, PackedTexts
from tasks.spec.blob_places import InputBlob
from tasks.spec.naming import name_by_content, name_task
from tasks.spec.recipe import SOURCE_DIGITS, digest_source

SOURCE_BYTES = SOURCE_DIGITS // 2
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

    def __init__(self, items: Iterable[WorkItem] = ()):
        self._names, self._output_names = PackedTexts(), PackedTexts()
        self._digests = bytearray()
        self._blobs: dict[int, InputBlob] = {}
        self._ids, self._known_names = KnownTexts(), KnownTexts()
        self.extend(items)

    def extend(self, items: Iterable[WorkItem]) -> None:
        for item in items:
            self.append(item)

    def append(self, item: WorkItem) -> None:
        if item.blob:
            self._blobs[len(self)] = item.blob
        self._digests += bytes.fromhex(item.source) + (item.md5 or NO_MD5)
        self._output_names.append(item.output_name)
        self._names.append(item.name)

    def __len__(self) -> int:
        return len(self._names)

    def _make(self, number: int) -> WorkItem:
        return next(self.make_all([number]))

    def make_all(self, numbers: Iterable[int]) -> Iterator[WorkItem]:
        numbers, for_names, for_outputs = tee(numbers, 3)
        names = self._names.make_all(for_names), self._output_names.make_all(for_outputs)
        digests, blobs = self._digests, self._blobs
        for number, name, output_name in zip(numbers, *names, strict=True):
            blob, start = blobs.get(number), number * WORK_BYTES
            middle = start + SOURCE_BYTES
            md5 = b"" if blob else bytes(digests[middle : start + WORK_BYTES])
            yield WorkItem(name, output_name, digests[start:middle].hex(), md5, blob)

    def find(self, task_id: str) -> int | None:
        """The number of the work that a Batch task does; None if that is not among these."""
        for item in self.make_all(range(len(self._ids), len(self))):
            _add_new(self._ids, item.task_id)
        return self._ids.find(task_id)

    def find_named(self, name: str) -> int | None:
        """The number of the work on an input; None if there is none among these."""
        for known in self._names.make_all(range(len(self._known_names), len(self))):
            _add_new(self._known_names, known)
        return self._known_names.find(name)


def _add_new(known: KnownTexts, text: str) -> None:
    """Add a text, so that its number is that of its work. Raises ValueError if it is known: all numbers from
    there on would be those of other work."""
    count = len(known)
    if known.add(text) != count:
        raise ValueError(f"{text!r} stands for two pieces of work")
