"""What the service knows, kept in a file: SQLite, one table, one transaction for all that changed together.

The promise is that nothing is lost when the process dies, at any instant. What it has written is then in
the hands of the operating system, so nothing waits for the disk (`synchronous` is off): a power failure may
lose or damage the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from batch_emulator.engine.records import Kept, Record

#: Changes when records of this version could not be read by an earlier one, or the other way round.
FORMAT = 1

_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS record (
        kind TEXT NOT NULL, parent TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (kind, parent, name)
    ) WITHOUT ROWID;
    PRAGMA user_version = {FORMAT};
"""
_PUT = "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
_DELETE = "DELETE FROM record WHERE kind = ? AND parent = ? AND name = ?"
_DELETE_SOME = """
    DELETE FROM record WHERE kind = ? AND parent = ? AND name IN
        (SELECT name FROM record WHERE kind = ? AND parent = ? LIMIT ?)
"""
_RECORDS_DELETED_AT_ONCE = 2000


def _close_to_others(path: Path) -> None:
    """Only the owner may read the signatures of files' URLs. What SQLite makes beside the file has its mode;
    what an earlier service has left there gets it."""
    path.touch(mode=0o600)
    for kept in (path, *path.parent.glob(f"{path.name}-*")):
        kept.chmod(0o600)


class Journal:
    """The records in one file. Everything is called in one thread."""

    def __init__(self, path: Path):
        """Open or make the file. Raises OSError if another service has it, or wrote it in another format."""
        self._path = path
        self._garbage: list[tuple[str, str]] = []
        _close_to_others(path)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            self._prepare()
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise OSError(
                f"{path} cannot be opened, or another local Batch service uses it: {error}"
            ) from None
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise OSError(f"{path} is not what a local Batch service keeps: {error}") from None

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            self._connection.close()
            raise OSError(f"{self._path} was kept by another version of the local Batch service")
        run("PRAGMA page_size = 8192")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = OFF")
        run("PRAGMA cache_size = -65536")
        self._connection.executescript(_SCHEMA)

    def read(self, *kinds: str) -> Iterator[Kept]:
        """The records of these kinds, by kind, parent and name."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT kind, parent, name, body FROM record WHERE kind IN ({marks})"
        return map(Kept._make, self._connection.execute(query, kinds))

    def write(self, records: Iterable[Record]) -> None:
        """Apply these changes, all or none; what goes with its parent is gone at once and deleted later."""
        records = list(records)
        kept = [record for record in records if record.body is not None]
        gone = [record[:3] for record in records if record.body is None and record.name is not None]
        self._connection.execute("BEGIN")
        try:
            self._connection.executemany(_PUT, kept)
            self._connection.executemany(_DELETE, gone)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        for record in records:
            if record.name is None:
                self.discard(record.kind, record.parent)

    def discard(self, kind: str, parent: str) -> None:
        """Delete all records of a kind and parent, which nothing asks for any more, by and by."""
        self._garbage.append((kind, parent))

    @property
    def has_garbage(self) -> bool:
        return bool(self._garbage)

    def collect_garbage(self) -> None:
        """Delete some of what was discarded, in a few milliseconds."""
        place = self._garbage[-1]
        deleted = self._connection.execute(_DELETE_SOME, (*place, *place, _RECORDS_DELETED_AT_ONCE)).rowcount
        if deleted < _RECORDS_DELETED_AT_ONCE:
            self._garbage.remove(place)

    def close(self) -> None:
        self._connection.close()
