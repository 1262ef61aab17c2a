"""When to look for processes that outlived their task."""

from __future__ import annotations

import asyncio

from batch_emulator.node.process import kill_strays

_INTERVAL_SECONDS = 0.25


class Sweeper:
    """Kills what left the process group of a task that has ended.

    A look at all processes costs more than starting one, so one look, a quarter of a second later, serves all
    the tasks that ended meanwhile.
    """

    def __init__(self) -> None:
        self._directories: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def later(self, task_directory: str) -> None:
        """A task of this directory has ended."""
        self._directories.add(task_directory)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_SECONDS, self._sweep)

    def now(self, task_directory: str) -> None:
        """Before the directory is read, removed or used by a new process, which would pass for a stray."""
        if task_directory in self._directories:
            self._directories.discard(task_directory)
            kill_strays({task_directory})

    def _sweep(self) -> None:
        self._timer = None
        directories, self._directories = self._directories, set()
        kill_strays(directories)

    def close(self) -> None:
        """What is still to be looked for is the caller's to kill."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._directories.clear()
