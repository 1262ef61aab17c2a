"""The files of a node, or of a task, as REST's File operations see them: names with `/`, below one folder.

`root` is a node's root or a task's directory. No name leads out of it: neither `..` nor an absolute path
nor a symbolic link. What is neither a regular file nor a folder is not there, nor what has no UTF-8 name.
"""

from __future__ import annotations

import os
import stat as modes
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from io import FileIO
from pathlib import Path

from batch_emulator.errors import BatchError
from batch_emulator.node.trash import delete_tree

READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class NodeFile:
    """`mode` is st_mode, kind included; a folder's `size_bytes` means nothing. `created` is the oldest time
    that is known of a file, as Linux tells no other."""

    name: str
    is_directory: bool
    size_bytes: int
    created: datetime
    modified: datetime
    mode: int


def list_files(root: Path, *, within: str = "", recursive: bool = False) -> Iterator[NodeFile]:
    """What lies in `root`, or in the folder `within` it (`""` or with `/` at its end), by name; recursively
    each level after the one above it, folders before what they hold. Files that come or go meanwhile may be
    missed. Raises BatchError FileNotFound without `root`."""
    if not root.is_dir():
        raise BatchError("FileNotFound")
    return _walk(Path(os.path.realpath(root)), within, recursive)


def _walk(root: Path, within: str, recursive: bool) -> Iterator[NodeFile]:
    directories = deque([within])
    while directories:
        prefix = directories.popleft()
        for name in _names(root, prefix):
            file = _inspect(root, prefix + name)
            if file is None:
                continue
            yield file
            if recursive and file.is_directory and not os.path.islink(root / file.name):
                directories.append(f"{file.name}/")


def _names(root: Path, folder: str) -> list[str]:
    try:
        return sorted(os.listdir(_locate(root, folder, follow=True) if folder else root))
    except (OSError, BatchError):
        return []


def resolve(root: Path, name: str) -> Path:
    """The real path of a file or folder below `root`. Raises BatchError FileNotFound, also if it is not."""
    path = _locate(root, name, follow=True)
    if not os.path.exists(path):
        raise BatchError("FileNotFound")
    return path


def stat(root: Path, name: str) -> NodeFile:
    """Raises BatchError FileNotFound."""
    file = _inspect(root, name)
    if file is None:
        raise BatchError("FileNotFound")
    return file


def open_file(root: Path, name: str) -> FileIO:
    """A file for reading; the caller closes it. Raises BatchError FileNotFound, for a folder too."""
    path = resolve(root, name)
    try:
        # A FIFO in the file's place must not block.
        file = FileIO(
            path, "r", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
        )
    except OSError as error:
        raise BatchError("FileNotFound") from error
    if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise BatchError("FileNotFound")
    return file


def read_pieces(file: FileIO, first: int, size_bytes: int) -> Iterator[bytes]:
    """`size_bytes` of the file from `first` on, or as many as there are, in pieces; then it is closed."""
    with file:
        file.seek(first)
        while size_bytes > 0 and (piece := file.read(min(READ_BYTES, size_bytes))):
            size_bytes -= len(piece)
            yield piece


def delete(root: Path, name: str, *, recursive: bool = False) -> None:
    """Delete a file, a link or a folder, one that isn't empty only if `recursive`. Raises BatchError
    FileNotFound, or IOError for a folder that isn't empty."""
    path = _locate(root, name, follow=False)
    if not os.path.lexists(path) or path == Path(os.path.realpath(root)):
        raise BatchError("FileNotFound")
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    elif recursive:
        delete_tree(path)
    else:
        _delete_empty(path)


def _delete_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError as error:
        raise BatchError("IOError", ("Reason", "The directory is not empty")) from error


def _locate(root: Path, name: str, *, follow: bool) -> Path:
    """The path below `root`, links on the way to it followed and a last one if `follow`. Raises BatchError
    FileNotFound if that isn't below `root`."""
    inside = os.path.realpath(root)
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise BatchError("FileNotFound")
    path = os.path.join(inside, name.rstrip("/"))
    parent, last = os.path.split(path)
    path = os.path.realpath(path) if follow else os.path.join(os.path.realpath(parent), last)
    if not path.startswith(inside + os.sep):
        raise BatchError("FileNotFound")
    return Path(path)


def _inspect(root: Path, name: str) -> NodeFile | None:
    try:
        name.encode()
        status = os.stat(_locate(root, name, follow=True))
    except (OSError, BatchError, UnicodeEncodeError):
        return None
    if not modes.S_ISDIR(status.st_mode) and not modes.S_ISREG(status.st_mode):
        return None
    return NodeFile(
        name,
        modes.S_ISDIR(status.st_mode),
        status.st_size,
        datetime.fromtimestamp(min(status.st_mtime, status.st_ctime), timezone.utc),
        datetime.fromtimestamp(status.st_mtime, timezone.utc),
        status.st_mode,
    )
