"""Attempts in containers of an engine that does what a test asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.tasks import TASK, start, text
from tests.integration.nodes.waiting import wait_until

#: Its `run` makes no container: at once, or when it is asked to end before it has made one.
ENGINE = """#!/bin/sh
echo "$@" >> {calls}
test "$1" = run || exit 0
echo no such option >&2
test -e {fails} && exit 125
trap 'exit 125' TERM
echo up
while :; do sleep 0.05; done
"""
CONTAINER = {"imageName": "image", "workingDirectory": "taskWorkingDirectory"}


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_a_client_that_made_no_container(tmp_path: Path, is_stopped: bool) -> None:
    """It has failed for the task's settings unless it was asked to end; then the task was ended, and whatever
    there is of its container goes."""
    calls, fails, engine = tmp_path / "calls", tmp_path / "fails", tmp_path / "engine"
    engine.write_text(ENGINE.format(calls=calls, fails=fails))
    engine.chmod(0o755)
    if not is_stopped:
        fails.touch()
    runner = ProcessRunner(tmp_path / "location", engine=str(engine))
    runner.open_node("n1", "pool1")
    ended = start(runner, "program", container=CONTAINER)
    if is_stopped:
        await wait_until(lambda: text(runner) == "up\n")
        runner.stop("n1", TASK)
    outcome = await ended
    assert outcome.failure is not None
    assert outcome.failure.code == ("TaskEnded" if is_stopped else "ContainerInvalidSettings")
    assert ("rm --force azb-" in calls.read_text()) == is_stopped
    await runner.close()
