"""What the service hears of a node agent, over a connection that the test plays."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from batch_emulator.node import agent_socket
from batch_emulator.node.agent_socket import AgentSocket


class Dripping:
    """The connection to an agent that tells a byte a second, and never ends."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.waits.append(seconds)

    def sendall(self, _: bytes) -> None:
        pass

    def recv(self, _: int) -> bytes:
        return b" "


def test_an_agent_that_goes_on_telling_prolongs_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds that are given are for the whole of what is waited for."""
    connection = Dripping()
    found = AgentSocket(cast(Any, connection))
    monkeypatch.setattr(agent_socket, "monotonic", itertools.count(0.0).__next__)
    with pytest.raises(TimeoutError):
        found.wait_for_message(3.0)
    assert connection.waits == [2.0, 1.0]
    monkeypatch.setattr(agent_socket, "monotonic", itertools.count(0.0).__next__)
    assert not found.say_last("quit", seconds=3.0)
    assert connection.waits[2:] == [2.0, 1.0]
