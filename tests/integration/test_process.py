"""A task's processes: real programs, started, watched, ended and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from batch_emulator import process
from batch_emulator.failures import AttemptFailed

# Python without its site packages starts in a few milliseconds.
PYTHON = f"{sys.executable} -S -E -c"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A task's directory; what of its processes does not end with the test fails it."""
    directory = tmp_path.resolve() / "node" / "task"
    (directory / "wd").mkdir(parents=True)
    yield directory
    deadline = time.monotonic() + 2
    while left := processes_of(directory):
        assert time.monotonic() < deadline, f"{left} were left behind"
        time.sleep(0.01)


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
    return await process.run(
        command(directory, command_line, **variables),
        stop or asyncio.get_running_loop().create_future(),
        limit_seconds=limit_seconds,
        grace_seconds=grace_seconds,
    )


async def wait_until(predicate: Callable[[], object], timeout_seconds: float = 10) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not predicate():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def stdout(directory: Path) -> str:
    path = directory / "stdout.txt"
    return path.read_text() if path.exists() else ""


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def failure(directory: Path, command_line: str) -> tuple[str, str]:
    with pytest.raises(AttemptFailed) as error:
        await run(directory, command_line)
    return error.value.failure.code, dict(error.value.failure.details)["Message"]


async def test_output_and_exit_code_are_kept(directory: Path) -> None:
    """stdout, stderr and the exit code of a command are those of its process."""
    ended = await run(directory, "/bin/sh -c 'echo out; echo err >&2; exit 7'")
    assert ended == process.Exit(7, "itself")
    assert stdout(directory) == "out\n"
    assert (directory / "stderr.txt").read_text() == "err\n"


async def test_command_lines_run_under_no_shell(directory: Path) -> None:
    """What a shell would expand, pipe or redirect reaches the program as it is written."""
    await run(directory, "printf '%s\\n' $HOME * ; '|' > \"a b\" $(touch x) `id` \\\"q 'it'\"'\"s")
    assert stdout(directory).splitlines() == [
        "$HOME", "*", ";", "|", ">", "a b", "$(touch", "x)", "`id`", '"q', "it's",
    ]  # fmt: skip
    assert os.listdir(directory / "wd") == []


async def test_environment_is_what_is_given(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task sees the variables it is given and none of the emulator's own."""
    monkeypatch.setenv("EMULATOR_SECRET", "x")
    await run(directory, "env", NAME="a=b\nc")
    assert "NAME=a=b\nc\n" in stdout(directory)
    assert "EMULATOR_SECRET" not in stdout(directory)


async def test_process_works_in_wd_and_leads_a_session(directory: Path) -> None:
    """A command starts in wd, as leader of a session of its own, with nothing to read on stdin."""
    await run(
        directory,
        f'{PYTHON} "import os,sys; print(os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read())"',
    )
    assert stdout(directory) == f"{directory / 'wd'} True \n"


@pytest.mark.parametrize(
    "name", ["a program", "it's", 'say "hi"', "naïve-程序", "-dash", "semi;colon", "$(x)"]
)
async def test_any_program_name(directory: Path, name: str) -> None:
    """A program of any name starts from the working directory, by bare name and by path, if it is quoted."""
    program = directory / "wd" / name
    program.write_text("#!/bin/sh\necho $1\n")
    program.chmod(0o770)
    quoted = "'" + name.replace("'", "'\"'\"'") + "'"
    assert (await run(directory, f"{quoted} one")).code == 0
    assert stdout(directory) == "one\n"
    assert (await run(directory, f"./{quoted} two")).code == 0
    assert stdout(directory) == "two\n"


async def test_path_comes_before_the_working_directory(directory: Path) -> None:
    """An input file named like a program does not take the program's place."""
    (directory / "wd" / "env").write_text("#!/bin/sh\necho fake\n")
    (directory / "wd" / "env").chmod(0o770)
    await run(directory, "env")
    assert "AZ_BATCH_TASK_DIR=" in stdout(directory)


@pytest.mark.parametrize("line", ["no-such-program x", "./absent", "/no/such/program", "''", "$HOME/x", "."])
async def test_missing_program(directory: Path, line: str) -> None:
    """A program that isn't there is CommandProgramNotFound, in the service's words."""
    assert await failure(directory, line) == (
        "CommandProgramNotFound",
        "The system cannot find the file specified",
    )
    assert (directory / "stdout.txt").read_bytes() == b""


@pytest.mark.parametrize(
    ("mode", "content"),
    [(0o640, "#!/bin/sh\n"), (0o770, "#!/no/such/interpreter\n"), (0o770, "\0\0\0\0")],
    ids=["not executable", "no interpreter", "no program"],
)
async def test_program_that_does_not_start(directory: Path, mode: int, content: str) -> None:
    """A file that is there and can't be run is CommandLaunchFailed, with the reason."""
    (directory / "wd" / "program").write_text(content)
    (directory / "wd" / "program").chmod(mode)
    code, message = await failure(directory, "./program")
    assert code == "CommandLaunchFailed"
    assert message


async def test_open_quote(directory: Path) -> None:
    """A command line with a quote that isn't closed is CommandLaunchFailed."""
    assert (await failure(directory, "echo 'a"))[0] == "CommandLaunchFailed"


async def test_argument_too_long(directory: Path) -> None:
    """Arguments that the system refuses are CommandLaunchFailed."""
    assert (await failure(directory, "echo " + "x" * 3_000_000))[0] == "CommandLaunchFailed"


async def test_signal_is_a_negative_exit_code(directory: Path) -> None:
    """A process that signal n kills has exit code -n."""
    assert await run(directory, "/bin/sh -c 'kill -9 $$'") == process.Exit(-9, "itself")


async def test_limit_ends_the_command(directory: Path) -> None:
    """Over its limit a command is asked to end and does."""
    began = time.monotonic()
    ended = await run(directory, "sleep 60", limit_seconds=0.2)
    assert ended == process.Exit(-signal.SIGTERM, "limit")
    assert 0.2 <= time.monotonic() - began < 5


async def test_stop_lets_a_command_clean_up(directory: Path) -> None:
    """A stopped command may handle SIGTERM and end in its own way."""
    stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    line = "/bin/sh -c 'trap \"echo bye; exit 3\" TERM; echo up; while :; do sleep 0.05; done'"
    running = asyncio.ensure_future(run(directory, line, stop))
    await wait_until(lambda: "up" in stdout(directory))
    stop.set_result(None)
    assert await running == process.Exit(3, "stop")
    assert stdout(directory) == "up\nbye\n"


async def test_command_that_ignores_sigterm_is_killed(directory: Path) -> None:
    """After the grace a command that doesn't end is killed."""
    line = "/bin/sh -c 'trap : TERM; echo up; while :; do sleep 60; done'"
    stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(run(directory, line, stop, grace_seconds=0.2))
    await wait_until(lambda: "up" in stdout(directory))
    stop.set_result(None)
    assert await running == process.Exit(-signal.SIGKILL, "stop")


async def test_children_in_the_background_end_with_the_command(directory: Path) -> None:
    """A child that a command leaves behind is killed when the command ends by itself."""
    assert (await run(directory, "/bin/sh -c 'sleep 60 & echo $!'")).code == 0
    await wait_until(lambda: not is_running(int(stdout(directory))))


async def test_stop_reaches_children_that_left_the_group(directory: Path) -> None:
    """A child with a session of its own and without the task's environment ends with a stopped command."""
    line = "/bin/sh -c 'env -i setsid sleep 60 & echo $!; wait'"
    stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(run(directory, line, stop))
    await wait_until(lambda: _setsid_child(directory))
    child = _setsid_child(directory)
    stop.set_result(None)
    await running
    await wait_until(lambda: not is_running(child))


def _setsid_child(directory: Path) -> int:
    """The id of the command's child once it has become what it shall be, else 0."""
    text = stdout(directory)
    child = psutil.Process(int(text)) if text.endswith("\n") else None
    return child.pid if child and child.name() == "sleep" else 0


async def test_daemons_are_found_by_their_environment(directory: Path) -> None:
    """kill_strays ends a daemon of the task, and leaves those of other tasks alone."""
    other = directory.parent / "other"
    (other / "wd").mkdir(parents=True)
    line = (
        "/bin/sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 60\" & while [ ! -s ../stdout.txt ]; do :; done'"
    )
    await run(directory, line)
    await run(other, line)
    daemon, bystander = int(stdout(directory)), int(stdout(other))
    assert is_running(daemon)
    assert process.kill_strays({str(directory)}) == 1
    await wait_until(lambda: not is_running(daemon))
    assert is_running(bystander)
    assert process.kill_strays({str(other)}) == 1


async def test_orphans_of_a_killed_emulator_are_found(directory: Path) -> None:
    """kill_orphans ends all processes of nodes below a folder, and no others: neither by a name that only
    begins alike nor by another root."""
    nodes = directory.parent.parent / "nodes"
    roots = [nodes / "p" / "n1", nodes / "p" / "n2", Path(f"{nodes}-not"), Path("/elsewhere")]
    started = [
        subprocess.Popen(["sleep", "60"], env={**os.environ, "AZ_BATCH_NODE_ROOT_DIR": str(root)})
        for root in roots
    ]
    try:
        assert process.kill_orphans(nodes) == 2
        assert [one.wait(5) for one in started[:2]] == [-9, -9]
        assert [one.poll() for one in started[2:]] == [None, None]
    finally:
        for one in started:
            one.kill()
            one.wait()


async def test_huge_output_goes_straight_to_disk(directory: Path) -> None:
    """100 MB of stdout cost the emulator no memory and are complete."""
    before = psutil.Process().memory_info().rss
    assert (await run(directory, "head -c 100000000 /dev/zero")).code == 0
    assert (directory / "stdout.txt").stat().st_size == 100_000_000
    assert psutil.Process().memory_info().rss - before < 20_000_000


async def test_cancelled_run_leaves_nothing(directory: Path) -> None:
    """A run that is cancelled has killed and reaped its process before it raises."""
    running = asyncio.ensure_future(run(directory, "/bin/sh -c 'echo $$; sleep 60'"))
    await wait_until(lambda: stdout(directory).endswith("\n"))
    pid = int(stdout(directory))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not psutil.pid_exists(pid)


async def test_without_pidfd_a_thread_watches(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a platform without pidfd_open processes are watched all the same."""
    monkeypatch.delattr(os, "pidfd_open")
    assert await run(directory, "/bin/sh -c 'exit 4'") == process.Exit(4, "itself")
    assert (await run(directory, "sleep 60", limit_seconds=0.1)).cause == "limit"


def test_runs_in_a_loop_of_another_thread(directory: Path) -> None:
    """Commands run in an event loop that isn't the main thread's."""

    async def in_thread() -> process.Exit:
        return await asyncio.to_thread(asyncio.run, run(directory, "/bin/sh -c 'exit 5'"))

    assert asyncio.run(in_thread()) == process.Exit(5, "itself")
