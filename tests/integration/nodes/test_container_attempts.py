"""Attempts in containers of an engine that does what a test asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from batch_emulator.node import containers
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.tasks import TASK, start, text
from tests.integration.nodes.waiting import wait_until

#: Its `run` makes no container: at once, or when it is asked to end before it has made one. Of containers it
#: says nothing where it hangs.
ENGINE = """#!/bin/sh
echo "$@" >> {calls}
test -e {hangs} && case $1 in rm | ps) exec sleep 600 ;; esac
test "$1" = run || exit 0
echo no such option >&2
test -e {fails} && exit 125
trap 'exit 125' TERM
echo up
while :; do sleep 0.05; done
"""
CONTAINER = {"imageName": "image", "workingDirectory": "taskWorkingDirectory"}


def make_runner(folder: Path) -> ProcessRunner:
    """One with a node, whose engine writes down its calls."""
    engine = folder / "engine"
    engine.write_text(ENGINE.format(**{name: folder / name for name in ("calls", "fails", "hangs")}))
    engine.chmod(0o755)
    runner = ProcessRunner(folder / "location", engine=str(engine))
    runner.open_node("n1", "pool1")
    return runner


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_a_client_that_made_no_container(tmp_path: Path, is_stopped: bool) -> None:
    """It has failed for the task's settings unless it was asked to end; then the task was ended, and whatever
    there is of its container goes."""
    runner = make_runner(tmp_path)
    if not is_stopped:
        (tmp_path / "fails").touch()
    ended = start(runner, "program", container=CONTAINER)
    if is_stopped:
        await wait_until(lambda: text(runner) == "up\n")
        runner.stop("n1", TASK)
    outcome = await ended
    assert outcome.failure is not None
    assert outcome.failure.code == ("TaskEnded" if is_stopped else "ContainerInvalidSettings")
    assert ("rm --force azb-" in (tmp_path / "calls").read_text()) == is_stopped
    await runner.close()


async def test_an_engine_that_hangs_keeps_no_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is ended has ended, and a service that is closed is, though the engine says nothing."""
    monkeypatch.setattr(containers, "_ANSWER_SECONDS", 0.2)
    (tmp_path / "hangs").touch()
    runner = make_runner(tmp_path)
    ended = start(runner, "program", container=CONTAINER)
    await wait_until(lambda: text(runner) == "up\n")
    runner.stop("n1", TASK)
    outcome = await asyncio.wait_for(ended, 60)
    assert outcome.stopped
    await asyncio.wait_for(runner.close(), 60)
