"""What a client's API version rules out of a pool, also of one that is added for a job or a schedule."""

from __future__ import annotations

from batch_emulator.api.bodies.endpoints import refuse_login_ports
from batch_emulator.api.call import Call
from batch_emulator.api.versions import FIRST_WITHOUT_LOGIN
from batch_emulator.resources.model import Wire


def refuse_old_ports(call: Call, pool: Wire) -> None:
    """400 for ports that were the service's own."""
    if call.version < FIRST_WITHOUT_LOGIN:
        refuse_login_ports(pool)


def check_job(call: Call, job: Wire) -> Wire:
    """The same body of a job, once its auto pool, if it has one, was looked at."""
    refuse_old_ports(call, job.get("poolInfo", {}).get("autoPoolSpecification", {}).get("pool", {}))
    return job


def check_schedule(call: Call, schedule: Wire) -> Wire:
    """As `check_job`, of the jobs that a schedule makes."""
    check_job(call, schedule.get("jobSpecification", {}))
    return schedule
