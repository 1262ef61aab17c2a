"""An empty Prefect database, made once.

Prefect's migrations take some twenty seconds of CPU for a new database. They are run once for each version of
Prefect, and their result is kept in the cache folder and copied into each new PREFECT_HOME.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from deployments import azurite
from deployments.errors import InstallError
from deployments.local.settings import NO_TELEMETRY, base_environment
from deployments.locks import locked
from deployments.private_files import make_private_folder, open_private
from deployments.processes import Command, read_end, running

MIGRATION_TIMEOUT_SECONDS = 300


def _migrated_database() -> Path:
    """The migrated, empty database of the installed Prefect; the first call makes it. Raises InstallError."""
    database = path()
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        with locked(database.with_name(f"{database.name}.lock")):
            if not database.exists():
                make(database)
    return database


def path() -> Path:
    """Where that database is, or would be."""
    return azurite.cache_folder() / f"prefect-{version('prefect')}.db"


def make(database: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="prefect-home-", dir=database.parent) as folder:
        home = Path(folder)
        _migrate(home)
        partial = home / "complete.db"
        with closing(sqlite3.connect(home / "prefect.db")) as made, closing(sqlite3.connect(partial)) as copy:
            made.backup(copy)
        partial.rename(database)


def _migrate(home: Path) -> None:
    argv = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    variables = {**base_environment(os.environ), **NO_TELEMETRY, "PREFECT_HOME": str(home)}
    command = Command("prefect server database upgrade", argv, variables, home / "upgrade.log")
    with running(command) as service:
        try:
            exit_code = service.process.wait(MIGRATION_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            exit_code = -1
    if exit_code != 0:
        raise InstallError(f"Prefect could not make its database\n{read_end(command.log)}")


def create_prefect_home(home: Path) -> None:
    """Make the folder if need be, with an empty database if it has none."""
    database, partial = make_private_folder(home) / "prefect.db", home / "prefect.db.partial"
    if not database.exists():
        with _migrated_database().open("rb") as empty, open_private(partial) as copy:
            shutil.copyfileobj(empty, copy)
        partial.rename(database)


if __name__ == "__main__":
    try:
        print(f"An empty Prefect database is in {_migrated_database()}")
    except InstallError as error:
        sys.exit(str(error))
