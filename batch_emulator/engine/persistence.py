"""Keeps a store and the pending timers in a journal, so that nothing that was answered is lost."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable

import orjson

from batch_emulator.engine.clock import Clock
from batch_emulator.engine.journal import Journal
from batch_emulator.engine.records import KINDS, Record, restore, to_records
from batch_emulator.engine.timers import Timers
from batch_emulator.scheduler.world import World

_GARBAGE_PAUSE_SECONDS = 0.02
_SECONDS_AFTER_FAILURE = 1.0
_TASKS_FREED_AT_ONCE = 2000

log = logging.getLogger(__name__)


class Persistence:
    """Without a journal it forgets what changed, and keeps nothing."""

    def __init__(self, journal: Journal | None, world: World, timers: Timers):
        self._journal = journal
        self._world = world
        self._timers = timers
        self._loop = asyncio.get_running_loop()
        self._unwritten = False
        self._flushing: asyncio.Handle | None = None
        self._waiting: list[Callable[[], None]] = []
        self._collector: asyncio.TimerHandle | None = None

    def note(self) -> None:
        """Something may have changed: it is written before this turn of the event loop is over."""
        self._collect_later()
        if self._journal is None:
            self._world.store.changed.clear()
            self._timers.changed.clear()
        else:
            self._unwritten = True
            self._flush_later()

    def when_written(self, action: Callable[[], None]) -> None:
        """Call it once all that has happened so far is written down: soon, or when that can be done again."""
        self._waiting.append(action)
        self._flush_later()

    def _flush_later(self) -> None:
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = None
        try:
            self.flush()
        except sqlite3.Error as error:
            log.error("What has changed cannot be written, and nothing is begun until it is: %s", error)
            self._flushing = self._loop.call_later(_SECONDS_AFTER_FAILURE, self._flush_now)

    def flush(self) -> None:
        """Write what has changed, in one transaction. Called before every answer; free if nothing has.

        Raises sqlite3.Error where it can't be written; the next flush tries again.
        """
        if self._journal is not None and (self._unwritten or self._timers.changed):
            self._journal.write(self._changes())
            self._unwritten = False
            self._world.store.changed.clear()
            self._timers.changed.clear()
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()

    def _changes(self) -> list[Record]:
        store = self._world.store
        clock = orjson.dumps([self._world.now, store.last_number])
        timers = [Record("timer", "", name, self._timers.record(name)) for name in self._timers.changed]
        return [*to_records(store, store.changed), *timers, Record("clock", "", "", clock)]

    def _collect_later(self) -> None:
        if self._collector is None and self._has_garbage():
            self._collector = self._loop.call_later(_GARBAGE_PAUSE_SECONDS, self._collect)

    def _has_garbage(self) -> bool:
        return bool(self._world.store.removed_tasks or (self._journal and self._journal.has_garbage))

    def _collect(self) -> None:
        """Free some of the memory, then some of the file, that deleted jobs have left."""
        self._collector = None
        removed = self._world.store.removed_tasks
        if removed:
            if not removed[-1].free(_TASKS_FREED_AT_ONCE):
                removed.pop()
        elif self._journal:
            self._journal.collect_garbage()
        self._collect_later()

    def restore(self, clock: Clock) -> int | None:
        """Fill the store and start the timers from the journal. Returns when it was written last, in ticks;
        None if it is new."""
        if self._journal is None:
            return None
        for number in restore(self._world.store, self._journal.read(*KINDS)):
            self._journal.discard("task", number)
        last = self._restore_clock(self._journal, clock)
        for record in self._journal.read("timer"):
            self._timers.restore(record.name, record.body, clock.now())
        self._world.store.changed.clear()
        self._timers.changed.clear()
        return last

    def _restore_clock(self, journal: Journal, clock: Clock) -> int | None:
        for record in journal.read("clock"):
            last, self._world.store.last_number = orjson.loads(record.body)
            clock.go_on_from(last)
            return last
        return None

    def close(self) -> None:
        """Write what is left and let the journal go, also where it takes no more: then sqlite3.Error."""
        try:
            self.flush()
        finally:
            for handle in (self._collector, self._flushing):
                if handle:
                    handle.cancel()
            if self._journal:
                self._journal.close()
