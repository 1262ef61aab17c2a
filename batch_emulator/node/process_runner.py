"""The agents of all nodes of an emulator: folders, and real processes in them.

    <location>/nodes/<pool>/<node>/     a node's root: applications fsmounts shared startup volatile workitems
    <location>/trash/                   what is being deleted
    <location>/agent/                   the node agent's socket and log: it starts the processes of all nodes

Source of the tree and the variables: documentation "Files and directories in Azure Batch" and "Azure Batch
runtime environment variables".
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batch_emulator.node.agent_link import AgentLink, Running
from batch_emulator.node.attempt import Equipment, carry_out, stopped_outcome
from batch_emulator.node.containers import Containers
from batch_emulator.node.failures import make_failure
from batch_emulator.node.launch import Launch, Outcome
from batch_emulator.node.process import kill_orphans
from batch_emulator.node.stray_processes import Sweeper
from batch_emulator.node.transfer import Transfers
from batch_emulator.node.trash import Trash

_NODE_DIRECTORIES = ("applications", "fsmounts", "shared", "startup", "volatile/startup", "workitems")
# For what is being stopped to end, beyond the grace.
_STOP_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Attempt:
    stop: asyncio.Future[None]
    task: asyncio.Task[Outcome]


class ProcessRunner:
    """A `launch.Runner` on this machine. Belongs to the event loop in which it is first used.

    `location` is made absolute and kept. `stop_grace_seconds` lie between SIGTERM and SIGKILL. `transfers` is
    closed with the runner. Where it `keeps`, processes outlive a service that is killed, and the next one can
    take them up. Container tasks run by `engine`, a program, if there is one.
    """

    def __init__(
        self,
        location: Path,
        *,
        stop_grace_seconds: float = 5.0,
        transfers: Transfers | None = None,
        keeps: bool = False,
        engine: str | None = None,
    ):
        self._nodes_directory = location.resolve() / "nodes"
        self._agent = AgentLink(location.resolve() / "agent", keeps=keeps)
        self._taken_up: set[str] = set()
        self._contained: list[Launch] = []
        self._equipment = Equipment(
            self._agent,
            transfers or Transfers(),
            Trash(location.resolve() / "trash"),
            Sweeper(),
            os.environ.get("PATH") or os.defpath,
            stop_grace_seconds,
            Containers(engine, str(self._nodes_directory)) if engine else None,
        )
        self._nodes: dict[str, Path] = {}
        self._attempts: dict[tuple[str, str], _Attempt] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}

    def tell_when(self, when_written: Callable[[Callable[[], None]], object]) -> None:
        self._agent.when_written = when_written

    def open_node(self, node_id: str, pool_id: str) -> None:
        """Raises RuntimeError while the node is open or is still being closed."""
        if node_id in self._nodes or node_id in self._closing:
            raise RuntimeError(f"Node {node_id} is open")
        # Inputs and outputs are there; programs find their usual modes below.
        self._nodes_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Also one that an earlier version has made.
        self._nodes_directory.chmod(0o700)
        root = self._nodes_directory / pool_id / node_id
        for name in _NODE_DIRECTORIES:
            (root / name).mkdir(parents=True, exist_ok=True)
        self._nodes[node_id] = root

    def take_up(self) -> bool:
        return self._agent.take_up()

    def keep_only(self, node_ids: Set[str], in_use: Set[tuple[str, str]]) -> None:
        self._agent.settle()
        left_running = {
            f"{self._nodes[node_id]}/{directory}" for node_id, directory in in_use if node_id in self._nodes
        }
        kill_orphans(self._nodes_directory, self._taken_up | left_running)
        if self._equipment.containers is not None:
            self._equipment.containers.remove_all(self._contained)
        self._taken_up, self._contained = set(), []
        for folder in self._nodes_directory.glob("*/*"):
            if folder.name not in node_ids:
                self._equipment.trash.take(folder)

    def close_node(self, node_id: str) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        root = self._nodes.pop(node_id, None)
        if root is not None:
            self._closing[node_id] = loop.create_task(self._close_node(node_id, root))
        if node_id in self._closing:
            return self._closing[node_id]
        closed: asyncio.Future[None] = loop.create_future()
        closed.set_result(None)
        return closed

    async def _close_node(self, node_id: str, root: Path) -> None:
        try:
            await self._stop_all([key for key in self._attempts if key[0] == node_id])
            kill_orphans(root)
            self._equipment.trash.take(root)
        finally:
            del self._closing[node_id]

    def node_root(self, node_id: str) -> Path | None:
        return self._nodes.get(node_id)

    def start(self, launch: Launch, done: Callable[[Outcome], None]) -> None:
        """Raises RuntimeError if an attempt is under way there, KeyError if the node is not open."""
        key = (launch.node_id, launch.task_directory)
        if key in self._attempts:
            raise RuntimeError(f"An attempt is under way in {launch.task_directory} on node {launch.node_id}")
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[None] = loop.create_future()
        root = self._nodes[launch.node_id]
        running = self._find_running(launch, root)
        task = loop.create_task(carry_out(launch, root, stop, self._equipment, running))
        self._attempts[key] = _Attempt(stop, task)
        task.add_done_callback(partial(self._finish, key, done))
        task.add_done_callback(lambda _: self._agent.forget(launch.name))

    def _find_running(self, launch: Launch, root: Path) -> Running | None:
        found = self._agent.find(launch.name)
        if found is not None:
            self._taken_up.add(f"{root}/{launch.task_directory}")
            self._contained.append(launch)
        return found

    def _finish(
        self, key: tuple[str, str], done: Callable[[Outcome], None], task: asyncio.Task[Outcome]
    ) -> None:
        del self._attempts[key]
        if task.cancelled():
            done(stopped_outcome())
        elif error := task.exception():
            log.error("The attempt in %s on node %s broke", key[1], key[0], exc_info=error)
            done(Outcome(None, make_failure("Unknown", Message=repr(error)), preprocessing_failure=True))
        else:
            done(task.result())

    def stop(self, node_id: str, task_directory: str) -> None:
        attempt = self._attempts.get((node_id, task_directory))
        if attempt is None and node_id in self._nodes:
            self._equipment.sweeper.later(f"{self._nodes[node_id]}/{task_directory}")
        elif attempt and not attempt.stop.done():
            attempt.stop.set_result(None)

    def remove_task_directory(self, node_id: str, task_directory: str) -> None:
        root = self._nodes.get(node_id)
        if root is not None:
            self._equipment.sweeper.now(str(root / task_directory))
            self._equipment.trash.take(root / task_directory)

    async def close(self) -> None:
        self._agent.send_at_once()
        await self._stop_in_time()
        self._nodes.clear()
        self._equipment.sweeper.close()
        await self._agent.close()
        kill_orphans(self._nodes_directory)
        if self._equipment.containers is not None:
            self._equipment.containers.remove_all()
        await self._equipment.transfers.close()
        await self._equipment.trash.close()

    async def _stop_in_time(self) -> None:
        """Stop all attempts, but wait for none that an agent which hangs keeps from ending: it is killed
        next, and then they fail."""
        closing = [self._stop_all(list(self._attempts)), *self._closing.values()]
        work = asyncio.gather(*closing, return_exceptions=True)
        await asyncio.wait((work,), timeout=self._equipment.stop_grace_seconds + _STOP_SECONDS)

    async def _stop_all(self, keys: list[tuple[str, str]]) -> None:
        tasks = [self._attempts[key].task for key in keys]
        for key in keys:
            self.stop(*key)
        await asyncio.gather(*tasks, return_exceptions=True)
