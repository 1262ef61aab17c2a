"""The files of a run, in its order."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import tee
from typing import NamedTuple

from tasks.base.derived_texts import DerivedTexts
from tasks.base.packed import Interned, PackedSequence, PackedTexts, append_number
from tasks.spec.blob_places import InputBlob
from tasks.spec.recipe import digest_json


class InputFile(NamedTuple):
    """A file, the name that it has in the run, and the name of its output."""

    root: str
    """What stands before the name in a local file's path, shared by many; the whole path and a NUL of one
    whose path does not end in its name; "" of a file that is in blob storage."""

    name: str
    output_name: str
    size_bytes: int
    blob: InputBlob | None = None
    """None for a local file, which is uploaded into the run's own container."""

    @property
    def path(self) -> str:
        """Of a local file; the URL of one that is in blob storage."""
        if self.blob:
            return self.blob.url
        return self.root[:-1] if self.root.endswith("\0") else self.root + self.name

    @property
    def readable_path(self) -> str:
        """Of a local file the whole path; of a blob its path on the account, as people read it."""
        return f"/{self.blob.container}/{self.blob.name}" if self.blob else os.path.abspath(self.path)

    @property
    def digest(self) -> str | None:
        """What tells the content of a blob from any other that there ever was; of a local file only its
        content does."""
        return digest_json([self.path, self.blob.etag]) if self.blob else None


class InputFiles(PackedSequence[InputFile]):
    """Many of them; each is made when it is asked for."""

    def __init__(self, files: Iterable[InputFile] = ()):
        self._names, self._output_names = PackedTexts(), DerivedTexts()
        self._sizes = array("I")
        self._roots, self._known_roots = array("B"), Interned[str]()
        self._blobs: dict[int, InputBlob] = {}
        for file in files:
            self.append(file.root, file.name, file.output_name, file.size_bytes, file.blob)

    @property
    def names(self) -> PackedTexts:
        return self._names

    @property
    def output_names(self) -> Sequence[str]:
        """The names of their outputs."""
        return OutputNames(self._names, self._output_names)

    @property
    def outputs_differ(self) -> bool:
        """Whether the names of all outputs are sure to differ, as those of the files do."""
        return self._output_names.differ_as_sources

    @property
    def has_blobs(self) -> bool:
        """Whether some of them are in blob storage."""
        return bool(self._blobs)

    def find_folders(self) -> set[str]:
        """The folders in which local files lie."""
        split = ((root, name.rpartition("/")) for root, name in zip(self._roots, self._names, strict=True))
        shared = {(root, f"{parent}{slash}") for root, (parent, slash, _) in split}
        return {_find_folder(self._known_roots[root], below) for root, below in shared}

    def append(
        self, root: str, name: str, output_name: str, size_bytes: int, blob: InputBlob | None = None
    ) -> None:
        """Append a file by what it is, as it need not be made for that."""
        if blob is not None:
            self._blobs[len(self)] = blob
        self._output_names.append(output_name, name)
        self._roots = append_number(self._roots, self._known_roots.add(root))
        self._sizes = append_number(self._sizes, size_bytes)
        self._names.append(name)

    def __len__(self) -> int:
        return len(self._names)

    def _make(self, number: int) -> InputFile:
        return next(self.make_all([number]))

    def make_all(self, numbers: Iterable[int]) -> Iterator[InputFile]:
        numbers, for_names = tee(numbers)
        roots, known_roots, sizes, blobs = self._roots, self._known_roots, self._sizes, self._blobs
        make_output_name = self._output_names.make
        for number, name in zip(numbers, self._names.make_all(for_names), strict=True):
            root, output_name = known_roots[roots[number]], make_output_name(number, name)
            yield InputFile(root, name, output_name, sizes[number], blobs.get(number))


class OutputNames(PackedSequence[str]):
    """The names of outputs, each made when it is asked for."""

    def __init__(self, names: PackedTexts, derived: DerivedTexts):
        self._names, self._derived = names, derived

    def __len__(self) -> int:
        return len(self._names)

    def _make(self, number: int) -> str:
        return self._derived.make(number, self._names[number])

    def make_all(self, numbers: Iterable[int]) -> Iterator[str]:
        numbers, for_names = tee(numbers)
        return map(self._derived.make, numbers, self._names.make_all(for_names))


def _find_folder(root: str, below: str) -> str:
    """The folder of files that lie below a root, or of the one file that it is the path of."""
    return os.path.dirname(root[:-1] if root.endswith("\0") else f"{root}{below}")


def list_names(files: Sequence[InputFile]) -> Iterable[str]:
    """The names of files, of many without making each."""
    return files.names if isinstance(files, InputFiles) else (file.name for file in files)


def list_output_names(files: Sequence[InputFile]) -> Iterable[str]:
    """The same of their outputs."""
    return files.output_names if isinstance(files, InputFiles) else (file.output_name for file in files)


def find_folders(files: Sequence[InputFile]) -> set[str]:
    """The folders in which files lie; of blobs as people read them, on the account."""
    if isinstance(files, InputFiles) and not files.has_blobs:
        return files.find_folders()
    return {os.path.dirname(file.readable_path) for file in files}
