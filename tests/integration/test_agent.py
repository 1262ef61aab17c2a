"""The agents of nodes: whole attempts with real processes in real node folders, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.storage.blob import ContainerClient, generate_container_sas

from batch_emulator.agent import ProcessRunner
from batch_emulator.launch import Launch, Outcome, Runner
from batch_emulator.process import kill_orphans
from batch_emulator.transfer import Transfers
from deployments.azurite import BlobStorage

TASK = "workitems/job1/job-1/task1"


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[ProcessRunner]:
    """A runner with the open nodes n1 and n2, of whose processes none may be left at the end."""
    runner = ProcessRunner(
        tmp_path, stop_grace_seconds=0.5, transfers=Transfers(retry_delays_seconds=(0.01,))
    )
    runner.open_node("n1", "pool1")
    runner.open_node("n2", "pool1")
    yield runner
    await runner.close()
    assert kill_orphans(tmp_path) == 0
    assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("delete")]


@pytest.fixture
def container_url(storage: BlobStorage) -> str:
    """A new container with a SAS that reads, writes and lists."""
    name = f"t{uuid.uuid4().hex}"
    with ContainerClient.from_connection_string(storage.connection_string, name) as container:
        container.create_container()
        sas = generate_container_sas(
            storage.account_name,
            name,
            account_key=storage.account_key,
            permission="rwl",
            expiry=datetime.now(timezone.utc) + timedelta(hours=1),
        )
        return f"{container.url}?{sas}"


def launch(command_line: str, directory: str = TASK, node_id: str = "n1", **fields: Any) -> Launch:
    return Launch(node_id, directory, command_line, **fields)


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


def output(pattern: str, container_url: str, condition: str = "taskCompletion") -> dict[str, Any]:
    return {
        "filePattern": pattern,
        "destination": {"container": {"containerUrl": container_url}},
        "uploadOptions": {"uploadCondition": condition},
    }


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def wait_until(predicate: Callable[[], object], timeout_seconds: float = 10) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not predicate():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def test_is_a_runner(tmp_path: Path) -> None:
    """ProcessRunner has what the engine asks of a runner."""
    runner: Runner = ProcessRunner(tmp_path)
    assert runner.node_root("n1") is None


async def test_node_has_the_service_s_tree(runner: ProcessRunner, tmp_path: Path) -> None:
    """An open node has the folders that a node of the service has, and a root of its own."""
    root = runner.node_root("n1")
    assert root == tmp_path.resolve() / "nodes" / "pool1" / "n1"
    assert sorted(os.listdir(root)) == [
        "applications",
        "fsmounts",
        "shared",
        "startup",
        "volatile",
        "workitems",
    ]
    assert runner.node_root("n2") != root
    with pytest.raises(RuntimeError):
        runner.open_node("n1", "pool1")


async def test_successful_attempt(runner: ProcessRunner) -> None:
    """A command that ends with 0 is a success with its output in the task's directory."""
    assert await start(runner, "/bin/sh -c 'echo out; echo err >&2'") == Outcome(0)
    assert (text(runner), text(runner, "stderr.txt")) == ("out\n", "err\n")
    assert sorted(os.listdir(folder(runner))) == ["stderr.txt", "stdout.txt", "wd"]


async def test_environment_of_a_task(runner: ProcessRunner, tmp_path: Path) -> None:
    """A task sees its directories, what it was given, and a usable PATH, HOME and LANG; a setting is never
    expanded and moves no directory."""
    environment = {
        "AZ_BATCH_TASK_ID": "task1",
        "MINE": "$HOME",
        "AZ_BATCH_TASK_DIR": "/elsewhere",
        "LANG": "de",
    }
    await start(
        runner,
        "env",
        environment=environment,
        job_preparation_directory="workitems/job1/job-1/jobpreparation",
    )
    root = tmp_path.resolve() / "nodes" / "pool1" / "n1"
    task = root / TASK
    seen = dict(line.split("=", 1) for line in text(runner).splitlines())
    assert seen.pop("PATH")
    assert seen == {
        "AZ_BATCH_NODE_ROOT_DIR": str(root),
        "AZ_BATCH_NODE_SHARED_DIR": str(root / "shared"),
        "AZ_BATCH_NODE_STARTUP_DIR": str(root / "startup"),
        "AZ_BATCH_NODE_MOUNTS_DIR": str(root / "fsmounts"),
        "AZ_BATCH_TASK_DIR": str(task),
        "AZ_BATCH_TASK_WORKING_DIR": str(task / "wd"),
        "AZ_BATCH_JOB_PREP_DIR": str(root / "workitems/job1/job-1/jobpreparation"),
        "AZ_BATCH_JOB_PREP_WORKING_DIR": str(root / "workitems/job1/job-1/jobpreparation/wd"),
        "AZ_BATCH_TASK_ID": "task1",
        "MINE": "$HOME",
        "HOME": str(task / "wd"),
        "LANG": "de",
    }


async def test_nonzero_exit(runner: ProcessRunner) -> None:
    """A nonzero exit is a UserError in the service's words, and may be retried."""
    outcome = await start(runner, "/bin/sh -c 'exit 3'")
    assert (outcome.exit_code, outcome.retriable, outcome.preprocessing_failure) == (3, True, False)
    assert outcome.failure is not None
    assert (outcome.failure.category, outcome.failure.code) == ("UserError", "FailureExitCode")
    assert outcome.failure.message == "The task exited with an exit code representing a failure"
    assert outcome.failure.details == (
        ("Message", "The task process exited with an unexpected exit code"),
        ("AdditionalErrorCode", "FailureExitCode"),
    )


async def test_program_not_found(runner: ProcessRunner) -> None:
    """A program that isn't there fails before the start, with empty output files and no exit code."""
    outcome = await start(runner, "no-such-program")
    assert (outcome.exit_code, outcome.retriable, outcome.preprocessing_failure) == (None, False, True)
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.message, outcome.failure.details) == (
        "CommandProgramNotFound",
        "The specified command program is not found",
        (("Message", "The system cannot find the file specified"),),
    )
    assert sorted(os.listdir(folder(runner))) == ["stderr.txt", "stdout.txt", "wd"]


async def test_wall_clock_limit(runner: ProcessRunner) -> None:
    """A task over its limit is ended, not retried, and says which limit it was."""
    outcome = await start(runner, "sleep 60", max_wall_clock_seconds=0.2)
    assert (outcome.exit_code, outcome.retriable, outcome.stopped) == (-signal.SIGTERM, False, False)
    assert outcome.failure is not None
    assert (outcome.failure.category, outcome.failure.code) == ("UserError", "TaskEnded")
    assert dict(outcome.failure.details) == {
        "Message": "The maximum execution time configured on the task was exceeded"
    }


async def test_first_attempt_has_a_fresh_directory(runner: ProcessRunner) -> None:
    """An attempt that is no retry begins with an empty directory, also where one of that name was."""
    await start(runner, "touch left")
    assert (folder(runner) / "wd" / "left").exists()
    await start(runner, "ls -A")
    assert text(runner) == ""


async def test_retry_keeps_the_directory(runner: ProcessRunner, container_url: str) -> None:
    """A retry finds the files of the attempt before, downloads nothing again and has new output files."""
    with ContainerClient.from_container_url(container_url) as container:
        container.upload_blob("in", b"in")
    files = [{"httpUrl": container_url.replace("?", "/in?"), "filePath": "in"}]
    outcome = await start(
        runner, "/bin/sh -c 'echo 1; mv in done; exit 1'", resource_files=files, retries_left=True
    )
    assert outcome.retriable
    await start(runner, "/bin/sh -c 'ls -A'", resource_files=files, retry=True)
    assert text(runner) == "done\n"


async def test_files_go_in_and_out(runner: ProcessRunner, container_url: str) -> None:
    """A task gets its resource files before it starts, and its output files are uploaded after it."""
    with ContainerClient.from_container_url(container_url) as container:
        container.upload_blob("in put.txt", b"some words")
    outcome = await start(
        runner,
        "/bin/sh -c 'tr a-z A-Z < \"in.txt\" > out.txt; ./tool'",
        resource_files=[
            {"httpUrl": container_url.replace("?", "/in%20put.txt?"), "filePath": "in.txt"},
            {"httpUrl": container_url.replace("?", "/in%20put.txt?"), "filePath": "tool"},
        ],
        output_files=[output("out.txt", container_url), output("../std*.txt", container_url)],
    )
    assert outcome.exit_code == 127
    assert blob_names(container_url) == {"in put.txt", "out.txt", "stdout.txt", "stderr.txt"}
    with ContainerClient.from_container_url(container_url) as container:
        assert container.download_blob("out.txt").readall() == b"SOME WORDS"


async def test_missing_resource_file(runner: ProcessRunner, container_url: str) -> None:
    """A resource file that isn't there fails the attempt before its start; nothing runs or is uploaded."""
    outcome = await start(
        runner,
        "echo ran",
        resource_files=[{"httpUrl": container_url.replace("?", "/absent?"), "filePath": "x"}],
        output_files=[output("../stdout.txt", container_url)],
    )
    assert (outcome.exit_code, outcome.preprocessing_failure, outcome.retriable) == (None, True, False)
    assert outcome.failure is not None
    assert outcome.failure.code == "BlobNotFound"
    assert text(runner) == ""
    assert blob_names(container_url) == set()


async def test_nothing_is_uploaded_while_retries_are_left(runner: ProcessRunner, container_url: str) -> None:
    """A failed attempt uploads only when it was the last; a successful one always."""
    files = [output("../stdout.txt", container_url)]
    await start(runner, "/bin/sh -c 'exit 1'", output_files=files, retries_left=True)
    assert blob_names(container_url) == set()
    await start(runner, "true", output_files=files, retries_left=True, retry=True)
    assert blob_names(container_url) == {"stdout.txt"}


@pytest.mark.parametrize(
    ("command_line", "code"), [("true", "FileUploadAccessDenied"), ("false", "FailureExitCode")]
)
async def test_failed_upload(runner: ProcessRunner, container_url: str, command_line: str, code: str) -> None:
    """An upload that fails makes a success a failure and keeps the exit code; a nonzero exit stays the reason
    of the failure."""
    files = [output("../stdout.txt", container_url.replace("sig=", "sig=A"))]
    outcome = await start(runner, command_line, output_files=files)
    assert outcome.exit_code == (command_line == "false")
    assert outcome.upload_failure
    assert outcome.failure is not None
    assert outcome.failure.code == code


async def test_task_over_its_limit_uploads(runner: ProcessRunner, container_url: str) -> None:
    """What a task has written until its limit is uploaded under the conditions of a failure."""
    files = [output("../stdout.txt", container_url, "taskFailure")]
    line = "/bin/sh -c 'echo x; sleep 60'"
    await start(runner, line, output_files=files, max_wall_clock_seconds=0.3)
    assert blob_names(container_url) == {"stdout.txt"}


async def test_limit_covers_downloads(runner: ProcessRunner) -> None:
    """A download that would last longer than the task may is ended with it."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/x"
        outcome = await start(
            runner, "true", resource_files=[{"httpUrl": url, "filePath": "x"}], max_wall_clock_seconds=0.2
        )
        assert outcome.failure is not None
        assert (outcome.failure.code, outcome.exit_code) == ("TaskEnded", None)
        downloading = start(runner, "true", resource_files=[{"httpUrl": url, "filePath": "x"}])
        await wait_until(lambda: (folder(runner) / "wd").exists())
        runner.stop("n1", TASK)
        assert (await downloading).stopped


async def test_stop(runner: ProcessRunner) -> None:
    """A stopped task ends soon, says that it was stopped and is not retried; stopping it again, or nothing,
    has no effect."""
    running = start(runner, "/bin/sh -c 'echo up; sleep 60'")
    await wait_until(lambda: text(runner))
    for _ in range(2):
        runner.stop("n1", TASK)
    runner.stop("n1", "workitems/absent")
    runner.stop("absent", TASK)
    outcome = await running
    assert (outcome.exit_code, outcome.stopped, outcome.retriable) == (-signal.SIGTERM, True, False)
    runner.stop("n1", TASK)


async def test_stop_before_the_start(runner: ProcessRunner) -> None:
    """A task that is stopped in the moment of its start runs nothing."""
    running = start(runner, "touch ran")
    runner.stop("n1", TASK)
    assert (await running).exit_code is None
    assert not (folder(runner) / "wd" / "ran").exists()


async def test_one_attempt_at_a_time(runner: ProcessRunner) -> None:
    """A second attempt in a directory is refused while one is under way; on another node it runs."""
    running = start(runner, "sleep 60")
    with pytest.raises(RuntimeError):
        start(runner, "true")
    assert (await start(runner, "true", node_id="n2")).exit_code == 0
    runner.stop("n1", TASK)
    await running
    assert (await start(runner, "true")).exit_code == 0


async def test_next_attempt_may_start_in_done(runner: ProcessRunner) -> None:
    """Told of the end of an attempt one may start the next one at once."""
    second: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    again = launch("/bin/sh -c 'exit 2'", retry=True)
    runner.start(launch("false"), lambda _: runner.start(again, second.set_result))
    assert (await second).exit_code == 2


async def test_daemons_of_a_finished_task_are_killed(runner: ProcessRunner) -> None:
    """A daemon that a task leaves behind in a session of its own dies soon after the task."""
    line = (
        "/bin/sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 60\" & while [ ! -s ../stdout.txt ]; do :; done'"
    )
    assert (await start(runner, line)).exit_code == 0
    daemon = int(text(runner))
    await wait_until(lambda: not is_running(daemon))


async def test_retry_is_not_taken_for_a_daemon(runner: ProcessRunner) -> None:
    """The look for strays of an attempt spares the next one in the same directory."""
    await start(runner, "false")
    assert (await start(runner, "sleep 0.6", retry=True)).exit_code == 0


async def test_close_node(runner: ProcessRunner, tmp_path: Path) -> None:
    """Closing a node stops its tasks, daemons included, tells each of it and deletes its folder; other nodes
    go on, and the node may be opened anew."""
    line = "/bin/sh -c 'setsid sleep 60 & echo $!; wait'"
    running = [start(runner, line, f"{TASK}{number}") for number in range(3)]
    other = start(runner, "sleep 0.5", node_id="n2")
    await wait_until(lambda: all(text(runner, directory=f"{TASK}{number}") for number in range(3)))
    daemons = [int(text(runner, directory=f"{TASK}{number}")) for number in range(3)]
    closing = runner.close_node("n1")
    assert runner.node_root("n1") is None
    with pytest.raises(KeyError):
        start(runner, "true")
    await closing
    assert [future.result().stopped for future in running] == [True] * 3
    assert not any(map(is_running, daemons))
    assert os.listdir(tmp_path / "nodes" / "pool1") == ["n2"]
    await runner.close_node("n1")
    await runner.close_node("absent")
    runner.open_node("n1", "pool1")
    assert os.listdir(folder(runner, "workitems")) == []
    assert (await other).exit_code == 0


async def test_node_is_closed_without_awaiting(runner: ProcessRunner, tmp_path: Path) -> None:
    """A node's folder goes also if nobody waits for it."""
    start(runner, "sleep 60")
    runner.close_node("n1")
    await wait_until(lambda: not (tmp_path / "nodes" / "pool1" / "n1").exists())


async def test_remove_task_directory(runner: ProcessRunner) -> None:
    """A task's directory goes at once, whatever permissions its task took; removing nothing is no error."""
    await start(runner, "/bin/sh -c 'mkdir -p a/b; touch a/b/c; chmod 000 a/b a; ln -s / link'")
    runner.remove_task_directory("n1", TASK)
    assert not folder(runner).exists()
    runner.remove_task_directory("n1", TASK)
    runner.remove_task_directory("absent", TASK)
    runner.remove_task_directory("n1", "workitems/job1")
    assert os.listdir(folder(runner, "workitems")) == []


async def test_close_ends_everything(tmp_path: Path) -> None:
    """Closing the runner ends all tasks within the grace, those that ignore SIGTERM too, keeps their folders
    and leaves nothing in the trash."""
    runner = ProcessRunner(tmp_path, stop_grace_seconds=0.3)
    runner.open_node("n1", "pool1")
    line = "/bin/sh -c 'trap : TERM; echo $$; while :; do sleep 60; done'"
    running = [start(runner, line, f"{TASK}{number}") for number in range(5)]
    await wait_until(lambda: all(text(runner, directory=f"{TASK}{number}") for number in range(5)))
    pids = [int(text(runner, directory=f"{TASK}{number}")) for number in range(5)]
    await start(runner, "true")
    runner.remove_task_directory("n1", TASK)
    began = time.monotonic()
    await runner.close()
    assert time.monotonic() - began < 5
    assert [(await future).exit_code for future in running] == [-signal.SIGKILL] * 5
    assert not any(map(psutil.pid_exists, pids))
    assert (tmp_path / "nodes/pool1/n1" / f"{TASK}0" / "stdout.txt").exists()
    assert os.listdir(tmp_path / "trash") == []


async def test_node_of_an_earlier_emulator(tmp_path: Path) -> None:
    """A runner takes over the folders that an earlier one left, and deletes what that had in the trash."""
    (tmp_path / "nodes/pool1/n1/shared").mkdir(parents=True)
    (tmp_path / "nodes/pool1/n1/shared/kept").touch()
    (tmp_path / "trash/old/wd").mkdir(parents=True)
    runner = ProcessRunner(tmp_path)
    runner.open_node("n1", "pool1")
    await start(runner, "/bin/sh -c 'ls $AZ_BATCH_NODE_SHARED_DIR'")
    assert text(runner) == "kept\n"
    await runner.close()
    assert os.listdir(tmp_path / "trash") == []


def test_orphans_of_a_killed_emulator(tmp_path: Path) -> None:
    """When an emulator is killed its tasks live on, until kill_orphans ends them."""
    program = f"""
import asyncio, pathlib
from batch_emulator.agent import ProcessRunner
from batch_emulator.launch import Launch
async def main():
    runner = ProcessRunner(pathlib.Path({str(tmp_path)!r}))
    runner.open_node("n1", "pool1")
    runner.start(Launch("n1", "{TASK}", "/bin/sh -c 'echo $$; sleep 60'"), print)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    stdout = tmp_path / "nodes/pool1/n1" / TASK / "stdout.txt"
    emulator = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 20
        while not (stdout.exists() and stdout.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        emulator.kill()
        emulator.wait()
    orphan = int(stdout.read_text())
    assert is_running(orphan)
    assert kill_orphans(tmp_path / "nodes") == 2
    deadline = time.monotonic() + 5
    while is_running(orphan):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_many_short_tasks(runner: ProcessRunner) -> None:
    """A short task costs the emulator at most three times the CPU time of starting and awaiting a process."""

    async def bare(_: int) -> None:
        process = await asyncio.create_subprocess_exec("/bin/true", stdout=subprocess.DEVNULL)
        await process.wait()

    async def task(number: int) -> None:
        directory = f"workitems/{uuid.uuid4()}/job-1/t{number}"
        assert (await start(runner, "/bin/true", directory)).exit_code == 0

    # The least of several: other programs may disturb a measurement, none can improve it.
    costs = [(await _cpu_seconds(bare), await _cpu_seconds(task)) for _ in range(5)]
    assert min(cost[1] for cost in costs) < 3 * min(cost[0] for cost in costs)


async def _cpu_seconds(one: Callable[[int], Awaitable[None]]) -> float:
    places = asyncio.Semaphore(4)

    async def bounded(number: int) -> None:
        async with places:
            await one(number)

    began = time.process_time()
    await asyncio.gather(*map(bounded, range(100)))
    return time.process_time() - began
