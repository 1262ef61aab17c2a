"""Auto pools of jobs in the pure core."""

from __future__ import annotations

import re

import pytest

from batch_emulator.api.bodies.base import parse_object
from batch_emulator.api.bodies.jobs import JobAdd, JobPatch
from batch_emulator.errors import BatchError
from batch_emulator.scheduler import jobs
from tests.unit.emulator.driver import Driver

GUID = "[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"
MACHINE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
POOL = {
    "vmSize": "standard_d2s_v3",
    "virtualMachineConfiguration": MACHINE,
    "targetDedicatedNodes": 1,
}


def add_job(driver: Driver, pool: dict | None = POOL, job_id: str = "job", **auto):
    specification = {"poolLifetimeOption": "job", **({"pool": pool} if pool else {}), **auto}
    body = {"id": job_id, "poolInfo": {"autoPoolSpecification": specification}}
    return driver.do(jobs.add_job, parse_object(JobAdd, body).to_wire())


@pytest.mark.parametrize(("prefix", "pattern"), [({}, GUID), ({"autoPoolIdPrefix": "mine"}, f"mine_{GUID}")])
def test_job_brings_its_pool(driver, prefix, pattern):
    """A job with an auto pool gets a pool of its own, its id a GUID behind the prefix, and runs there."""
    job = add_job(driver, **prefix)
    assert re.fullmatch(pattern, job.pool_id)
    driver.pass_seconds(10)
    driver.add_task("t")
    assert driver.task("t").pool_id == job.pool_id
    assert driver.running() == ["t"]


@pytest.mark.parametrize(("keep", "state"), [(False, "deleting"), (True, "active")])
def test_pool_goes_with_its_job(driver, keep, state):
    """A completed job's auto pool is deleted, unless keepAlive says otherwise."""
    job = add_job(driver, keepAlive=keep)
    driver.do(jobs.terminate_job, "job", None)
    assert driver.world.pool(job.pool_id).state == "active"
    driver.pass_seconds(0.15)
    assert (job.state, driver.world.pool(job.pool_id).state) == ("completed", state)


def test_pool_goes_with_a_deleted_job(driver):
    """An active job that is deleted takes its auto pool with it."""
    job = add_job(driver)
    driver.pass_seconds(10)
    driver.do(jobs.delete_job, "job")
    driver.pass_seconds(10)
    assert not driver.world.store.jobs
    assert not driver.world.store.has_pool(job.pool_key)


@pytest.mark.parametrize(
    ("pool", "code", "detail"),
    [
        (
            POOL | {"certificateReferences": [{"thumbprint": "AB", "thumbprintAlgorithm": "sha1"}]},
            "InvalidCertificatesInAutoPool",
            {"name": "sha1-ab", "value": "The specified certificate does not exist."},
        ),
        (
            POOL | {"vmSize": "enormous"},
            "InvalidAutoPoolSettings",
            {"name": "PropertyName", "value": "vmSize"},
        ),
        (None, "InvalidAutoPoolSettings", {"name": "PropertyName", "value": "pool"}),
    ],
)
def test_job_whose_pool_cannot_be(driver, pool, code, detail):
    """A job whose auto pool is refused is added and completed at once; its schedulingError says why."""
    job = add_job(driver, pool)
    assert (job.state, job.previous_state) == ("completed", "active")
    assert (job.scheduling_error["category"], job.scheduling_error["code"]) == ("UserError", code)
    assert job.scheduling_error["details"][0] == detail
    assert not driver.world.store.pools


def test_formula_of_an_auto_pool_is_checked(driver):
    """An auto pool with a formula that cannot be read is a schedulingError of its own kind."""
    sized = {name: value for name, value in POOL.items() if name != "targetDedicatedNodes"}
    job = add_job(driver, sized | {"enableAutoScale": True, "autoScaleFormula": "nonsense("})
    assert job.scheduling_error["code"] == "InvalidAutoScaleFormulaInAutoPool"


def test_pool_quota_is_a_scheduling_error():
    """Where the account may have no more pools, the job is over with the quota as its reason."""
    driver = Driver(pool_quota=1)
    add_job(driver)
    job = add_job(driver, job_id="second")
    assert job.scheduling_error["code"] == "AutoPoolCreationFailedWithQuotaReached"


def test_only_keep_alive_of_an_auto_pool_changes(driver):
    """A patch with another auto pool specification changes keepAlive and nothing else."""
    job = add_job(driver)
    wanted = {"poolLifetimeOption": "job", "keepAlive": True, "pool": POOL | {"vmSize": "large"}}
    body = parse_object(JobPatch, {"poolInfo": {"autoPoolSpecification": wanted}}).to_wire()
    driver.do(jobs.change_job, "job", body)
    auto = job.spec["poolInfo"]["autoPoolSpecification"]
    assert (auto["keepAlive"], auto["pool"]["vmSize"]) == (True, "standard_d2s_v3")


def test_lifetime_of_a_schedule_is_for_schedules(driver):
    """A job that is no schedule's cannot have an auto pool that lives as long as one."""
    with pytest.raises(BatchError, match="poolLifetimeOption"):
        add_job(driver, poolLifetimeOption="jobschedule")


def test_job_on_a_named_pool_gets_no_auto_pool(driver):
    """A job on a pool that exists cannot be given an auto pool later."""
    driver.add_job()
    wanted = {"poolLifetimeOption": "job", "pool": POOL}
    body = parse_object(JobPatch, {"poolInfo": {"autoPoolSpecification": wanted}}).to_wire()
    with pytest.raises(BatchError, match="autoPoolSpecification"):
        driver.do(jobs.change_job, "job", body)


def test_pool_that_its_job_leaves(driver):
    """A disabled job can be moved to a named pool; its auto pool is deleted then, and not before."""
    job = add_job(driver)
    left = job.pool_key
    same = parse_object(JobPatch, {"poolInfo": {"poolId": job.pool_id}}).to_wire()
    driver.do(jobs.change_job, "job", same)
    assert driver.world.store.pools[left].state == "active"
    driver.do(jobs.disable_job, "job", "requeue")
    driver.pass_seconds(1)
    driver.do(jobs.change_job, "job", {"poolInfo": {"poolId": "named"}})
    assert (job.pool_id, driver.world.store.pools[left].state) == ("named", "deleting")
