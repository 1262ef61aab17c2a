"""Which files `inputs` means: folders, globs, paths, files that list paths, and places in blob storage."""

import codecs
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from sys import intern
from typing import NamedTuple

from tasks.base.printable import say_count, show_name
from tasks.errors import InputError
from tasks.spec.blob_places import BlobPlace, InputBlob, is_place
from tasks.spec.file_names import find_bad_names
from tasks.spec.local_paths import is_below, locate_path
from tasks.spec.patterns import WILDCARDS, LeftOut, Pattern, is_pattern, read_pattern, walk

LIST_SIGN = "@"
ENCODINGS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
STANDARD_INPUT = ("-", "@-")
SHOWN = 10


class FoundFile(NamedTuple):
    """A file that was found, and what it is called in the run."""

    name: str
    root: str
    """What stands before the name in the file's path, shared by many; the whole path and a NUL of one whose
    path does not end in its name."""

    @property
    def path(self) -> str:
        """The URL of a file that is in blob storage."""
        return self.root[:-1] if self.root.endswith("\0") else self.root + self.name


def name_file(name: str, path: str) -> FoundFile:
    return FoundFile(name, intern(path[: -len(name)]) if path.endswith(name) else f"{path}\0")


@dataclass
class Sources:
    """The files that were found, what was not taken, and the patterns that named them."""

    named: list[FoundFile]
    """In the order of their names."""

    left_out: LeftOut = field(default_factory=LeftOut)
    patterns: list[Pattern] = field(default_factory=list)
    blob_patterns: list[tuple[BlobPlace, Pattern]] = field(default_factory=list)
    """The same of those in blob storage, each with the prefix that it is held against names below of."""

    blobs: dict[str, InputBlob] = field(default_factory=dict)
    """Of those that are in blob storage, by their paths, which are URLs."""

    sizes_bytes: array = field(default_factory=lambda: array("Q"))
    """Of all files, in their order."""

    links: list[str] = field(default_factory=list)
    """The paths of those local ones that are links."""


# Finds the blobs that some places mean, or that are just there, and puts them among the sources.
FindBlobs = Callable[[Sequence[str], bool, Sources], None]


def _find_no_blobs(places: Sequence[str], _are_plain: bool, _found: Sources) -> None:
    raise InputError(f"{places[0]} is in blob storage, where only inputs and output_dir may be.")


def find_sources(
    sources: Iterable[str], output_folder: Path | None = None, find_blobs: FindBlobs = _find_no_blobs
) -> Sources:
    """The files that folders, globs, paths and lists of paths mean, in the order of their names.

    What lies in the output folder is no input, if that is below a folder of inputs. Raises InputError for
    what is missing or can't be a name.
    """
    found = Sources([])
    outputs = output_folder and os.path.realpath(output_folder)
    for source in sources:
        if is_place(source):
            find_blobs([source], False, found)
        else:
            found.named += _expand(source, outputs, found, find_blobs)
    if not found.named:
        raise InputError(
            "There are no inputs: give a folder, a glob, a list of paths, or @ and a file of those."
        )
    found.named.sort()
    found.named = [file for file, _ in groupby(found.named)]
    refuse_problems(
        [
            *_find_repeated_names(found.named),
            *find_bad_names(file.name for file in found.named),
            *_look_at_files(found),
        ],
        "input",
        "can't be used",
    )
    return found


def expand_source(source: str) -> list[tuple[str, str]]:
    """The (name, path) of each file that one path, folder or glob means."""
    if is_place(source):
        _find_no_blobs([source], False, Sources([]))
    return [(file.name, file.path) for file in _expand_paths(source, None, Sources([]))]


def _expand(source: str, outputs: str | None, found: Sources, find_blobs: FindBlobs) -> list[FoundFile]:
    if source in STANDARD_INPUT:
        where, content = "standard input", _read_standard_input()
    elif source.startswith(LIST_SIGN):
        where, content = source[1:], _read_list_file(source[1:])
    else:
        return _expand_paths(source, outputs, found)
    lines = _split_list(content)
    places = [line for line in lines if is_place(line)]
    if places:
        find_blobs(places, True, found)
    return list(_read_list(where, lines))


def _expand_paths(source: str, outputs: str | None, found: Sources) -> list[FoundFile]:
    if not source.strip():
        # A path to the folder that one is in, which nobody means who has left out something.
        raise InputError(f"An input is empty: is a variable not set? This folder is `.` ({Path.cwd()}).")
    if not is_pattern(source):
        path = locate_path(source)
        if not path.exists():
            raise InputError(f"There is no file or folder {show_name(source)} (looked from {Path.cwd()}).")
        return [name_file(path.name, str(path))]
    pattern, left_out = read_pattern(source), LeftOut()
    found.patterns.append(pattern)
    excluded = outputs if outputs and is_below(outputs, os.path.realpath(pattern.root)) else None
    names, root = iter(()), os.path.join(pattern.root, "")
    if os.path.isdir(pattern.root):
        names = walk(pattern, excluded, left_out)
    files = [FoundFile(name, root) for name in names]
    for reason, count in left_out.counts.items():
        found.left_out.counts[reason] += count
        found.left_out.firsts.setdefault(reason, left_out.firsts[reason])
    if not files:
        raise InputError(_describe_nothing(source, left_out))
    return files


def _describe_nothing(source: str, left_out: LeftOut) -> str:
    if WILDCARDS & set(source) and not locate_path(source).is_dir():
        problem = f"No file matches {show_name(source)} (looked from {Path.cwd()})."
    else:
        problem = f"The folder {show_name(source)} has no files."
    return f"{problem} Left out: {left_out}." if left_out.counts else problem


def _read_list_file(path: str) -> bytes:
    try:
        return locate_path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"The list of inputs {show_name(path)} can't be read: {error.strerror}. (A file whose own name "
            f"begins with {LIST_SIGN} is given as ./{LIST_SIGN}{path}.)"
        ) from error


@cache
def _read_standard_input() -> bytes:
    """All of it, kept: another attempt of the flow in this process would find nothing more."""
    try:
        if sys.stdin is None:
            raise InputError("There is no standard input to read a list of inputs from: it is closed.")
        return sys.stdin.buffer.read()
    except OSError as error:
        raise InputError(
            f"The list of inputs can't be read from standard input: {error.strerror}."
        ) from error


def _split_list(content: bytes) -> list[str]:
    """The lines, or the parts that end in a NUL (`find -print0`). A list that begins with a mark of its
    encoding, as editors and PowerShell write it, is read by that."""
    for mark, encoding in ENCODINGS.items():
        if content.startswith(mark):
            content = os.fsencode(content.removeprefix(mark).decode(encoding, "replace"))
            break
    separator = b"\0" if b"\0" in content else b"\n"
    return [os.fsdecode(line.removesuffix(b"\r")) for line in content.split(separator)]


def _read_list(where: str, lines: list[str]) -> Iterator[FoundFile]:
    """The file of each line that is no place in blob storage.

    A line is a path, taken at its word. Its name is the path, as tar has it: without what leads out of
    the folder that it is looked up from. Raises InputError naming the lines that are no files.
    """
    lines = ["" if is_place(line) else line for line in lines]
    # Two spellings of a path are one input; what `..` means behind a link only the disk knows.
    paths = [os.path.normpath(line) if line and ".." not in line else line for line in lines]
    problems = [
        f"{where}, line {number}: {show_name(path)} is {'a folder' if os.path.isdir(path) else 'not there'}"
        for number, path in enumerate(paths, 1)
        if path and not os.path.isfile(path) and (os.path.isdir(path) or not os.path.lexists(path))
    ]
    refuse_problems(problems, "path", "in a list of inputs can't be used")
    return (name_file(_name_path(path), path) for path in paths if path)


def _name_path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    return "/".join(parts)


def _find_repeated_names(named: Iterable[FoundFile]) -> Iterator[str]:
    """Files that would have the same name, of those that are sorted by their names."""
    for name, files in groupby(named, attrgetter("name")):
        first, *others = files
        for other in others:
            yield f"{show_name(first.path)} and {show_name(other.path)} would both be {name!r}"


def find_unreadable(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if isinstance(seen := _look_at(path), str):
            yield seen


def _look_at_files(found: Sources) -> Iterator[str]:
    """Note of each file how large it is, and which are links. Why some can't be read."""
    for file in found.named:
        path = file.path
        if found.blobs and (blob := found.blobs.get(path)):
            found.sizes_bytes.append(blob.size_bytes)
            continue
        seen = _look_at(path)
        if isinstance(seen, str):
            yield seen
            continue
        found.sizes_bytes.append(seen.size_bytes)
        if seen.is_link:
            found.links.append(path)


class _Seen(NamedTuple):
    """A regular file that can be read, or a link to one."""

    size_bytes: int
    is_link: bool


def _look_at(path: str) -> _Seen | str:
    """What a file is like, or why it can't be read: with as few calls as that takes, for each input."""
    try:
        status = os.lstat(path)
        is_link = S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(path)
        # What is no regular file may block whoever opens it.
        if not S_ISREG(status.st_mode):
            return f"{show_name(path)} is no regular file"
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return f"{show_name(path)} can't be read: {error.strerror}"
    return _Seen(status.st_size, is_link)


def refuse_problems(problems: Iterable[str], noun: str, what: str) -> None:
    """Raise InputError with the first few problems, if there are any; `noun` says what has them, and `what`
    the same of one and of many."""
    found = list(problems)
    if found:
        more = [f"... and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
        raise InputError("\n  ".join([f"{say_count(len(found), noun)} {what}:", *found[:SHOWN], *more]))
