"""Job schedules in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.api.bodies.base import parse_object
from batch_emulator.api.bodies.schedules import JobScheduleAdd, JobSchedulePatch
from batch_emulator.errors import BatchError
from batch_emulator.scheduler import jobs, schedules
from batch_emulator.ticks import format_ticks, from_seconds
from tests.unit.emulator.driver import Driver
from tests.unit.emulator.test_autopools import POOL


def add_schedule(driver: Driver, schedule_id: str = "s", job: dict | None = None, **schedule):
    body = {
        "id": schedule_id,
        "schedule": schedule,
        "jobSpecification": {"poolInfo": {"poolId": "pool"}} | (job or {}),
    }
    return driver.do(schedules.add_schedule, parse_object(JobScheduleAdd, body).to_wire())


def at(driver: Driver, seconds: float) -> str:
    return format_ticks(driver.world.now + from_seconds(seconds))


def job_ids(driver: Driver) -> list[str]:
    return [job.id for job in driver.world.store.jobs_of_schedule("s")]


def end_job(driver: Driver, job_id: str) -> None:
    driver.do(jobs.terminate_job, job_id, None)
    driver.pass_seconds(1)


def test_first_job_comes_at_once(driver):
    """A schedule makes its first job when it is added, and says when the next is due: an interval later."""
    schedule = add_schedule(driver, recurrenceInterval="PT1H")
    assert job_ids(driver) == ["s:job-1"]
    assert schedule.recent_job_id == "s:job-1"
    assert schedule.due == schedule.created + from_seconds(3600)


def test_schedule_that_does_not_recur(driver):
    """Without an interval there is one job, and the schedule is completed when that is."""
    schedule = add_schedule(driver)
    assert schedule.due is None
    end_job(driver, "s:job-1")
    assert (schedule.state, schedule.ended is not None) == ("completed", True)
    driver.pass_seconds(10**6)
    assert job_ids(driver) == ["s:job-1"]


def test_job_every_interval(driver):
    """Each interval there is a job, if the one before has ended; their ids count up."""
    add_schedule(driver, recurrenceInterval="PT10M")
    for _ in range(3):
        end_job(driver, job_ids(driver)[-1])
        driver.pass_seconds(600)
    assert job_ids(driver) == [f"s:job-{n}" for n in (1, 2, 3, 4)]


def test_job_that_still_runs_delays_the_next(driver):
    """While a job of the schedule runs no other is made; the one that is due comes as soon as it ends."""
    schedule = add_schedule(driver, recurrenceInterval="PT10M")
    driver.pass_seconds(700)
    assert job_ids(driver) == ["s:job-1"]
    end_job(driver, "s:job-1")
    assert job_ids(driver) == ["s:job-1", "s:job-2"]
    assert schedule.due == schedule.created + from_seconds(1200)


def test_start_window_that_is_missed(driver):
    """A job that can't be made within the start window is lost; the next comes with the next recurrence."""
    add_schedule(driver, recurrenceInterval="PT10M", startWindow="PT1M")
    driver.pass_seconds(700)
    end_job(driver, "s:job-1")
    assert job_ids(driver) == ["s:job-1"]
    driver.pass_seconds(500)
    assert job_ids(driver) == ["s:job-1", "s:job-2"]


def test_missed_recurrences_do_not_add_up(driver):
    """After a job of several intervals one job is made, not one for each interval."""
    add_schedule(driver, recurrenceInterval="PT10M")
    driver.pass_seconds(2000)
    end_job(driver, "s:job-1")
    end_job(driver, "s:job-2")
    assert job_ids(driver) == ["s:job-1", "s:job-2"]
    driver.pass_seconds(400)
    assert job_ids(driver) == ["s:job-1", "s:job-2", "s:job-3"]


def test_nothing_before_do_not_run_until(driver):
    """No job comes before doNotRunUntil, which is told as the next run time."""
    schedule = add_schedule(driver, doNotRunUntil=at(driver, 100))
    driver.pass_seconds(99)
    assert job_ids(driver) == []
    assert format_ticks(schedule.due) == schedule.spec["schedule"]["doNotRunUntil"]
    driver.pass_seconds(2)
    assert job_ids(driver) == ["s:job-1"]


def test_nothing_after_do_not_run_after(driver):
    """A recurring schedule is completed when doNotRunAfter is past and its last job has ended."""
    schedule = add_schedule(driver, recurrenceInterval="PT10M", doNotRunAfter=at(driver, 900))
    end_job(driver, "s:job-1")
    driver.pass_seconds(600)
    end_job(driver, "s:job-2")
    assert (schedule.state, schedule.due) == ("active", None)
    driver.pass_seconds(300)
    assert schedule.state == "completed"
    assert job_ids(driver) == ["s:job-1", "s:job-2"]


@pytest.mark.parametrize("plan", [{}, {"recurrenceInterval": "PT1H"}])
def test_schedule_that_can_have_no_job_ends_at_do_not_run_after(driver, plan):
    """Not before, and also while it is disabled: as recorded of one whose doNotRunUntil was later."""
    schedule = add_schedule(driver, doNotRunUntil=at(driver, 600), doNotRunAfter=at(driver, 300), **plan)
    assert (schedule.state, schedule.due) == ("active", None)
    driver.do(schedules.disable_schedule, "s")
    driver.pass_seconds(299)
    assert schedule.state == "disabled"
    driver.pass_seconds(2)
    assert (schedule.state, schedule.previous_state, job_ids(driver)) == ("completed", "disabled", [])


def test_job_outlives_do_not_run_after(driver):
    """A job that still runs at doNotRunAfter goes on, and the schedule waits for it."""
    schedule = add_schedule(driver, recurrenceInterval="PT10M", doNotRunAfter=at(driver, 300))
    driver.pass_seconds(1000)
    assert (schedule.state, driver.world.job("s:job-1").state) == ("active", "active")
    end_job(driver, "s:job-1")
    assert schedule.state == "completed"


def test_window_missed_without_recurrence(driver):
    """A schedule whose only job was disabled away in its window completes without one."""
    schedule = add_schedule(driver, doNotRunUntil=at(driver, 100), startWindow="PT1M")
    driver.do(schedules.disable_schedule, "s")
    driver.pass_seconds(200)
    driver.do(schedules.enable_schedule, "s")
    driver.pass_seconds(1)
    assert (schedule.state, job_ids(driver)) == ("completed", [])


def test_disabled_schedule_makes_no_jobs(driver):
    """A disabled schedule makes no jobs while the one that runs goes on; enabled, it makes what is due."""
    schedule = add_schedule(driver, recurrenceInterval="PT10M")
    driver.do(schedules.disable_schedule, "s")
    assert (schedule.state, driver.world.job("s:job-1").state) == ("disabled", "active")
    end_job(driver, "s:job-1")
    driver.pass_seconds(700)
    assert job_ids(driver) == ["s:job-1"]
    driver.do(schedules.enable_schedule, "s")
    assert (schedule.state, schedule.previous_state) == ("active", "disabled")
    assert job_ids(driver) == ["s:job-1", "s:job-2"]


def test_termination_ends_the_job_that_runs(driver):
    """A terminated schedule ends its job with reason TerminateWorkitem, then it is completed, for good."""
    schedule = add_schedule(driver, recurrenceInterval="PT10M")
    driver.do(schedules.terminate_schedule, "s")
    assert schedule.state == "terminating"
    driver.pass_seconds(1)
    job = driver.world.job("s:job-1")
    assert (schedule.state, job.state, job.terminate_reason) == (
        "completed",
        "completed",
        "TerminateWorkitem",
    )
    driver.pass_seconds(10_000)
    assert job_ids(driver) == ["s:job-1"]
    for command in (schedules.terminate_schedule, schedules.disable_schedule, schedules.enable_schedule):
        with pytest.raises(BatchError, match="JobScheduleCompleted"):
            driver.do(command, "s")


def test_deletion_takes_all_jobs(driver):
    """A deleted schedule goes with its jobs, those that are over too."""
    add_schedule(driver, recurrenceInterval="PT10M")
    end_job(driver, "s:job-1")
    driver.pass_seconds(600)
    driver.do(schedules.delete_schedule, "s")
    assert driver.world.schedule("s").state == "deleting"
    assert {job.state for job in driver.world.store.jobs_of_schedule("s")} == {"deleting"}
    with pytest.raises(BatchError, match="JobScheduleBeingDeleted"):
        driver.do(schedules.delete_schedule, "s")
    driver.pass_seconds(5)
    assert not driver.world.store.schedules
    assert not driver.world.store.jobs


def test_deleted_job_makes_room_for_the_next(driver):
    """A job of the schedule that a client deletes is over; the next has the next number."""
    add_schedule(driver, recurrenceInterval="PT10M")
    driver.do(jobs.delete_job, "s:job-1")
    driver.pass_seconds(700)
    assert job_ids(driver) == ["s:job-2"]


def test_changes_concern_later_jobs(driver):
    """A changed specification is that of later jobs, a changed interval counts from the last run."""
    schedule = add_schedule(driver, recurrenceInterval="PT10M")
    job = {"priority": 7, "poolInfo": {"poolId": "pool"}}
    changes = {"schedule": {"recurrenceInterval": "PT20M"}, "jobSpecification": job}
    driver.do(schedules.change_schedule, "s", parse_object(JobSchedulePatch, changes).to_wire())
    assert schedule.due == schedule.created + from_seconds(1200)
    end_job(driver, "s:job-1")
    driver.pass_seconds(1200)
    assert [job.spec["priority"] for job in driver.world.store.jobs_of_schedule("s")] == [0, 7]


def test_jobs_and_schedules_share_their_ids(driver):
    """A schedule cannot have the id of a job, nor a job that of a schedule, in whatever case."""
    driver.add_job("Same")
    with pytest.raises(BatchError, match="JobWithSameIdExists"):
        add_schedule(driver, "same")
    add_schedule(driver, "s")
    with pytest.raises(BatchError, match="JobScheduleExists"):
        add_schedule(driver, "S")
    with pytest.raises(BatchError, match="JobScheduleWithSameIdExists"):
        driver.add_job("S")


def test_jobs_and_schedules_share_their_quota():
    """Active schedules and active jobs count together; a completed schedule counts no more."""
    driver = Driver(active_job_quota=2)
    add_schedule(driver)
    with pytest.raises(BatchError, match="ActiveJobAndScheduleQuotaReached"):
        driver.add_job("second")
    driver.do(schedules.terminate_schedule, "s")
    driver.pass_seconds(1)
    driver.add_job("second")
    add_schedule(driver, "third", doNotRunUntil=at(driver, 100))
    with pytest.raises(BatchError, match="ActiveJobAndScheduleQuotaReached"):
        driver.add_job("fourth")


def test_tasks_of_a_scheduled_job_have_its_directories(driver):
    """Tasks of a schedule's job run below workitems/<schedule>/job-<n>, and that goes with the job."""
    driver.add_pool()
    add_schedule(driver)
    driver.add_task("t", "s:job-1")
    (started,) = driver.launched.values()
    assert started.launch.task_directory == "workitems/s/job-1/t"
    assert started.launch.environment["AZ_BATCH_JOB_ID"] == "s:job-1"
    driver.end("/t")
    driver.do(jobs.delete_job, "s:job-1")
    driver.pass_seconds(1)
    assert "workitems/s/job-1" in {getattr(each, "directory", None) for each in driver.done}


def auto_pool(lifetime: str, **changes) -> dict:
    return {
        "poolInfo": {
            "autoPoolSpecification": {"poolLifetimeOption": lifetime, "pool": POOL, **changes},
        }
    }


@pytest.mark.parametrize(("lifetime", "pool_count"), [("job", 2), ("jobschedule", 1)])
def test_pools_of_a_schedules_jobs(driver, lifetime, pool_count):
    """With lifetime job each job of a schedule has its own pool, with lifetime jobschedule they share one."""
    add_schedule(driver, job=auto_pool(lifetime), recurrenceInterval="PT10M")
    end_job(driver, "s:job-1")
    driver.pass_seconds(600)
    pool_ids = [job.pool_id for job in driver.world.store.jobs_of_schedule("s")]
    assert len(set(pool_ids)) == pool_count
    assert [pool.id for pool in driver.world.store.pools.values() if pool.state == "active"] == [pool_ids[-1]]


@pytest.mark.parametrize(("keep", "left"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("command", [schedules.terminate_schedule, schedules.delete_schedule])
def test_pool_goes_with_its_schedule(driver, command, keep, left):
    """A schedule's auto pool goes when the schedule is over or gone, unless it is to be kept."""
    add_schedule(driver, job=auto_pool("jobschedule", keepAlive=keep), recurrenceInterval="PT10M")
    driver.do(command, "s")
    driver.pass_seconds(20)
    assert len(driver.world.store.pools) == left


def test_schedule_goes_on_after_a_job_that_cannot_be(driver):
    """A job whose auto pool is refused is over at once, and the schedule makes the next in its time."""
    job = auto_pool("job", pool=POOL | {"vmSize": "enormous"})
    add_schedule(driver, job=job, recurrenceInterval="PT10M")
    driver.pass_seconds(600)
    states = [job.state for job in driver.world.store.jobs_of_schedule("s")]
    assert states == ["completed", "completed"]
