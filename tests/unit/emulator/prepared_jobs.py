"""Jobs of the pure core with a preparation task."""

from __future__ import annotations

from batch_emulator.api.bodies.base import parse_object
from batch_emulator.api.bodies.jobs import JobAdd
from batch_emulator.node.launch import Failure, Outcome
from batch_emulator.scheduler import jobs
from tests.unit.emulator.driver import Driver

STOPPED = Outcome(None, Failure("UserError", "TaskEnded", "ended"), stopped=True)


def add_job(driver: Driver, preparation: dict | None = None, *, release: bool = True, **spec) -> None:
    """A job with a preparation task and, unless it is not wanted, a release task."""
    body = {
        "id": "job",
        "poolInfo": {"poolId": "pool"},
        "jobPreparationTask": {"commandLine": "prepare"} | (preparation or {}),
        **({"jobReleaseTask": {"commandLine": "release"}} if release else {}),
        **spec,
    }
    driver.do(jobs.add_job, parse_object(JobAdd, body).to_wire())


def status(driver: Driver, node=None):
    return driver.world.store.preparations("job")[(node or driver.nodes[0]).id]
