"""Lock files. The kernel releases a lock when its holder ends in any way, so none is ever stale."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock during the block; wait for whoever has it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
