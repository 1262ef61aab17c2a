"""The files that an output file's pattern matches: `*`, `?`, `[...]` within a name, `**` for any folders.

As Python's `glob` has it, whose `**` follows each link to a folder, and so for ever where two links lead
upwards. Here `**` enters a folder once, by its own path before that of a link, and a search can be ended.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterator

Wanted = Callable[[], bool]


class SearchEnded(Exception):
    """Nobody wants to know any more."""


def find_files(root: str, pattern: str, is_wanted: Wanted = lambda: True) -> list[str]:
    """The regular files below `root` that match, in order of name, by their paths from there. Raises
    SearchEnded once they are not wanted any more."""
    # Several in a row match what one does, at the power of the cost.
    parts = re.sub(r"(?<![^/])\*\*(/\*\*)+(?![^/])", "**", pattern).split("/")
    found = _expand(root, "", parts, is_wanted) if glob.has_magic(pattern) else [pattern]
    return sorted({path for path in found if os.path.isfile(os.path.join(root, path))})


def _expand(root: str, base: str, parts: list[str], is_wanted: Wanted) -> Iterator[str]:
    """All that matches below the folder `base` of `root`."""
    if not parts:
        yield base
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        for folder in _folders(root, base, is_wanted):
            yield from _expand(root, folder, rest or ["*"], is_wanted)
        return
    names = _matching(os.path.join(root, base), first, is_wanted) if glob.has_magic(first) else [first]
    for name in names:
        yield from _expand(root, os.path.join(base, name), rest, is_wanted)


def _matching(folder: str, pattern: str, is_wanted: Wanted) -> list[str]:
    matches = re.compile(fnmatch.translate(pattern)).match
    shows_hidden = pattern.startswith(".")
    names = [entry.name for entry in _entries(folder, is_wanted)]
    return [name for name in names if matches(name) and (shows_hidden or not name.startswith("."))]


def _folders(root: str, base: str, is_wanted: Wanted) -> Iterator[str]:
    """`base` and all folders below it that are not hidden, each of them once."""
    seen: set[tuple[int, int]] = set()
    waiting, links = [base], []
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop(0)
        if not _is_new(os.path.join(root, folder), seen):
            continue
        yield folder
        for entry in _entries(os.path.join(root, folder), is_wanted):
            if not entry.name.startswith(".") and _is_folder(entry):
                (links if entry.is_symlink() else waiting).append(os.path.join(folder, entry.name))


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(folder)
    except OSError:
        return False
    identity = status.st_dev, status.st_ino
    is_new = identity not in seen
    seen.add(identity)
    return is_new


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: str, is_wanted: Wanted) -> list[os.DirEntry[str]]:
    """What is in a folder, in order of name; nothing where it can't be read."""
    if not is_wanted():
        raise SearchEnded
    try:
        with os.scandir(folder or ".") as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
