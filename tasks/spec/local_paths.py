"""Paths on the local disk: those that somebody gave, and where outputs really come to lie."""

import os
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path

from tasks.base.printable import show_name
from tasks.errors import InputError
from tasks.spec.naming import RESERVED_FOLDERS

# Of places in some storage, of which only those of tasks.spec.blob_places are known.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def locate_path(text: str) -> Path:
    """The path that somebody gave, with `~` and `~name` resolved, whether there is anything or not. Raises
    InputError for what the disk can't be asked about, and for a URL, unless there is such a file."""
    try:
        path = Path(text).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
            return path
    except OSError as error:
        raise InputError(f"The path {show_name(text)} can't be used: {error.strerror}.") from error
    except RuntimeError as error:
        user = text.partition("/")[0]
        raise InputError(f"The path {show_name(text)} can't be used: {user} has no home folder.") from error
    except ValueError as error:
        raise InputError(
            f"The path {show_name(text)} can't be used: no path has such a character."
        ) from error
    if _SCHEME.match(text):
        raise InputError(
            f"{show_name(text)} is no path on this machine. Only inputs and output_dir may be in blob "
            f"storage, as az://CONTAINER/NAME or https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME."
        )
    return path


def is_below(path: str, folder: str) -> bool:
    """Whether a real path lies in a folder, however deep."""
    return path.startswith(os.path.join(folder, "")) and path != folder


def find_real_folders(folder: str, names: Iterable[str]) -> dict[str, str]:
    """The real path of each folder that files of these names lie in, by the name of that folder."""
    parents = {name.rpartition("/")[0] for name in names}
    return {parent: os.path.realpath(os.path.join(folder, parent)) for parent in parents}


def find_obstacles(folder: str, names: Sequence[str]) -> Iterator[str]:
    """What is in the way of outputs of these names on the disk, where their folder is there already."""
    if not os.path.isdir(folder):
        return
    # Runs write into folders of their own as well, and empty some of them.
    own = (f"{reserved}/" for reserved in RESERVED_FOLDERS)
    real_folders = find_real_folders(folder, chain(names, own))
    reasons = {
        parent: _why_no_folder(os.path.realpath(folder), path) for parent, path in real_folders.items()
    }
    yield from (f"the folder {parent!r} {reason}" for parent, reason in reasons.items() if reason)
    inner = {parent: _list_own_folders(path) for parent, path in real_folders.items()}
    are_joined, paths = len(set(real_folders.values())) < len(real_folders), dict[str, str]()
    for name in names:
        parent, _, last = name.rpartition("/")
        if reasons[parent]:
            continue
        if last in inner[parent]:
            yield f"{os.path.join(real_folders[parent], last)!r} is a folder"
        if are_joined:
            paths[name] = os.path.join(real_folders[parent], last)
    yield from _find_joined(paths)


def locate_outputs(folder: str, names: Sequence[str]) -> Iterator[str]:
    """The real path of each output, which takes the place of what is there and does not follow it."""
    real_folders = find_real_folders(folder, names)
    return (_locate_in(real_folders, name) for name in names)


def find_real_paths(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each path as it is really called and, of a link, the path of what it leads to too, with the path."""
    find_real = cache(os.path.realpath)
    for path in paths:
        parent, name = os.path.split(path)
        yield os.path.join(find_real(parent), name), path
        if os.path.islink(path):
            yield os.path.realpath(path), path


def _locate_in(real_folders: dict[str, str], name: str) -> str:
    parent, _, last = name.rpartition("/")
    return os.path.join(real_folders[parent], last)


def _list_own_folders(path: str) -> Container[str]:
    """The names of the folders in one, without links to such; none where nobody is let in."""
    try:
        with os.scandir(path) as entries:
            return {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
    except PermissionError:
        return _OwnFolders(path)
    except OSError:
        return ()


class _OwnFolders(Container[str]):
    """The same where one may look at a name, but not list what there is."""

    def __init__(self, path: str):
        self._path = path

    def __contains__(self, name: object) -> bool:
        path = os.path.join(self._path, str(name))
        return os.path.isdir(path) and not os.path.islink(path)


def _why_no_folder(folder: str, inner: str) -> str | None:
    """Why nothing can be written to a real path in the folder, or None if something can."""
    if inner == folder:
        return None
    if not is_below(inner, folder):
        return f"is a link out of {folder}"
    nearest = next(path for path in (inner, *map(str, Path(inner).parents)) if os.path.lexists(path))
    if not os.path.isdir(nearest):
        return f"can't be made: {nearest} is no folder"
    return (
        None if os.access(nearest, os.W_OK | os.X_OK) else f"can't be written to: {nearest} is not writable"
    )


def _find_joined(paths: dict[str, str]) -> Iterator[str]:
    """Outputs that a link between their folders makes one."""
    names: dict[str, str] = {}
    for name, path in paths.items():
        other = names.setdefault(path, name)
        if other != name:
            yield f"{other!r} and {name!r} would both be {path}, by a link"
