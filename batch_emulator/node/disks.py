"""The disk of a node, where a fault makes it slow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable


async def at_disk_speed(work: Awaitable[None], directory: str, bytes_per_second: float | None) -> None:
    """Do `work`, and wait until a disk of that speed could have taken what is in `directory` after it."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await work
    if bytes_per_second is not None:
        await asyncio.sleep(begun + size_bytes(directory) / bytes_per_second - loop.time())


def size_bytes(directory: str) -> int:
    """What all files below a folder take."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(directory)
        for name in names
    )
