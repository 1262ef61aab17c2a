"""Runs that die in the middle, and runs that are repeated by their key."""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.sweep import sweep
from tasks.leftovers.silent_runs import find_silent_runs
from tasks.spec.specs import DEFAULT_CLEANUP, Cleanup
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
KEEP_ALL = Cleanup(containers="never", job="never", pool="never")
START_SECONDS = 120
COMMAND = "sh {application} {input} {output}"


def flow_run_with(run_key: str, cleanup: Cleanup) -> FlowRun:
    """A flow run as a hook gets it, with its parameters as Prefect keeps them."""
    return FlowRun(
        id=uuid4(), flow_id=uuid4(), parameters={"run_key": run_key, "cleanup": cleanup.model_dump()}
    )


def sweep_later(monkeypatch: pytest.MonkeyPatch, flow_run_ids: list[UUID]) -> None:
    """Sweep as if two hours had passed, in which none of these flow runs has given a sign of life."""

    def find(said: Collection[str | None], now: datetime) -> list[FlowRun]:
        silent = find_silent_runs(said, now + timedelta(hours=2))
        return [flow_run for flow_run in silent if flow_run.id in flow_run_ids]

    monkeypatch.setattr("flows.sweep.find_silent_runs", find)
    sweep()


@contextmanager
def running_elsewhere(
    tmp_path, run_key: str, application: str, cleanup: Cleanup = DEFAULT_CLEANUP, **options: Any
) -> Iterator[subprocess.Popen]:
    """A run in a process of its own, held in the middle: its first Batch tasks run, and don't end."""
    (tmp_path / "hold").touch()
    call = f"fan_out({str(tmp_path / 'in')!r}, {application!r}, {COMMAND!r}, {str(tmp_path / 'out')!r}, "
    call += f"run_key={run_key!r}, cleanup={cleanup.model_dump()!r}, **{options!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", f"from flows.fan_out import fan_out; {call}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until((tmp_path / "ran").exists, START_SECONDS, "running Batch task")
        yield process
    finally:
        process.kill()
        process.wait()
        (tmp_path / "hold").unlink(missing_ok=True)
