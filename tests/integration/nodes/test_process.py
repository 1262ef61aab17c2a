"""The ends of a task's processes: by themselves, when stopped, over a limit; and those left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from batch_emulator.node import process
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.commands import run, stdout
from tests.integration.nodes.tasks import TASK, start, text
from tests.integration.nodes.waiting import is_running, wait_until


async def test_signal_is_a_negative_exit_code(directory: Path) -> None:
    """A process that signal n kills has exit code -n."""
    assert await run(directory, "/bin/sh -c 'kill -9 $$'") == process.Exit(-9, "itself")


async def test_limit_ends_the_command(directory: Path) -> None:
    """Over its limit, and not before, a command is asked to end and does."""
    began = time.monotonic()
    ended = await run(directory, "sleep 60", limit_seconds=0.2)
    assert ended == process.Exit(-signal.SIGTERM, "limit")
    assert time.monotonic() - began >= 0.2


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to who asks for them")
@pytest.mark.parametrize(
    ("line", "may_have_left"),
    [
        ("true", False),
        ("/bin/sh -c 'sleep 60 & (sleep 60 &)'", True),
        ("/bin/sh -c '(setsid sleep 60 &)'", True),
        ("/bin/sh -c 'env -i setsid sleep 0 & wait'", False),
    ],
)
async def test_what_is_left_is_known(directory: Path, line: str, may_have_left: bool) -> None:
    """Who has run a command knows whether anything may go on that it has started."""
    ended = await run(directory, line)
    assert (ended.code, ended.may_have_left) == (0, may_have_left)
    process.kill_strays({str(directory)})


async def test_adopted_processes_are_reaped(runner: ProcessRunner) -> None:
    """Who loses its parent and ends while its task runs is no zombie, and no reason to look for others."""
    line = "/bin/sh -c '(setsid sh -c \"echo \\$\\$\" &); while [ ! -s ../stdout.txt ]; do :; done; sleep 60'"
    running = start(runner, line)
    await wait_until(lambda: text(runner))
    orphan = int(text(runner))
    await wait_until(lambda: not psutil.pid_exists(orphan))
    runner.stop("n1", TASK)
    await running


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
        subprocess.Popen(["sleep", "60"], env={**os.environ, "AZ_BATCH_TASK_DIR": f"{root}/startup"})
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


async def test_cancelled_run_leaves_nothing(directory: Path) -> None:
    """A run that is cancelled has killed and reaped its process before it raises."""
    running = asyncio.ensure_future(run(directory, "/bin/sh -c 'echo $$; sleep 60'"))
    await wait_until(lambda: stdout(directory).endswith("\n"))
    pid = int(stdout(directory))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not psutil.pid_exists(pid)
