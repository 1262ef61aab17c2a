"""What is written down, and what waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from batch_emulator.engine.journal import Journal
from batch_emulator.engine.persistence import Persistence
from batch_emulator.engine.timers import Timers
from batch_emulator.scheduler.world import World
from batch_emulator.settings import Settings


def make_persistence(journal: Journal | None) -> tuple[Persistence, World]:
    world = World(Settings(), account_url="http://127.0.0.1:1")
    return Persistence(journal, world, Timers(lambda *_: None, 1.0)), world


async def test_nothing_is_told_before_it_is_written(tmp_path: Path) -> None:
    """What waits for the writing is called when it has been done, and not where it fails; a later try is
    enough for all that has gathered."""
    journal = Journal(tmp_path / "state.db")
    persistence, world = make_persistence(journal)
    told: list[str] = []
    set_read_only(journal, True)
    world.store.last_number = 7
    persistence.note()
    persistence.when_written(lambda: told.append("first"))
    await asyncio.sleep(0)
    with pytest.raises(sqlite3.Error):
        persistence.flush()
    persistence.when_written(lambda: told.append("second"))
    await asyncio.sleep(0)
    assert told == []
    set_read_only(journal, False)
    persistence.flush()
    assert told == ["first", "second"]
    assert [record.kind for record in journal.read("clock")] == ["clock"]
    persistence.close()


async def test_a_journal_that_takes_no_more_is_let_go(tmp_path: Path) -> None:
    """Where the last of it cannot be written the caller learns it, and the next service can have the file."""
    journal = Journal(tmp_path / "state.db")
    persistence, world = make_persistence(journal)
    set_read_only(journal, True)
    world.store.last_number = 7
    persistence.note()
    with pytest.raises(sqlite3.Error):
        persistence.close()
    Journal(tmp_path / "state.db").close()


async def test_where_nothing_is_kept_nothing_is_waited_for() -> None:
    """Without a journal it is called in the same turn of the event loop."""
    persistence, _ = make_persistence(None)
    told: list[str] = []
    persistence.note()
    persistence.when_written(lambda: told.append("now"))
    assert told == []
    await asyncio.sleep(0)
    assert told == ["now"]
    persistence.close()


def set_read_only(journal: Journal, is_read_only: bool) -> None:
    """As if the disk took nothing."""
    journal._connection.execute(f"PRAGMA query_only = {int(is_read_only)}")
