"""Recorded requests, sent again to a fresh local service: its answers differ no more than the documents say.

The recordings are not part of this repository: AZURE_BATCH_RECORDINGS names the folder that has them and the
program that replays them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import batch_emulator

DOCUMENT = Path(__file__).parents[2] / "docs" / "emulator-replay.md"
ROW = re.compile(r"\| ([\w.-]+) \| (test_\w+) \| (\d+) \| (\d+) \|")
TOTAL = re.compile(r"^(\d+) exchanges \{(.*)\}$", re.MULTILINE)
KEY = "cmVwbGF5ZWQgcmVxdWVzdHMgYXJlIHNpZ25lZCB3aXRoIHRoaXM="
FOLDER = os.environ.get("AZURE_BATCH_RECORDINGS")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def documented() -> list[tuple[str, str, int, int]]:
    """Source, file, exchanges and differences of each row of the document's table."""
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return [(source, file, int(exchanges), int(differences)) for source, file, exchanges, differences in rows]


def test_the_table_has_every_source() -> None:
    """The document has a row for each recorded file that needs nothing made beforehand."""
    assert len(documented()) == 19


@pytest.mark.skipif(FOLDER is None, reason="AZURE_BATCH_RECORDINGS does not name the recordings")
@pytest.mark.parametrize(("source", "file", "exchanges", "differences"), documented())
def test_recorded_requests_are_answered_as_recorded(
    source: str, file: str, exchanges: int, differences: int
) -> None:
    """Each exchange of a recording is replayed, with at most as many differences as are documented."""
    with batch_emulator.serve(account="recorded", key=KEY) as account:
        arguments = ["--endpoint", account.endpoint, "--account", account.name, "--key", account.key]
        wanted = ["--source", source, "--file", f"{file}.", "--poll", "10"]
        replay = [sys.executable, str(Path(FOLDER) / "replay.py"), *arguments, *wanted]
        run = subprocess.run(replay, capture_output=True, text=True, check=True, timeout=500)
    total, kinds = TOTAL.search(run.stdout).groups()
    same = re.search(r"'OK': (\d+)", kinds)
    assert int(total) == exchanges
    assert int(total) - int(same[1] if same else 0) <= differences, run.stdout
