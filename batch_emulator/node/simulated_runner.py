"""Nodes that run nothing: an attempt is a timer, so that a thousand of them and a million tasks fit here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from pathlib import Path
from random import Random

from batch_emulator.node.attempt import stopped_outcome
from batch_emulator.node.launch import Launch, Outcome
from batch_emulator.node.simulation import Simulation, foresee

Done = Callable[[Outcome], None]


class SimulatedRunner:
    """A `launch.Runner` without folders and processes. Time passes `speed` times as fast as real time."""

    def __init__(self, rule: Simulation, *, speed: float = 1.0):
        self._rule = rule
        self._speed = speed
        self._random = Random(rule.seed)
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[str, dict[str, tuple[asyncio.Handle, Done]]] = {}

    def tell_when(self, when_written: Callable[[Callable[[], None]], object]) -> None:
        """Nothing outlives the service."""

    def open_node(self, node_id: str, pool_id: str) -> None:
        self._nodes.setdefault(node_id, {})

    def take_up(self) -> bool:
        """What ran was a timer of a process that is gone."""
        return False

    def keep_only(self, node_ids: Set[str], in_use: Set[tuple[str, str]]) -> None:
        """There are no folders."""

    def close_node(self, node_id: str) -> asyncio.Future[None]:
        for directory in list(self._nodes.get(node_id, ())):
            self.stop(node_id, directory)
        closed: asyncio.Future[None] = self._loop.create_future()
        self._loop.call_soon(self._close_node, node_id, closed)
        return closed

    def _close_node(self, node_id: str, closed: asyncio.Future[None]) -> None:
        self._nodes.pop(node_id, None)
        if not closed.cancelled():
            closed.set_result(None)

    def node_root(self, node_id: str) -> Path | None:
        """There is none, though the node is open."""
        return None

    def start(self, launch: Launch, done: Done) -> None:
        seconds, outcome = foresee(self._rule, launch, self._random)
        place = (launch.node_id, launch.task_directory)
        handle = self._loop.call_later(seconds / self._speed, self._end, *place, outcome)
        self._nodes[launch.node_id][launch.task_directory] = handle, done

    def _end(self, node_id: str, directory: str, outcome: Outcome) -> None:
        _, done = self._nodes[node_id].pop(directory)
        done(outcome)

    def stop(self, node_id: str, task_directory: str) -> None:
        found = self._nodes.get(node_id, {}).get(task_directory)
        if found is not None:
            handle, done = found
            handle.cancel()
            soon = self._loop.call_soon(self._end, node_id, task_directory, stopped_outcome())
            self._nodes[node_id][task_directory] = soon, done

    def remove_task_directory(self, node_id: str, task_directory: str) -> None:
        """There is none."""

    async def close(self) -> None:
        for node_id in list(self._nodes):
            await self.close_node(node_id)
