"""The agents of nodes: what runs, stops and closes, and what is left of it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from batch_emulator.node.agent_link import AgentLink
from batch_emulator.node.launch import Outcome, Runner
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.agents import agents_of
from tests.integration.nodes.tasks import TASK, folder, launch, start, text
from tests.integration.nodes.waiting import is_running, wait_until

# Its parent has ended before it prints its id, so that nothing but its environment leads to it.
DAEMON = '(setsid sh -c "echo \\$\\$; exec sleep 60" &)'


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
    line = f"/bin/sh -c '{DAEMON}; while [ ! -s ../stdout.txt ]; do :; done'"
    assert (await start(runner, line)).exit_code == 0
    daemon = int(text(runner))
    await wait_until(lambda: not is_running(daemon))


async def test_retry_meets_no_daemon(runner: ProcessRunner) -> None:
    """What an attempt left behind is killed before the next one in its directory starts, and that one is not
    taken for a stray."""
    await start(runner, f"/bin/sh -c '{DAEMON}; while [ ! -s ../stdout.txt ]; do :; done; exit 1'")
    daemon = int(text(runner))
    retry = start(runner, "sleep 0.6", retry=True)
    await wait_until(lambda: not is_running(daemon))
    assert not retry.done()
    assert (await retry).exit_code == 0


async def test_close_node(runner: ProcessRunner, tmp_path: Path) -> None:
    """Closing a node stops its tasks, daemons included, tells each of it and deletes its folder; other nodes
    go on, and the node may be opened anew."""
    line = f"/bin/sh -c '{DAEMON}; sleep 60'"
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
    await runner.close()
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
    """When an emulator that keeps nothing is killed, the node agent ends its tasks, with those of their
    processes that left their group, and then itself."""
    (tmp_path / "both").write_text(f"echo $$; {DAEMON}; sleep 60")
    program = f"""
import asyncio, pathlib
from batch_emulator.node.process_runner import ProcessRunner
from batch_emulator.node.launch import Launch


async def main():
    runner = ProcessRunner(pathlib.Path({str(tmp_path)!r}))
    runner.open_node("n1", "pool1")
    runner.start(Launch("n1", "{TASK}", "/bin/sh {tmp_path}/both"), print)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    stdout = tmp_path / "nodes/pool1/n1" / TASK / "stdout.txt"
    emulator = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 20
        while not stdout.exists() or stdout.read_text().count("\n") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        emulator.kill()
        emulator.wait()
    orphans = [int(pid) for pid in stdout.read_text().split()]
    deadline = time.monotonic() + 20
    while any(map(is_running, orphans)) or agents_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("is_settled", [True, False])
async def test_agent_of_a_service_that_was_killed_at_its_start(tmp_path: Path, is_settled: bool) -> None:
    """An agent knows what ran before once a service has written down what becomes of it, and not because a
    service has begun to ask."""
    program = f"""
import asyncio, os, pathlib
from batch_emulator.node.agent_link import AgentLink


async def main():
    link = AgentLink(pathlib.Path({str(tmp_path / "agent")!r}), keeps=True)
    assert not link.take_up()
    if {is_settled}:
        link.settle()
        await asyncio.sleep(0)
    os._exit(0)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    await wait_until(lambda: not agents_of(tmp_path))
    link = AgentLink(tmp_path / "agent", keeps=True)
    assert link.take_up() == is_settled
    await link.close()


async def test_many_short_tasks(runner: ProcessRunner, tmp_path: Path) -> None:
    """A short task costs the emulator at most twice the CPU time of a process with two folders and two
    files."""
    numbers = itertools.count()

    async def bare() -> None:
        folder = tmp_path / str(next(numbers))
        (folder / "wd").mkdir(parents=True)
        with open(folder / "stdout.txt", "wb") as stdout, open(folder / "stderr.txt", "wb") as stderr:
            process = await asyncio.create_subprocess_exec("/bin/true", stdout=stdout, stderr=stderr)
        await process.wait()

    async def task() -> None:
        directory = f"workitems/job1/job-1/{next(numbers)}"
        assert (await start(runner, "/bin/true", directory)).exit_code == 0

    # The least of several: other programs may disturb a measurement, none can improve it.
    costs = [(await _cpu_seconds(bare), await _cpu_seconds(task)) for _ in range(5)]
    assert min(cost[1] for cost in costs) < 2 * min(cost[0] for cost in costs)


async def _cpu_seconds(one: Callable[[], Awaitable[None]]) -> float:
    places = asyncio.Semaphore(4)

    async def bounded() -> None:
        async with places:
            await one()

    began = time.process_time()
    await asyncio.gather(*(bounded() for _ in range(100)))
    return time.process_time() - began
