"""The limits of what one process can start and wait for: a bare asyncio loop, and one that makes what every
task has, a folder with a working directory and a file for each of the two outputs."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process


async def _spawn_bare(command: list[str], _folder: str) -> Process:
    return await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL)


async def _spawn_with_folder(command: list[str], folder: str) -> Process:
    os.mkdir(folder)
    os.mkdir(f"{folder}/wd")
    with open(f"{folder}/stdout.txt", "wb") as stdout, open(f"{folder}/stderr.txt", "wb") as stderr:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=f"{folder}/wd",
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def spawn_many(command: list[str], count: int, *, at_once: int, with_folders: bool) -> float:
    """Seconds that `count` processes take, so many `at_once`."""
    with tempfile.TemporaryDirectory() as location:
        return asyncio.run(_spawn_many(command, count, at_once, location, with_folders))


async def _spawn_many(
    command: list[str], count: int, at_once: int, location: str, with_folders: bool
) -> float:
    spawn = _spawn_with_folder if with_folders else _spawn_bare
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            process = await spawn(command, f"{location}/{number}")
            await process.wait()

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return time.perf_counter() - start
