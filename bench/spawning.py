"""The limit of what one process can start and wait for: a bare asyncio loop."""

from __future__ import annotations

import asyncio
import time


def spawn_many(command: list[str], count: int, *, at_once: int) -> float:
    """Seconds that `count` processes take, so many `at_once`."""
    return asyncio.run(_spawn_many(command, count, at_once))


async def _spawn_many(command: list[str], count: int, at_once: int) -> float:
    numbers = iter(range(count))

    async def work() -> None:
        for _ in numbers:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
            )
            await process.wait()

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return time.perf_counter() - start
