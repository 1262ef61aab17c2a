"""One attempt to run a task: its directory, its resource files, its process, its output files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from batch_emulator.failures import AttemptFailed, limit_exceeded, make_failure, nonzero_exit
from batch_emulator.launch import Failure, Launch, Outcome
from batch_emulator.output_files import upload_output_files
from batch_emulator.process import Command, Exit, run
from batch_emulator.resource_files import AutoStorage, download_resource_files
from batch_emulator.sweeper import Sweeper
from batch_emulator.transfer import Transfers
from batch_emulator.trash import Trash

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the attempts of all nodes share. `search_path` is the PATH of tasks that set none."""

    transfers: Transfers
    trash: Trash
    sweeper: Sweeper
    auto_storage: AutoStorage | None
    search_path: str
    stop_grace_seconds: float


class _Stopped(Exception):
    pass


class _LimitExceeded(Exception):
    pass


async def carry_out(
    launch: Launch, node_root: Path, stop: asyncio.Future[None], equipment: Equipment
) -> Outcome:
    """Run the attempt to its end, which comes early when `stop` is done."""
    directory = node_root / launch.task_directory
    environment = build_environment(launch, node_root, equipment.search_path)
    try:
        ended = await _execute(launch, directory, environment, stop, equipment)
    except AttemptFailed as error:
        return Outcome(None, error.failure, preprocessing_failure=True)
    except _LimitExceeded:
        return Outcome(None, limit_exceeded(), preprocessing_failure=True)
    except _Stopped:
        return stopped_outcome()
    equipment.sweeper.later(str(directory))
    if ended.cause == "stop":
        return stopped_outcome(ended.code)
    failure = _exit_failure(ended)
    retriable = ended.cause == "itself" and ended.code != 0
    if not launch.output_files or (retriable and launch.retries_left):
        return Outcome(ended.code, failure, retriable=retriable)
    equipment.sweeper.now(str(directory))
    upload = upload_output_files(equipment.transfers, launch.output_files, directory, environment, ended.code)
    try:
        upload_failure = await _until(stop, None, upload)
    except _Stopped:
        return stopped_outcome(ended.code)
    return Outcome(
        ended.code,
        failure or upload_failure,
        retriable=retriable,
        upload_failure=upload_failure is not None,
    )


def stopped_outcome(exit_code: int | None = None) -> Outcome:
    return Outcome(exit_code, make_failure("TaskEnded"), stopped=True)


def build_environment(launch: Launch, node_root: Path, search_path: str) -> dict[str, str]:
    """All variables of the process: a few that any program expects, the launch's, the directories'."""
    directory = node_root / launch.task_directory
    environment = {
        "PATH": search_path,
        "LANG": "C.UTF-8",
        "HOME": str(directory / "wd"),
        **launch.environment,
        "AZ_BATCH_NODE_ROOT_DIR": str(node_root),
        "AZ_BATCH_NODE_SHARED_DIR": str(node_root / "shared"),
        "AZ_BATCH_NODE_STARTUP_DIR": str(node_root / "startup"),
        "AZ_BATCH_NODE_MOUNTS_DIR": str(node_root / "fsmounts"),
        "AZ_BATCH_TASK_DIR": str(directory),
        "AZ_BATCH_TASK_WORKING_DIR": str(directory / "wd"),
    }
    if launch.job_preparation_directory is not None:
        preparation = node_root / launch.job_preparation_directory
        environment["AZ_BATCH_JOB_PREP_DIR"] = str(preparation)
        environment["AZ_BATCH_JOB_PREP_WORKING_DIR"] = str(preparation / "wd")
    return environment


async def _execute(
    launch: Launch,
    directory: Path,
    environment: dict[str, str],
    stop: asyncio.Future[None],
    equipment: Equipment,
) -> Exit:
    """All up to the end of the process. Raises AttemptFailed, _Stopped or _LimitExceeded before its start."""
    loop = asyncio.get_running_loop()
    limit = launch.max_wall_clock_seconds
    deadline = None if limit is None else loop.time() + limit
    _prepare(directory, launch.retry, equipment)
    if launch.resource_files and not launch.retry:
        download = download_resource_files(
            equipment.transfers, launch.resource_files, directory / "wd", equipment.auto_storage
        )
        await _until(stop, deadline, download)
    if stop.done():
        raise _Stopped
    command = Command(
        launch.command_line,
        directory / "wd",
        environment,
        directory / "stdout.txt",
        directory / "stderr.txt",
    )
    left_seconds = None if deadline is None else max(0.0, deadline - loop.time())
    return await run(command, stop, limit_seconds=left_seconds, grace_seconds=equipment.stop_grace_seconds)


def _prepare(directory: Path, retry: bool, equipment: Equipment) -> None:
    """Empty for a first attempt; a retry keeps what there is and loses only stdout.txt and stderr.txt."""
    equipment.sweeper.now(str(directory))
    try:
        if not retry:
            equipment.trash.take(directory)
        os.makedirs(directory / "wd", exist_ok=True)
        for name in ("stdout.txt", "stderr.txt"):
            with open(directory / name, "wb"):
                pass
    except OSError as error:
        raise AttemptFailed(
            "ResourceDirectoryCreateFailed", FilePath=str(directory), Message=str(error)
        ) from error


async def _until(stop: asyncio.Future[None], deadline: float | None, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; it is cancelled when stopped (raises _Stopped) or too late (_LimitExceeded)."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    timeout = None if deadline is None else max(0.0, deadline - loop.time())
    try:
        await asyncio.wait((task, stop), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        return task.result()
    raise _Stopped if stop.done() else _LimitExceeded


def _exit_failure(ended: Exit) -> Failure | None:
    if ended.cause == "limit":
        return limit_exceeded()
    return nonzero_exit() if ended.code != 0 else None
