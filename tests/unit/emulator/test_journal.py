"""The file that the service keeps its state in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from batch_emulator.engine import timers
from batch_emulator.engine.journal import Journal
from batch_emulator.engine.records import Record
from batch_emulator.engine.timers import find_function
from batch_emulator.scheduler import node_faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def task(name: str | None, body: bytes | None = b"{}", parent: str = "7") -> Record:
    return Record("task", parent, name, body)


def names(journal: Journal, *kinds: str) -> list[str]:
    return [record.name for record in journal.read(*(kinds or ("task",)))]


def test_what_was_written_is_read(path):
    """Records are there when the file is opened again, each with what was written to it last."""
    first = Journal(path)
    first.write([task("a"), task("b"), Record("job", "", "j", b"1")])
    first.write([task("a", b"2"), task("b", None)])
    first.close()
    second = Journal(path)
    assert list(second.read("task", "job")) == [Record("job", "", "j", b"1"), task("a", b"2")]
    second.close()


def test_what_goes_with_its_parent_goes_by_and_by(journal):
    """The tasks of a deleted job are deleted in portions; those of another job stay."""
    journal.write([task(f"t{number}") for number in range(5000)] + [task("other", parent="8")])
    journal.write([task(None, None)])
    assert journal.has_garbage
    portions = 0
    while journal.has_garbage:
        journal.collect_garbage()
        portions += 1
    assert portions == 3
    assert names(journal) == ["other"]


def test_changes_are_all_written_or_none(journal):
    """What cannot be written leaves everything as it was, and the journal usable."""
    with pytest.raises(sqlite3.Error):
        journal.write([task("a"), Record("task", "7", "b", object())])
    assert names(journal) == []
    journal.write([task("c")])
    assert names(journal) == ["c"]


def test_one_service_at_a_time(journal, path):
    """A file that a service has open is refused to another, in words that say so."""
    with pytest.raises(OSError, match="another local Batch service uses it"):
        Journal(path)


def test_other_versions_file_is_refused(path):
    """A file in another format is refused, and not changed."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(OSError, match="another version"):
        Journal(path)
    assert path.read_bytes() == before


def test_other_programs_file_is_refused(path):
    """What is no database is refused, and not changed."""
    path.write_text("something else, long enough to be looked at" * 100)
    with pytest.raises(OSError, match="not what a local Batch service keeps"):
        Journal(path)
    assert path.read_text().startswith("something else")


def test_timers_of_renamed_modules_are_found():
    """A timer whose function has moved to another module since it was kept is still called."""
    for before, now in timers._MOVED.items():
        assert find_spec(before) is None
        assert find_spec(now) is not None
    assert find_function("batch_emulator.scheduler.mishaps:_replace") is node_faults._replace
