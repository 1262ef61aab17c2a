"""Waiting in tests: for a condition, with a deadline, never for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(condition: Callable[[], object], timeout_seconds: float, what: str, interval: float = 0.05):
    """The condition's first true value; AssertionError naming `what` if there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} within {timeout_seconds:g} s"
        time.sleep(interval)
    return found


def nudged(
    condition: Callable[[], Found], nudge: Callable[[], object], seconds: float
) -> Callable[[], Found]:
    """The condition, but with a nudge each time that it has been false for so long.

    For what Prefect's server does by an automation: on SQLite it forgets a trigger now and then, when its
    database is locked.
    """
    nudge_at = time.monotonic() + seconds

    def check() -> Found:
        nonlocal nudge_at
        found = condition()
        if not found and time.monotonic() >= nudge_at:
            nudge()
            nudge_at = time.monotonic() + seconds
        return found

    return check
