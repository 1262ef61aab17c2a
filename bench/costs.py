"""What an action takes, with the processes that it starts and waits for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of the processor for the processes that were started and have ended."""

    seconds: float
    cpu_seconds: float


def measure_cost(action: Callable[[], object]) -> Cost:
    before, began = os.times(), perf_counter()
    action()
    seconds, after = perf_counter() - began, os.times()
    user = after.children_user - before.children_user
    return Cost(seconds, user + after.children_system - before.children_system)
