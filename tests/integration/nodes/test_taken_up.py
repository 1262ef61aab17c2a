"""Commands that an earlier service has started, and that a runner takes up."""

import subprocess
import sys
from pathlib import Path

import pytest

from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.agents import agents_of
from tests.integration.nodes.tasks import TASK, start, text
from tests.integration.nodes.waiting import wait_until

TRAPPED = "trap 'sleep {seconds}; echo in order; exit' TERM; echo up; while :; do sleep 0.05; done"


@pytest.mark.parametrize(("grace_seconds", "needs_seconds", "said"), [(60, 0.3, "in order\n"), (0.1, 3, "")])
async def test_what_is_taken_up_has_its_grace(tmp_path: Path, grace_seconds, needs_seconds, said) -> None:
    """A command of an earlier service that is stopped has as long as one of this service's own."""
    (tmp_path / "trapped").write_text(TRAPPED.format(seconds=needs_seconds))
    line = f"/bin/sh {tmp_path}/trapped"
    program = f"""
import asyncio, os, pathlib
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.tasks import start, text
from tests.integration.nodes.waiting import wait_until


async def main():
    runner = ProcessRunner(pathlib.Path({str(tmp_path)!r}), keeps=True)
    runner.open_node("n1", "pool1")
    started = start(runner, {line!r}, attempt="1")
    await wait_until(lambda: text(runner))
    os._exit(0)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    runner = ProcessRunner(tmp_path, stop_grace_seconds=grace_seconds, keeps=True)
    try:
        assert runner.take_up()
        runner.open_node("n1", "pool1")
        taken_up = start(runner, line, attempt="1")
        runner.keep_only({"n1"}, set())
        runner.stop("n1", TASK)
        assert (await taken_up).stopped
        assert text(runner) == f"up\n{said}"
    finally:
        await runner.close()
    await wait_until(lambda: not agents_of(tmp_path))
