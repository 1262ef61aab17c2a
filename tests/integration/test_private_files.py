"""What services keep is for their owner alone, whatever the user's umask lets others do."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_emulator.engine.journal import Journal
from batch_emulator.engine.records import Record
from deployments.local.database import create_prefect_home
from deployments.local.keys import load_keys
from deployments.private_files import PRIVATE_UMASK, make_private_folder, open_private, write_for_owner
from deployments.processes import Command, running


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """A user who keeps nothing from others."""
    before = os.umask(0)
    yield
    os.umask(before)


def find_open_to_others(folder: Path) -> list[str]:
    """What others may read or write below a folder, itself included, as far as they get."""
    found = []
    for root, folders, files in os.walk(folder):
        paths = [Path(root), *(Path(root) / name for name in files)]
        found += [str(path) for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077]
        folders[:] = [name for name in folders if not (Path(root) / name).is_symlink()]
    return found


def test_what_is_made_is_private(tmp_path):
    """Keys, the database, logs and what a service writes itself; also in the place of what was open."""
    location = tmp_path / "stack"
    location.mkdir()
    load_keys(location)
    create_prefect_home(location / "prefect")
    write_for_owner(location / "stack.env", "export KEY=1\n")
    (location / "old.log").touch()
    open_private(location / "old.log").close()
    make_private_folder(location / "logs")
    program = "import pathlib; pathlib.Path('made').mkdir(); open('made/file', 'w').write('1')"
    command = Command(
        "writer",
        [sys.executable, "-c", program],
        os.environ,
        location / "logs" / "writer.log",
        cwd=location,
        umask=PRIVATE_UMASK,
    )
    with running(command) as service:
        assert service.process.wait(30) == 0
    assert (location / "made" / "file").read_text() == "1"
    assert find_open_to_others(location) == []


def test_the_journal_is_private_with_what_lies_beside_it(tmp_path):
    """Also where an earlier service has left files that others may read."""
    for name in ("state.db", "state.db-wal"):
        (tmp_path / name).touch()
    journal = Journal(tmp_path / "state.db")
    journal.write([Record("task", "job", "task", b"sig=")])
    kept = [path for path in tmp_path.iterdir() if path.name.startswith("state.db")]
    assert len(kept) >= 2
    assert [path.name for path in kept if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    journal.close()
