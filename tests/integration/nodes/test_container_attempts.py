"""Attempts in containers of an engine that does what a test asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from batch_emulator.node import containers
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.tasks import TASK, start, text
from tests.integration.nodes.waiting import wait_until

#: Its `run` fails: at once, or when it is asked to end. What it says of its container is in a file; of
#: containers it says nothing where it hangs.
ENGINE = """#!/bin/sh
echo "$@" >> {calls}
test -e {hangs} && case $1 in rm | ps) exec sleep 600 ;; esac
test "$1" = container && exec cat {started}
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
    engine.write_text(
        ENGINE.format(**{name: folder / name for name in ("calls", "fails", "hangs", "started")})
    )
    engine.chmod(0o755)
    runner = ProcessRunner(folder / "location", engine=str(engine))
    runner.open_node("n1", "pool1")
    return runner


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        pytest.param(None, "ContainerInvalidSettings", id="none-made"),
        pytest.param("0001-01-01T00:00:00Z", "ContainerInvalidSettings", id="not-started"),
        pytest.param("2026-02-03T00:00:16Z", "FailureExitCode", id="ran"),
    ],
)
async def test_a_client_that_fails(tmp_path: Path, started: str | None, expected: str) -> None:
    """It has failed for the task's settings where no program ran; a program may exit with its code too. In
    any case whatever there is of its container goes, once that was asked."""
    runner = make_runner(tmp_path)
    (tmp_path / "fails").touch()
    if started:
        (tmp_path / "started").write_text(started)
    outcome = await start(runner, "program", container=CONTAINER)
    assert outcome.failure is not None
    assert outcome.failure.code == expected
    calls = [line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()]
    assert calls == ["image", "run", "container", "rm"]
    await runner.close()


async def test_a_client_that_is_asked_to_end(tmp_path: Path) -> None:
    """Its task was ended, however it fails itself, and its container goes."""
    runner = make_runner(tmp_path)
    ended = start(runner, "program", container=CONTAINER)
    await wait_until(lambda: text(runner) == "up\n")
    runner.stop("n1", TASK)
    outcome = await ended
    assert outcome.failure is not None
    assert outcome.failure.code == "TaskEnded"
    assert "rm --force --volumes azb-" in (tmp_path / "calls").read_text()
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
