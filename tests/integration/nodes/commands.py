"""Running commands as tasks do, without an agent."""

from __future__ import annotations

import asyncio
import itertools
import os
from contextlib import suppress
from pathlib import Path

import psutil

from batch_emulator.node import process
from batch_emulator.node.agent_link import AgentLink

_numbers = itertools.count()


def processes_of(directory: Path) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            if one.environ().get("AZ_BATCH_TASK_DIR") == str(directory):
                found.append(one)
    return found


def command(directory: Path, command_line: str, **variables: str) -> process.Command:
    environment = {
        "PATH": os.environ["PATH"],
        "AZ_BATCH_NODE_ROOT_DIR": str(directory.parent),
        "AZ_BATCH_TASK_DIR": str(directory),
        **variables,
    }
    return process.Command(
        command_line,
        f"{directory}/wd",
        environment,
        f"{directory}/stdout.txt",
        f"{directory}/stderr.txt",
    )


async def run(
    directory: Path,
    command_line: str,
    stop: asyncio.Future[None] | None = None,
    limit_seconds: float | None = None,
    grace_seconds: float = 5,
    **variables: str,
) -> process.Exit:
    link = AgentLink(directory.parent.parent / "agent", keeps=False)
    try:
        return await run_by(link, directory, command_line, stop, limit_seconds, grace_seconds, **variables)
    finally:
        await link.close()


async def run_by(
    link: AgentLink,
    directory: Path,
    command_line: str,
    stop: asyncio.Future[None] | None = None,
    limit_seconds: float | None = None,
    grace_seconds: float = 5,
    **variables: str,
) -> process.Exit:
    return await process.run(
        link,
        f"{directory}#{next(_numbers)}",
        command(directory, command_line, **variables),
        stop or asyncio.get_running_loop().create_future(),
        limit_seconds=limit_seconds,
        grace_seconds=grace_seconds,
    )


def stdout(directory: Path) -> str:
    path = directory / "stdout.txt"
    return path.read_text() if path.exists() else ""
