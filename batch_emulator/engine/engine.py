"""The running service: applies commands and events to the world, performs what follows, keeps time.

Everything happens in one event loop; `do` is called there and nowhere else, so that no lock is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from batch_emulator.engine.clock import Clock
from batch_emulator.engine.journal import Journal
from batch_emulator.engine.node_logs import NodeLogs
from batch_emulator.engine.persistence import Persistence
from batch_emulator.engine.timers import Timers
from batch_emulator.node.launch import Outcome, Runner
from batch_emulator.scheduler.multiinstance import coordinated_places
from batch_emulator.scheduler.recovery import recover
from batch_emulator.scheduler.settle import settle
from batch_emulator.scheduler.world import (
    Action,
    CloseNode,
    OpenNode,
    RemoveDirectory,
    Start,
    Stop,
    Timer,
    World,
)
from batch_emulator.settings import Settings
from batch_emulator.ticks import from_seconds


class Engine:
    """One account's service. Make it inside its event loop. It closes the journal, if it is given one."""

    def __init__(self, settings: Settings, runner: Runner, account_url: str, journal: Journal | None = None):
        self.settings = settings
        self.runner = runner
        self.world = World(settings, account_url=account_url)
        self._loop = asyncio.get_running_loop()
        self._clock = Clock(settings.speed)
        self._timers = Timers(self.do, settings.speed)
        self._persistence = Persistence(journal, self.world, self._timers)
        runner.tell_when(self._persistence.when_written)
        self.logs = NodeLogs()
        self._background: set[asyncio.Task] = set()
        self._running: set[tuple[str, str]] = set()
        self._next: dict[tuple[str, str], Start] = {}
        self._closing: dict[str, asyncio.Future] = {}
        self._closed = False
        self._performers: dict[type[Action], Callable[[Any], None]] = {
            Timer: self._start_timer,
            OpenNode: self._open_node,
            CloseNode: self._close_node,
            Start: self._start,
            Stop: self._stop,
            RemoveDirectory: self._remove_directory,
        }
        if journal is not None:
            self._take_up()

    def _take_up(self) -> None:
        """Go on where an earlier service has ended."""
        last = self._persistence.restore(self._clock)
        went_on = self.runner.take_up()
        if last is not None:
            self.do(recover, last, went_on)
        self.runner.keep_only({node.id for node in self.store.all_nodes()}, coordinated_places(self.world))

    @property
    def store(self):
        return self.world.store

    def now(self) -> int:
        """The service's time in ticks: `speed` times as fast as real time, and never the same twice."""
        return self._clock.now()

    def do(self, command: Callable[..., Any], *arguments: Any) -> Any:
        """Call `command(world, *arguments)`, draw its consequences, perform the actions; returns its result.

        A `BatchError` of the command passes through with nothing changed.
        """
        self.world.now = self.now()
        result = command(self.world, *arguments)
        settle(self.world)
        self._persistence.note()
        self._perform_actions()
        return result

    def flush(self) -> None:
        """Write what has changed, if it is kept at all. To be called before an answer tells of it."""
        self._persistence.flush()

    def _perform_actions(self) -> None:
        actions, self.world.actions = self.world.actions, []
        for action in actions:
            self._perform(action)

    def _perform(self, action: Action) -> None:
        self._performers[type(action)](action)

    def _start_timer(self, action: Timer) -> None:
        now = self.world.now
        due = now + from_seconds(action.seconds)
        self._timers.start(str(self.store.next_number()), due, now, action.function, action.arguments)

    def _start(self, action: Start) -> None:
        if self._is_closing(action, action.launch.node_id):
            return
        place = (action.launch.node_id, action.launch.task_directory)
        if place in self._running:
            # An attempt that was given up still ends there: its directory is free after that.
            self._next[place] = action
            return
        self._running.add(place)
        self._note(place[0], f"{place[1]} starts")
        self.runner.start(action.launch, partial(self._ended, place, action))

    def _stop(self, action: Stop) -> None:
        place = (action.node_id, action.directory)
        if waiting := self._next.pop(place, None):
            self._loop.call_soon(self._report, waiting, Outcome(exit_code=None, stopped=True))
        self._note(place[0], f"{place[1]} is to be stopped")
        self.runner.stop(*place)

    def _open_node(self, action: OpenNode) -> None:
        if self._is_closing(action, action.node_id):
            return
        self._note(action.node_id, "the node agent is up")
        if self.runner.node_root(action.node_id) is None:
            self.runner.open_node(action.node_id, action.pool_id)

    def _close_node(self, action: CloseNode) -> None:
        self.logs.forget(action.node_id)
        closing = asyncio.ensure_future(self.runner.close_node(action.node_id))
        self._closing[action.node_id] = closing
        closing.add_done_callback(lambda _: self._closing.pop(action.node_id, None))

    def _is_closing(self, action: Start | OpenNode, node_id: str) -> bool:
        """Whether the node's folder is still being removed; then the action waits for that, in its order."""
        closing = self._closing.get(node_id)
        if closing is None:
            return False
        closing.add_done_callback(lambda _: self._closed or self._perform(action))
        return True

    def _remove_directory(self, action: RemoveDirectory) -> None:
        self.flush()
        self.runner.remove_task_directory(action.node_id, action.directory)

    def _ended(self, place: tuple[str, str], action: Start, outcome: Outcome) -> None:
        self._running.discard(place)
        what = outcome.failure.code if outcome.failure else "success"
        self._note(place[0], f"{place[1]} has ended: {what}, exit code {outcome.exit_code}")
        self._report(action, outcome)
        if (waiting := self._next.pop(place, None)) and not self._closed:
            self._perform(waiting)

    def _report(self, action: Start, outcome: Outcome) -> None:
        if not self._closed:
            self.do(action.ended, *action.arguments, outcome)
        elif not outcome.stopped:
            self._note_last_end(action, outcome)

    def _note_last_end(self, action: Start, outcome: Outcome) -> None:
        """The service ends, and this has just ended by itself: that is kept. What follows from it is drawn
        at the next start."""
        self.world.now = self.now()
        action.ended(self.world, *action.arguments, outcome)
        self.world.actions.clear()
        self._persistence.note()

    def _note(self, node_id: str, line: str) -> None:
        """No command lines: they may hold secrets."""
        self.logs.note(node_id, self.world.now, line)

    def do_later(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin what no request waits for. What is not done when the service ends is given up."""
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Stop all timers and everything that runs, and wait until it has ended."""
        self._closed = True
        self._timers.cancel()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.runner.close()
        self._persistence.close()
