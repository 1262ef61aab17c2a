"""The outage table: Batch, storage and Prefect's API away for a while, at each step of a run; a full disk."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import reduce
from pathlib import Path

import pytest

import tasks
from tasks.errors import FanOutError
from tests.documentation import REPOSITORY
from tests.flows.outages import FILES, KINDS, STEPS, Case, Ended, Stand, find_lost, run_again, run_case
from tests.flows.services import write_files
from tests.sampling import sample
from tests.weather import Kind

SIDE_BY_SIDE = 6
FOREVER = 3600.0
RUN_SECONDS = 150
# Each service, and each kind of answer: none, a refusal, an error.
SAMPLE = [
    Case("batch", "task counts", "silent", 1),
    Case("batch", "completed", "403 once", 1),
    Case("storage", "upload", "500", 1),
    Case("prefect", "states", "500", 1),
]
# Longer than the run has time, and what is said of it.
LASTING = {
    "batch": (
        Case("batch", "task counts", "silent", FOREVER, 4),
        "Azure Batch does not answer.*until time was up",
    ),
    "storage": (Case("storage", "fetch", "silent", FOREVER, 4), "All 2 files failed.*the download failed"),
}
SERVICES = ("batch", "storage")
PRODUCT = [Case(service, step, kind, 1) for service in SERVICES for step in STEPS[service] for kind in KINDS]
# Every second: each step meets two or three of the five kinds, and each kind half of the steps.
WHOLE = PRODUCT[::2]
# Prefect's client takes a 403 for an answer.
OF_PREFECT = [
    Case("prefect", step, kind, 1) for step in STEPS["prefect"] for kind in KINDS if kind != "403 once"
]
LONG_KINDS: tuple[Kind, ...] = ("refuse", "silent", "500", "503")
# The first call gives up sooner on a service that doesn't answer: it is mostly a wrong endpoint.
LONG = [
    Case(service, step, LONG_KINDS[number % len(LONG_KINDS)], 60, timeout_seconds=600)
    for service in SERVICES
    for number, step in enumerate(STEPS[service])
    if step != "first call"
]


# Five minutes with all times of the clients a tenth of what they are: pauses, timeouts, what answers leave.
SCALE = 10
LONGER = [
    Case(one.service, one.step, LONG_KINDS[(number + 2) % len(LONG_KINDS)], 300 / SCALE, timeout_seconds=600)
    for number, one in enumerate(LONG)
]
SCALED = [
    *(f"tasks.azure.retrying.{name}_SECONDS" for name in ("CONNECTION_TIMEOUT", "READ_TIMEOUT")),
    *(f"tasks.azure.retrying.{name}_SECONDS" for name in ("FIRST_PAUSE", "PAUSE_MAX")),
    *(f"tasks.base.deadlines.{name}_SECONDS" for name in ("FLOOR", "CLEAN_UP", "FIRST_PAUSE", "PAUSE_MAX")),
]


@pytest.fixture
def stand(batch_account, storage, prefect_server) -> Stand:
    return Stand(batch_account, storage, prefect_server.removesuffix("/api"))


def run_cases(stand: Stand, cases: list[Case], folder: Path, side_by_side: int) -> list[Ended]:
    with ThreadPoolExecutor(side_by_side) as threads:
        futures = [
            threads.submit(copy_context().run, run_case, stand, case, folder / case.key) for case in cases
        ]
        return [future.result() for future in futures]


def find_unborne(stand: Stand, cases: list[Case], folder: Path, side_by_side: int) -> dict[str, str]:
    """The cases in which a run has not all outputs, and why; those too of which the outage met nothing."""
    found = {}
    for ended in run_cases(stand, cases, folder, side_by_side):
        lost = find_lost(stand, ended.case, folder / ended.case.key)
        outputs = ended.result.outputs if ended.result else {}
        if lost or not ended.struck or len(outputs) != len(FILES):
            found[str(ended.case)] = f"{ended.error!r}, struck {ended.struck}, lost {sorted(lost)}"
    return found


@pytest.mark.soak
@pytest.mark.slow
def test_a_short_outage_is_borne(stand, tmp_path):
    """Whichever service is away, in whatever way and at whatever step, the run succeeds with all outputs."""
    assert find_unborne(stand, SAMPLE, tmp_path, SIDE_BY_SIDE) == {}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_each_short_outage_is_borne(stand, tmp_path):
    """So it is at each step, for a half of all ways to be away there."""
    assert find_unborne(stand, [*WHOLE, *OF_PREFECT], tmp_path, SIDE_BY_SIDE) == {}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_an_outage_of_a_minute_is_borne(stand, tmp_path):
    """So it is if a service is away for a minute."""
    assert find_unborne(stand, LONG, tmp_path, len(LONG)) == {}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_an_outage_of_five_minutes_is_borne(stand, tmp_path, monkeypatch):
    """So it is for five minutes, in the clients' own time."""
    for name in SCALED:
        seconds = reduce(getattr, name.split(".")[1:], tasks)
        monkeypatch.setattr(name, seconds / SCALE)
    assert find_unborne(stand, LONGER, tmp_path, len(LONGER)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("case", "said"), sample(LASTING, "batch"))
def test_an_outage_without_end_ends_the_run_and_loses_nothing(stand, tmp_path, case, said, monkeypatch):
    """At the run's deadline it is said what was away; what was computed is kept, and the next attempt takes
    it as it is."""
    monkeypatch.setattr("tasks.cleanup.CLEAN_UP_SECONDS", 4)
    ended = run_case(stand, case, tmp_path)
    assert isinstance(ended.error, FanOutError)
    assert re.search(said, " ".join(str(ended.error).split()))
    assert find_lost(stand, case, tmp_path) == set()
    assert len(run_again(stand, case, tmp_path).outputs) == len(FILES)
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(FILES)


@pytest.fixture
def run_with(accounts, tmp_path, run_key) -> Callable[[int], subprocess.CompletedProcess[str]]:
    """Run in a process that can write no file beyond a size, as on a disk that is full."""
    write_files(tmp_path / "in", FILES)
    command = f"""sh -c 'echo "$FAN_OUT_NAME" >> {tmp_path}/ran; head -c 2000000 /dev/zero'"""
    arguments = [
        tmp_path / "in",
        "--command",
        command,
        "--output-dir",
        tmp_path / "out",
        "--run-key",
        run_key,
    ]

    def run(size_bytes: int) -> subprocess.CompletedProcess[str]:
        limit = (size_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        return subprocess.run(
            [sys.executable, "-m", "flows.fan_out", *map(str, arguments)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        )

    return run


@pytest.mark.soak
@pytest.mark.slow
def test_a_full_disk_loses_nothing(run_with, tmp_path):
    """What can't be written is told by its name and stays in its container, for the next attempt to fetch."""
    ended = run_with(1_000_000)
    assert ended.returncode == 1
    assert "one_OUTPUT.txt can't be written: File too large" in ended.stderr
    assert "alone" in ended.stderr
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
    assert run_with(resource.RLIM_INFINITY).returncode == 0
    assert {path.stat().st_size for path in (tmp_path / "out").glob("*.txt")} == {2_000_000}
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(FILES)
