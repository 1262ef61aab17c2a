"""What a client's version and credential rule out of a pool, added alone, for a job or for a schedule."""

from __future__ import annotations

from batch_emulator.api.bodies.endpoints import refuse_login_ports
from batch_emulator.api.bodies.machines import refuse_managed_image
from batch_emulator.api.call import Call
from batch_emulator.api.versions import FIRST_WITHOUT_LOGIN
from batch_emulator.resources.model import Wire


def check_pool(call: Call, pool: Wire) -> None:
    """400 for an image that no key gets at, and for ports that were the service's own."""
    if call.signed:
        image = pool.get("virtualMachineConfiguration", {}).get("imageReference", {})
        refuse_managed_image(image.get("virtualMachineImageId", ""))
    if call.version < FIRST_WITHOUT_LOGIN:
        refuse_login_ports(pool)


def check_job(call: Call, job: Wire) -> Wire:
    """The same body of a job, once its auto pool, if it has one, was looked at."""
    check_pool(call, job.get("poolInfo", {}).get("autoPoolSpecification", {}).get("pool", {}))
    return job


def check_schedule(call: Call, schedule: Wire) -> Wire:
    """As `check_job`, of the jobs that a schedule makes."""
    check_job(call, schedule.get("jobSpecification", {}))
    return schedule
