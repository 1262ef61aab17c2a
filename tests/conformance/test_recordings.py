"""Recorded requests, sent again to a fresh local service: its answers differ no more than the documents say.

The recordings are not part of this repository: AZURE_BATCH_RECORDINGS names the folder that has them. There
are two kinds, which may be in one folder: `exchanges.jsonl` with the program that replays it, and files of
the test proxy of Azure's SDKs, as they lie in the public repository Azure/azure-sdk-assets.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import batch_emulator
from tests.conformance.recordings import read_recording, read_setup, replay

DOCUMENT = Path(__file__).parents[2] / "docs" / "emulator-replay.md"
ROW = re.compile(r"\| ([\w.-]+) \| (test_\w+) \| (\d+) \| (\d+) \|")
TOTAL = re.compile(r"^(\d+) exchanges \{(.*)\}$", re.MULTILINE)
KEY = "cmVwbGF5ZWQgcmVxdWVzdHMgYXJlIHNpZ25lZCB3aXRoIHRoaXM="
FOLDER = os.environ.get("AZURE_BATCH_RECORDINGS")
LEAST_SHARE = 0.95
_PATIENCE_SECONDS = 4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def documented() -> list[tuple[str, str, int, int]]:
    """Source, file, exchanges and differences of each row of the document's table."""
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return [(source, file, int(exchanges), int(differences)) for source, file, exchanges, differences in rows]


def test_the_table_has_every_source() -> None:
    """The document has a row for each recorded file that needs nothing made beforehand."""
    assert len(documented()) == 19


def proxy_files() -> list[Path]:
    """The files of the test proxy below the folder."""
    found = sorted(Path(FOLDER).rglob("*.json")) if FOLDER else []
    return [each for each in found if '"Entries"' in each.read_text(encoding="utf-8-sig")[:200]]


@pytest.mark.skipif(not proxy_files(), reason="AZURE_BATCH_RECORDINGS has no files of the test proxy")
def test_the_sdks_recordings_are_answered_as_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all exchanges at least 95 % have the recorded status, headers, code, properties, order and words."""
    command = tmp_path / "cmd"
    command.write_text('#!/bin/sh\nshift\nexec /bin/sh -c "$*"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    answers = [answer for file in proxy_files() for answer in replayed(file)]
    different = [line for answer in answers for line in answer]
    assert sum(not each for each in answers) >= LEAST_SHARE * len(answers), "\n".join(different)


def replayed(file: Path) -> list[list[str]]:
    """What differs in each answer to one file's requests, sent to a service of its own."""
    with batch_emulator.serve(containers="host") as account:
        found = list(replay(read_recording(file), account, _PATIENCE_SECONDS, read_setup(file)))
    return [[f"{file.name}: {line}" for line in answer] for answer in found]


@pytest.mark.skipif(
    FOLDER is None or not (Path(FOLDER) / "exchanges.jsonl").exists(),
    reason="AZURE_BATCH_RECORDINGS does not name the recordings",
)
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
