"""Agents that say nothing, or do not end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_emulator.node import agent_link, process_runner
from batch_emulator.node.agent_link import AgentLink
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.agents import agents_of
from tests.integration.nodes.tasks import start, text
from tests.integration.nodes.waiting import is_running, wait_until


async def test_an_agent_that_says_nothing_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent agent does not live on beside the one that takes its place, where it could go on with what it
    was told; nothing of what it knew is taken for known."""
    link = AgentLink(tmp_path / "agent", keeps=True)
    assert not link.take_up()
    (silent,) = agents_of(tmp_path)
    silent.suspend()
    monkeypatch.setattr(agent_link, "_HELLO_SECONDS", 0.2)
    next_link = AgentLink(tmp_path / "agent", keeps=True)
    monkeypatch.setattr(agent_link, "_kill_agent", until_killed(agent_link._kill_agent, monkeypatch))
    assert not next_link.take_up()
    assert not is_running(silent.pid)
    await next_link.close()
    await link.close()


async def test_an_agent_that_hangs_keeps_nobody_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that is closed waits a while for its agent, then kills it, with what that has started."""
    monkeypatch.setattr(agent_link, "_QUIT_SECONDS", 0.2)
    monkeypatch.setattr(process_runner, "_STOP_SECONDS", 0.2)
    runner = ProcessRunner(tmp_path, stop_grace_seconds=0.1)
    runner.open_node("n1", "pool1")
    running = start(runner, "/bin/sh -c 'echo $$; sleep 60'")
    await wait_until(lambda: text(runner))
    (agent,) = agents_of(tmp_path)
    agent.suspend()
    pid = int(text(runner))
    await asyncio.wait_for(runner.close(), 60)
    assert (await running).exit_code is None
    assert not is_running(agent.pid)
    await wait_until(lambda: not is_running(pid))


def until_killed(kill: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """The next agent has the time that it needs."""

    def wrapped(folder: Path) -> None:
        monkeypatch.setattr(agent_link, "_HELLO_SECONDS", 30.0)
        kill(folder)

    return wrapped
