"""One attempt to run a task: its directory, its resource files, its process, its output files."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from batch_emulator.node.agent_link import AgentLink, Running
from batch_emulator.node.containers import Containers, client_environment
from batch_emulator.node.failures import AttemptFailed, limit_exceeded, make_failure, nonzero_exit
from batch_emulator.node.launch import Failure, Launch, Outcome
from batch_emulator.node.output_files import upload_output_files
from batch_emulator.node.process import Command, Exit, make_outputs, run, watch
from batch_emulator.node.resource_files import download_resource_files
from batch_emulator.node.stray_processes import Sweeper
from batch_emulator.node.transfer import Transfers
from batch_emulator.node.trash import Trash

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the attempts of all nodes share. `search_path` is the PATH of tasks that set none."""

    agent: AgentLink
    transfers: Transfers
    trash: Trash
    sweeper: Sweeper
    search_path: str
    stop_grace_seconds: float
    containers: Containers | None = None

    def containers_for(self, launch: Launch) -> Containers | None:
        """What runs it in a container, if it is to be in one."""
        return self.containers if launch.container else None


class _Stopped(Exception):
    pass


class _LimitExceeded(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What is to be run, where, and with what; it comes early to its end when `stop` is done."""

    launch: Launch
    directory: str
    """The task's directory on the node."""

    node_root: str
    environment: dict[str, str]
    stop: asyncio.Future[None]
    equipment: Equipment

    @property
    def containers(self) -> Containers | None:
        return self.equipment.containers_for(self.launch)


async def carry_out(
    launch: Launch,
    node_root: Path,
    stop: asyncio.Future[None],
    equipment: Equipment,
    running: Running | None = None,
) -> Outcome:
    """Run the attempt to its end, which comes early when `stop` is done. An earlier service may have started
    its command: that is `running`, or has ended."""
    directory = f"{node_root}/{launch.task_directory}"
    environment = _build_environment(launch, str(node_root), equipment.search_path)
    attempt = _Attempt(launch, directory, str(node_root), environment, stop, equipment)
    try:
        ended = await _run_command(attempt, running)
    except AttemptFailed as error:
        equipment.sweeper.later(directory)
        return Outcome(None, error.failure, preprocessing_failure=True)
    except _LimitExceeded:
        return Outcome(None, limit_exceeded(), preprocessing_failure=True)
    except _Stopped:
        return stopped_outcome()
    finally:
        if attempt.containers:
            # Its client is gone; what ran in it need not be.
            await attempt.containers.remove(launch)
    if ended.may_have_left and (launch.stage != "coordination" or ended.cause != "itself"):
        equipment.sweeper.later(directory)
    return stopped_outcome(ended.code) if ended.cause == "stop" else await _conclude(attempt, ended)


async def _run_command(attempt: _Attempt, running: Running | None) -> Exit:
    """How the command ended, which is started if it is not `running`. Raises AttemptFailed, _Stopped or
    _LimitExceeded for what never began."""
    if running is None:
        ended = await _execute(attempt)
    else:
        ended = await watch(running, attempt.stop, attempt.equipment.stop_grace_seconds)
    containers = attempt.containers
    if containers and ended.cause == "itself" and await containers.ran_nothing(attempt.launch, ended.code):
        message = _last_line(f"{attempt.directory}/stderr.txt")
        raise AttemptFailed("ContainerInvalidSettings", Message=message)
    return ended


async def _conclude(attempt: _Attempt, ended: Exit) -> Outcome:
    """The outcome of a command that was not stopped, once its output files are uploaded."""
    launch, equipment, failure = attempt.launch, attempt.equipment, _exit_failure(ended)
    retriable = ended.cause == "itself" and ended.code != 0
    if not launch.output_files or (retriable and launch.retries_left):
        return Outcome(ended.code, failure, retriable=retriable)
    equipment.sweeper.now(attempt.directory)
    upload = upload_output_files(
        equipment.transfers, launch.output_files, Path(attempt.directory), attempt.environment, ended.code
    )
    try:
        upload_failure = await _until(attempt.stop, None, upload)
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


def _build_environment(launch: Launch, node_root: str, search_path: str) -> dict[str, str]:
    """All variables of the process: a few that any program expects, which a container has from its image, the
    launch's, the directories'."""
    directory = f"{node_root}/{launch.task_directory}"
    expected = {"PATH": search_path, "LANG": "C.UTF-8", "HOME": f"{directory}/wd"}
    environment = {
        **({} if launch.container else expected),
        **launch.environment,
        "AZ_BATCH_NODE_ROOT_DIR": node_root,
        "AZ_BATCH_NODE_SHARED_DIR": f"{node_root}/shared",
        "AZ_BATCH_NODE_STARTUP_DIR": f"{node_root}/startup",
        "AZ_BATCH_NODE_MOUNTS_DIR": f"{node_root}/fsmounts",
        "AZ_BATCH_TASK_DIR": directory,
        "AZ_BATCH_TASK_WORKING_DIR": f"{directory}/wd",
    }
    if not launch.on_windows:
        environment["AZ_BATCH_CERTIFICATES_DIR"] = f"{directory}/certs"
    if launch.job_preparation_directory is not None:
        preparation = f"{node_root}/{launch.job_preparation_directory}"
        environment["AZ_BATCH_JOB_PREP_DIR"] = preparation
        environment["AZ_BATCH_JOB_PREP_WORKING_DIR"] = f"{preparation}/wd"
    if launch.stage != "whole":
        environment["AZ_BATCH_TASK_SHARED_DIR"] = directory
    return environment


async def _execute(attempt: _Attempt) -> Exit:
    """All up to the end of the process. Raises AttemptFailed, _Stopped or _LimitExceeded before its start."""
    loop, launch, equipment = asyncio.get_running_loop(), attempt.launch, attempt.equipment
    limit = launch.max_wall_clock_seconds
    deadline = None if limit is None else loop.time() + limit
    await _fill_directory(attempt, deadline)
    if attempt.containers:
        await _until(attempt.stop, deadline, attempt.containers.fetch(launch))
        attempt.containers.prepare(launch, attempt.environment)
    if attempt.stop.done():
        raise _Stopped
    return await run(
        equipment.agent,
        launch.name,
        _build_command(attempt),
        attempt.stop,
        limit_seconds=None if deadline is None else max(0.0, deadline - loop.time()),
        grace_seconds=equipment.stop_grace_seconds,
    )


async def _fill_directory(attempt: _Attempt, deadline: float | None) -> None:
    """Make the task's directory, and download its resource files."""
    launch, directory = attempt.launch, attempt.directory
    # A retry may come to another node than the attempt before it: its first node has left the pool.
    fresh = not (launch.retry and os.path.isdir(f"{directory}/wd"))
    if launch.stage != "application":
        _prepare(directory, ("wd",) if launch.on_windows else ("wd", "certs"), fresh, attempt.equipment)
        if launch.resource_files or launch.common_resource_files or launch.disk_full:
            _make_outputs(directory)
    if launch.disk_full:
        raise AttemptFailed("DiskFull", FilePath=directory, Message=os.strerror(errno.ENOSPC))
    for files, target in ((launch.common_resource_files, ""), (launch.resource_files, "wd")):
        if files and fresh:
            download = download_resource_files(
                attempt.equipment.transfers, files, Path(directory, target), Path(attempt.node_root)
            )
            work = _at_disk_speed(download, directory, launch.disk_bytes_per_second)
            await _until(attempt.stop, deadline, work)


def _build_command(attempt: _Attempt) -> Command:
    """The process to start: the task's own, or the client of a container engine that runs it."""
    launch, directory, containers = attempt.launch, attempt.directory, attempt.containers
    return Command(
        launch.command_line,
        f"{directory}/wd",
        client_environment(attempt.environment) if containers else attempt.environment,
        f"{directory}/stdout.txt",
        f"{directory}/stderr.txt",
        appends=launch.stage == "application",
        leaves_running=launch.stage == "coordination",
        arguments=containers and containers.arguments(launch, directory, attempt.environment),
    )


def _last_line(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return (file.read()[-1000:].splitlines() or [""])[-1]
    return ""


async def _at_disk_speed(work: Awaitable[None], directory: str, bytes_per_second: float | None) -> None:
    """Do `work`, and wait until a disk of that speed could have taken what is in `directory` after it."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await work
    if bytes_per_second is not None:
        await asyncio.sleep(begun + _size_bytes(directory) / bytes_per_second - loop.time())


def _size_bytes(directory: str) -> int:
    """What all files below a folder take."""
    return sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(directory)
        for name in names
    )


def _prepare(directory: str, folders: Iterable[str], fresh: bool, equipment: Equipment) -> None:
    """A directory with empty `folders` if it shall be `fresh`, else what there is. Raises AttemptFailed."""
    equipment.sweeper.now(directory)
    try:
        if fresh:
            equipment.trash.take(directory)
        _make_directory(directory)
        for folder in folders:
            _make_directory(f"{directory}/{folder}")
    except OSError as error:
        raise _directory_failure(directory, error) from error


def _make_outputs(directory: str) -> None:
    """Empty files for all to see while others are downloaded; the process's start makes them otherwise."""
    try:
        make_outputs(f"{directory}/stdout.txt", f"{directory}/stderr.txt")
    except OSError as error:
        raise _directory_failure(directory, error) from error


def _directory_failure(directory: str, error: OSError) -> AttemptFailed:
    return AttemptFailed("ResourceDirectoryCreateFailed", FilePath=directory, Message=str(error))


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path)
    except (FileNotFoundError, FileExistsError):
        os.makedirs(path, exist_ok=True)


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
