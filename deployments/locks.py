"""Lock files. The kernel releases a lock when its holder ends in any way, so none is ever stale."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deployments.errors import InstallError

# More than what is done under a lock may take.
LOCK_SECONDS = 20 * 60.0
POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock during the block; wait for whoever has it. Raises InstallError if that takes too long."""
    with path.open("w") as file:
        _wait_for_lock(file, path)
        yield


def _wait_for_lock(file: IO[str], path: Path) -> None:
    ends_at_seconds = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= ends_at_seconds:
                raise InstallError(
                    f"Another process holds {path} for {LOCK_SECONDS / 60:.0f} minutes: does it hang?"
                ) from None
        time.sleep(POLL_SECONDS)


@contextmanager
def locked_at_once(path: Path) -> Iterator[None]:
    """Hold the lock during the block. Raises BlockingIOError when another has it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with locked_at_once(path):
            return False
    except BlockingIOError:
        return True
