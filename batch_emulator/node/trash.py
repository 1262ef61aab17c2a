"""Deleting folders without keeping anybody waiting."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path


class Trash:
    """Makes folders disappear at once, by a rename, and deletes them in a thread of its own.

    `directory` must be on the file system of all that is taken. What an earlier process left there goes too.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._numbers = itertools.count()
        self._deleter: ThreadPoolExecutor | None = None
        if directory.is_dir():
            for leftover in directory.iterdir():
                self._delete_later(leftover)

    def take(self, path: str | Path) -> None:
        """Without effect if there is nothing at `path`."""
        if not os.path.lexists(path):
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        target = self._directory / f"{os.getpid()}-{id(self)}-{next(self._numbers)}"
        os.rename(path, target)
        self._delete_later(target)

    def _delete_later(self, path: Path) -> None:
        if self._deleter is None:
            self._deleter = ThreadPoolExecutor(1, f"delete {self._directory}")
        self._deleter.submit(delete_tree, path)

    async def close(self) -> None:
        """Wait until all is deleted."""
        if self._deleter is not None:
            await asyncio.get_running_loop().run_in_executor(self._deleter, lambda: None)
            self._deleter.shutdown()
            self._deleter = None


def delete_tree(path: Path) -> None:
    """Delete a folder, also one without permissions, a file or a link. What can't be deleted stays."""
    if path.is_symlink() or not path.is_dir():
        with suppress(OSError):
            path.unlink()
        return
    try:
        shutil.rmtree(path)
    except OSError:
        _open_up(path)
        shutil.rmtree(path, ignore_errors=True)


def _open_up(path: Path) -> None:
    with suppress(OSError):
        path.chmod(0o700)
    for directory, names, _ in os.walk(path):
        for name in names:
            subdirectory = os.path.join(directory, name)
            if not os.path.islink(subdirectory):
                with suppress(OSError):
                    os.chmod(subdirectory, 0o700)
