"""Waiting for what processes do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import psutil


async def wait_until(predicate: Callable[[], object], timeout_seconds: float = 10) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not predicate():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
