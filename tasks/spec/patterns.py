"""What a folder and a glob mean, by one rule: a folder means the same as `folder/**`.

Names that begin with a dot are hidden, and left out unless a part of the glob begins so; links to folders are
not followed below the folder that a glob starts from, as they may lead back.
"""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tasks.errors import InputError
from tasks.spec.local_paths import locate_path

WILDCARDS = frozenset("*?[")
ANY_DEPTH = "**"
# What becomes of a path: it is taken, or the reason why it is left out.
TAKEN = "taken"
HIDDEN = "hidden"
IN_FOLDER = "in a folder, for which write `**`"
# Which parts of a glob the next name of a path may match.
States = frozenset[int]


@dataclass
class LeftOut:
    """What folders and globs did not take: how many for each reason, and the first."""

    counts: Counter[str] = field(default_factory=Counter)
    firsts: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, path: str) -> None:
        self.counts[reason] += 1
        self.firsts.setdefault(reason, path)

    def __str__(self) -> str:
        """Such as `3 hidden (in/.DS_Store, ...), 1 behind a link to a folder (in/more)`; "" for nothing."""
        return ", ".join(
            f"{count:,} {reason} ({self.firsts[reason]}{', ...' if count > 1 else ''})"
            for reason, count in self.counts.items()
        )


@dataclass(frozen=True)
class Pattern:
    """A folder, and the parts of a glob that paths below it have to match."""

    root: str
    parts: tuple[str, ...]

    @cached_property
    def matchers(self) -> list[re.Pattern[str]]:
        return [re.compile(fnmatch.translate(part)) for part in self.parts]

    def begin(self) -> States:
        return self._skip({0})

    def enter(self, states: States, name: str) -> States:
        """The states below a folder of that name; none if nothing below it can match."""
        states = self._narrow(states, name)
        depths = {state for state in states if self.parts[state] == ANY_DEPTH}
        nexts = {state + 1 for state in states - depths if self._matches(state, name)}
        return self._skip({state for state in depths | nexts if state < len(self.parts)})

    def takes(self, states: States, name: str) -> bool:
        """Whether the glob ends with this name."""
        last = len(self.parts) - 1
        return last in self._narrow(states, name) and self._matches(last, name)

    def hides(self, states: States, name: str) -> bool:
        """Whether the name is hidden, and no part of the glob asks for such."""
        return name.startswith(".") and not self._find_hidden(states, name)

    def _find_hidden(self, states: States, name: str) -> States:
        """The states whose part asks for this hidden name."""
        return frozenset(
            state for state in states if self.parts[state].startswith(".") and self._matches(state, name)
        )

    def _narrow(self, states: States, name: str) -> States:
        """The states that a name is held against: `**` and `*` don't match a hidden one that another part
        asks for. One that no part asks for is held against all, so that it can be told as left out."""
        return self._find_hidden(states, name) or states if name.startswith(".") else states

    def _matches(self, state: int, name: str) -> bool:
        return self.parts[state] == ANY_DEPTH or self.matchers[state].match(name) is not None

    def _skip(self, states: set[int]) -> States:
        """These, and those behind a `**`, which may stand for no folder at all."""
        for state in sorted(states):
            while self.parts[state] == ANY_DEPTH and state + 1 < len(self.parts):
                state += 1
                states.add(state)
        return frozenset(states)

    def matches(self, relative: str) -> bool:
        """Whether a path below the folder is one that the glob means, were there a file."""
        return self.judge(relative) == TAKEN

    def judge(self, relative: str) -> str:
        """TAKEN for the path of a file that is meant; else why it is left out, "" if nothing asks for it."""
        *folders, name = relative.split("/")
        states, is_hidden = self.begin(), False
        for folder in folders:
            is_hidden = is_hidden or self.hides(states, folder)
            below = self.enter(states, folder)
            if not below:
                return IN_FOLDER if not is_hidden and self.takes(states, folder) else ""
            states = below
        if not self.takes(states, name):
            return ""
        return HIDDEN if is_hidden or self.hides(states, name) else TAKEN


def read_pattern(source: str) -> Pattern:
    """The pattern of a folder, or of a glob: its folder is all before its first part with a wildcard.

    Raises InputError for a glob that could match nothing.
    """
    path = locate_path(source)
    if path.is_dir():
        return Pattern(str(path), (ANY_DEPTH,))
    first = next(index for index, part in enumerate(path.parts) if WILDCARDS & set(part))
    if ".." in path.parts[first:]:
        raise InputError(
            f"No file can match {source}: `..` stands behind a wildcard. Write the glob without it."
        )
    return Pattern(str(Path(*path.parts[:first])), path.parts[first:])


def is_pattern(source: str) -> bool:
    """Whether a source is a folder or a glob. A file is taken at its word, whatever characters it has."""
    path = locate_path(source)
    return path.is_dir() or (bool(WILDCARDS & set(source)) and not path.is_file())


def read_remote_pattern(name: str) -> Pattern:
    """The same of the name of a prefix or glob in a container, where `folder` means `folder/**`."""
    parts = [part for part in name.split("/") if part]
    first = next((index for index, part in enumerate(parts) if WILDCARDS & set(part)), len(parts))
    return Pattern("/".join(parts[:first]), tuple(parts[first:]) or (ANY_DEPTH,))


def walk(pattern: Pattern, excluded: str | None, left_out: LeftOut) -> Iterator[str]:
    """The paths of the files that are meant, relative to the pattern's folder.

    `excluded` is the real path of a folder whose files are no inputs. Raises InputError for what can't be
    read.
    """
    real_root = os.path.realpath(pattern.root)
    waiting = [("", pattern.begin())]
    while waiting:
        folder, states = waiting.pop()
        for entry in _list_folder(os.path.join(pattern.root, folder)):
            relative = folder + entry.name
            is_folder, taken = _is_folder(entry), pattern.takes(states, entry.name)
            below = pattern.enter(states, entry.name) if is_folder else None
            if not (below or taken):
                continue
            if pattern.hides(states, entry.name):
                left_out.add(HIDDEN, entry.path)
            elif not is_folder:
                yield relative
            elif entry.is_symlink():
                left_out.add("behind a link to a folder", entry.path)
            elif os.path.join(real_root, relative) == excluded:
                left_out.add("output folder", entry.path)
            elif below:
                waiting.append((f"{relative}/", below))
            else:
                left_out.add(IN_FOLDER, entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one; a link that leads in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _list_folder(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from entries
    except OSError as error:
        raise InputError(f"The folder {error.filename} can't be read: {error.strerror}.") from error
