"""Launching tasks on nodes and reading what they leave."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from batch_emulator.node.launch import Launch, Outcome
from batch_emulator.node.process_runner import ProcessRunner

_attempts = itertools.count()
TASK = "workitems/job1/job-1/task1"


def launch(command_line: str, directory: str = TASK, node_id: str = "n1", **fields: Any) -> Launch:
    return Launch(node_id, directory, command_line, **{"attempt": str(next(_attempts)), **fields})


def start(runner: ProcessRunner, command_line: str, *args: str, **fields: Any) -> asyncio.Future[Outcome]:
    """A second call of `done` would be an error of the future."""
    outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    runner.start(launch(command_line, *args, **fields), outcome.set_result)
    return outcome


def folder(runner: ProcessRunner, directory: str = TASK, node_id: str = "n1") -> Path:
    root = runner.node_root(node_id)
    assert root is not None
    return root / directory


def text(runner: ProcessRunner, name: str = "stdout.txt", directory: str = TASK) -> str:
    path = folder(runner, directory) / name
    return path.read_text() if path.exists() else ""


def blob_names(container_url: str) -> set[str]:
    with ContainerClient.from_container_url(container_url) as container:
        return set(container.list_blob_names())
