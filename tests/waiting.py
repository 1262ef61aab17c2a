"""Waiting in tests: for a condition, with a deadline, never for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], timeout_seconds: float, what: str, interval: float = 0.05):
    """The condition's first true value; AssertionError naming `what` if there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} within {timeout_seconds:g} s"
        time.sleep(interval)
    return found
