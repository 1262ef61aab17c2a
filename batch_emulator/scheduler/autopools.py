"""Pools that the service makes for a job or a job schedule, and deletes with it."""

from __future__ import annotations

import uuid

from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Job, JobSchedule, Wire, key
from batch_emulator.scheduler import pools
from batch_emulator.scheduler.world import World, failure

# Source: REST documentation "Batch Status and Error Codes", table of job scheduling errors; the message
# about certificates as recorded.
_REFUSALS = {
    "PoolQuotaReached": (
        "AutoPoolCreationFailedWithQuotaReached",
        "The pool quota for the account is reached",
    ),
    "InvalidCertificateReferences": (
        "InvalidCertificatesInAutoPool",
        "One or more certificates specified for the pool are invalid",
    ),
    "InvalidApplicationPackageReferences": (
        "InvalidApplicationPackageReferencesInAutoPool",
        "One or more application packages specified for the pool are invalid",
    ),
}
_BAD_FORMULA = ("InvalidAutoScaleFormulaInAutoPool", "The specified auto-scaling settings are not valid")
_BAD_POOL = ("InvalidAutoPoolSettings", "The specified autopool settings are not valid")


def specification(spec: Wire) -> Wire | None:
    """The auto pool that a job's `spec` asks for; None where it names a pool."""
    return spec["poolInfo"].get("autoPoolSpecification")


def choose_pool_id(world: World, spec: Wire, schedule: JobSchedule | None) -> str:
    """The id of the pool that runs a new job: of one it names, of its schedule's auto pool, or a new one."""
    auto = specification(spec)
    if auto is None:
        return spec["poolInfo"]["poolId"]
    if schedule is None or auto["poolLifetimeOption"] == "job":
        return _new_id(world, auto)
    if schedule.pool_id is None or not world.store.has_pool(key(schedule.pool_id)):
        schedule.pool_id = _new_id(world, auto)
    return schedule.pool_id


def _new_id(world: World, auto: Wire) -> str:
    unique = str(uuid.UUID(int=world.random.getrandbits(128), version=4)).upper()
    prefix = auto.get("autoPoolIdPrefix")
    return f"{prefix}_{unique}" if prefix else unique


def make_pool(world: World, job: Job) -> Wire | None:
    """Make a new job's auto pool, unless it has none or its schedule's is there. Returns why it can't be
    made: the job's `schedulingError`."""
    auto = specification(job.spec)
    if auto is None or world.store.has_pool(job.pool_key):
        return None
    try:
        if "pool" not in auto:
            raise BatchError("MissingRequiredProperty", ("PropertyName", "pool"))
        pools.add_pool(world, auto["pool"] | {"id": job.pool_id})
    except BatchError as error:
        return _scheduling_error(error)
    return None


def _scheduling_error(error: BatchError) -> Wire:
    is_formula = "AutoScal" in error.code
    code, message = _BAD_FORMULA if is_formula else _REFUSALS.get(error.code, _BAD_POOL)
    details = {name: value for name, value in error.values if value is not None}
    return failure("UserError", code, message, **details)


def release_pool(world: World, job: Job) -> None:
    """A job is over: delete its auto pool, unless that is to be kept or belongs to the schedule."""
    auto = specification(job.spec)
    if auto is not None and auto["poolLifetimeOption"] == "job":
        _delete(world, auto, job.pool_id)


def release_schedule_pool(world: World, schedule: JobSchedule) -> None:
    """A job schedule is over: delete the auto pool of its jobs, unless that is to be kept."""
    auto = specification(schedule.spec["jobSpecification"])
    if auto is not None and schedule.pool_id is not None:
        _delete(world, auto, schedule.pool_id)


def _delete(world: World, auto: Wire, pool_id: str) -> None:
    pool = world.store.pools.get(key(pool_id))
    if pool is not None and pool.state == "active" and not auto["keepAlive"]:
        pools.delete_pool(world, pool.id)
