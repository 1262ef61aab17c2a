"""The files of a run, each as a piece of work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.base.packed import KnownTexts, PackedSequence, PackedTexts
from tasks.spec.blob_places import InputBlob
from tasks.spec.naming import name_by_content, name_task
from tasks.spec.recipe import SOURCE_DIGITS, digest_source

SOURCE_BYTES = SOURCE_DIGITS // 2
NO_MD5 = bytes(16)
WORK_BYTES = SOURCE_BYTES + len(NO_MD5)


@dataclass(frozen=True, slots=True)
class WorkItem:
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
        self._ids = KnownTexts()
        self.extend(items)

    @property
    def names(self) -> Sequence[str]:
        """The names of the inputs."""
        return self._names

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
        blob, start = self._blobs.get(number), number * WORK_BYTES
        middle, end = start + SOURCE_BYTES, start + WORK_BYTES
        return WorkItem(
            self._names[number],
            self._output_names[number],
            self._digests[start:middle].hex(),
            b"" if blob else bytes(self._digests[middle:end]),
            blob,
        )

    def find(self, task_id: str) -> int | None:
        """The number of the work that a Batch task does; None if that is not among these."""
        for number in range(len(self._ids), len(self)):
            self._ids.add(self.make_task_id(number))
        return self._ids.find(task_id)

    def make_task_id(self, number: int) -> str:
        start = number * WORK_BYTES
        return name_task(self._names[number], self._digests[start : start + SOURCE_BYTES].hex())
