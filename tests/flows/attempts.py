"""Runs that die in the middle, and runs that are repeated by their key."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from prefect.client.schemas.objects import FlowRun

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


@contextmanager
def running_elsewhere(
    tmp_path, run_key: str, application: str, cleanup: Cleanup = DEFAULT_CLEANUP
) -> Iterator[subprocess.Popen]:
    """A run in a process of its own, held in the middle: its first Batch tasks run, and don't end."""
    (tmp_path / "hold").touch()
    call = f"fan_out({str(tmp_path / 'in')!r}, {application!r}, {COMMAND!r}, {str(tmp_path / 'out')!r}, "
    call += f"run_key={run_key!r}, cleanup={cleanup.model_dump()!r})"
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
