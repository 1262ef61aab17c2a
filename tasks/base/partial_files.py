"""Files on their way: under a name of their own until they are whole, in a folder that a run empties."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

# In the output folder: outputs on their way, which get their names once they are whole.
PARTIAL_FOLDER = ".partial"
NAME = re.compile("[0-9a-f]{32}")


try:
    import fcntl
except ImportError:  # Windows, where the partial files of a killed run stay until somebody deletes them.
    fcntl = None


@contextmanager
def replacing(folder: Path, path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that takes `path`'s place at the end, or vanishes if the block fails.

    It is locked while it is written, so that one that a killed run has left can be told from it. The path's
    folder is made if need be.
    """
    # Text, as it is done for each file of a run, and paths of pathlib take longer than the calls.
    partial = f"{folder}/{PARTIAL_FOLDER}/{uuid4().hex}"
    try:
        with _open_locked(partial) as file:
            yield file
            file.flush()
            _move(partial, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def _move(partial: str, path: str | Path) -> None:
    try:
        os.replace(partial, path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(partial, path)


def _open_locked(partial: str) -> BinaryIO:
    """A new file, locked. Between its making and its lock another run may take it for a killed run's."""
    while True:
        try:
            file = open(partial, "xb")  # noqa: SIM115 - whoever asks for it closes it
        except FileNotFoundError:
            # It is the first, or another run, at its end, has removed the folder.
            os.makedirs(os.path.dirname(partial), exist_ok=True)
            continue
        try:
            _lock(file)
        except BlockingIOError:
            file.close()
            continue
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed, which the end of the process does too; False where it can't be.

    Raises BlockingIOError if another has it.
    """
    try:
        if fcntl is None:
            return False
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def remove_partial_files(folder: Path) -> None:
    """Remove what a killed run had begun to download; what a run that goes on downloads stays."""
    partials = folder / PARTIAL_FOLDER
    try:
        for partial in partials.iterdir():
            # A link may lead to files of others, which have other names than these.
            if NAME.fullmatch(partial.name):
                _remove_unless_locked(partial)
        partials.rmdir()
    except OSError:
        # It isn't there, or another run uses it.
        pass


def _remove_unless_locked(partial: Path) -> None:
    with suppress(BlockingIOError), partial.open("rb") as file:
        if _lock(file):
            partial.unlink(missing_ok=True)
