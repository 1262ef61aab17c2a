"""Job schedules, through the official client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import BatchClient, models
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError

from tests.waiting import wait_until

HOURLY = models.BatchJobScheduleConfiguration(recurrence_interval=timedelta(hours=1))


def later(**distance) -> models.BatchJobScheduleConfiguration:
    """A plan whose first job comes only after this time from now."""
    return models.BatchJobScheduleConfiguration(
        do_not_run_until=datetime.now(timezone.utc) + timedelta(**distance)
    )


@pytest.fixture
def new_schedule(client: BatchClient, pool_id: str) -> Iterator[Callable[..., str]]:
    """Makes job schedules, hourly and on the shared pool unless changed, and deletes them at the end."""
    made: list[str] = []

    def make(schedule=HOURLY, *, job: dict | None = None, **changes) -> str:
        made.append(f"schedule-{uuid.uuid4().hex[:8]}")
        specification = {"pool_info": models.BatchPoolInfo(pool_id=pool_id)} | (job or {})
        client.create_job_schedule(
            models.BatchJobScheduleCreateOptions(
                id=made[-1],
                schedule=schedule,
                job_specification=models.BatchJobSpecification(**specification),
                **changes,
            )
        )
        return made[-1]

    yield make
    for name in made:
        try:
            client.begin_delete_job_schedule(name)
        except ResourceNotFoundError:
            pass


def recent_job_id(client: BatchClient, name: str) -> str | None:
    recent = client.get_job_schedule(name).execution_info.recent_job
    return recent.id if recent else None


def test_first_job_is_made_at_once(client, new_schedule, pool_id):
    """A schedule that is due makes job-1, and tells it and the time of the next."""
    name = new_schedule()
    wait_until(lambda: recent_job_id(client, name), 60, "first job")
    schedule = client.get_job_schedule(name)
    assert schedule.execution_info.recent_job.id == f"{name}:job-1"
    assert schedule.execution_info.next_run_time - schedule.creation_time == timedelta(hours=1)
    job = client.get_job(f"{name}:job-1")
    assert (job.state, job.execution_info.pool_id) == ("active", pool_id)


def test_jobs_have_the_services_defaults(client, new_schedule):
    """What is left out of the job specification is filled in by the service."""
    specification = client.get_job_schedule(new_schedule()).job_specification
    assert (specification.priority, specification.max_parallel_tasks) == (0, -1)
    assert specification.all_tasks_complete_mode == specification.task_failure_mode == "noaction"
    assert specification.uses_task_dependencies is False


def test_schedule_that_is_not_due(client, new_schedule):
    """A schedule makes no job before doNotRunUntil, and tells that as its next run time."""
    plan = later(days=1)
    name = new_schedule(plan)
    schedule = client.get_job_schedule(name)
    assert schedule.execution_info.next_run_time == plan.do_not_run_until
    assert schedule.execution_info.recent_job is None
    assert not list(client.list_jobs_from_schedule(name))


@pytest.mark.parametrize("wrong", ["recurrence_interval", "start_window"])
def test_intervals_of_less_than_a_minute_are_refused(new_schedule, wrong):
    """An interval or a start window below one minute is 400."""
    with pytest.raises(HttpResponseError) as refused:
        new_schedule(models.BatchJobScheduleConfiguration(**{wrong: timedelta(seconds=59)}))
    assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidPropertyValue")


def test_ids_are_shared_with_jobs(client, new_schedule, job_id, pool_id):
    """Neither a schedule with the id of a job nor a job with that of a schedule can be made."""
    schedule = models.BatchJobScheduleCreateOptions(
        id=job_id,
        schedule=HOURLY,
        job_specification=models.BatchJobSpecification(pool_info=models.BatchPoolInfo(pool_id=pool_id)),
    )
    with pytest.raises(HttpResponseError) as refused:
        client.create_job_schedule(schedule)
    assert (refused.value.status_code, refused.value.error.code) == (409, "JobWithSameIdExists")
    name = new_schedule(later(days=1))
    with pytest.raises(HttpResponseError) as refused:
        client.create_job(
            models.BatchJobCreateOptions(id=name, pool_info=models.BatchPoolInfo(pool_id=pool_id))
        )
    assert (refused.value.status_code, refused.value.error.code) == (409, "JobScheduleWithSameIdExists")


def test_disabled_and_enabled(client, new_schedule):
    """A schedule can be disabled and enabled; its state tells."""
    name = new_schedule(later(days=1))
    client.disable_job_schedule(name)
    assert client.get_job_schedule(name).state == "disabled"
    client.enable_job_schedule(name)
    schedule = client.get_job_schedule(name)
    assert (schedule.state, schedule.previous_state) == ("active", "disabled")


def test_termination_ends_its_job(client, new_schedule):
    """A terminated schedule is completed, and its job says why it ended."""
    name = new_schedule()
    wait_until(lambda: recent_job_id(client, name), 60, "first job")
    client.begin_terminate_job_schedule(name, polling_interval=0.1).wait()
    schedule = client.get_job_schedule(name)
    assert schedule.state == "completed"
    assert schedule.execution_info.end_time is not None
    job = client.get_job(f"{name}:job-1")
    assert (job.state, job.execution_info.termination_reason) == ("completed", "TerminateWorkitem")
    with pytest.raises(HttpResponseError) as refused:
        client.enable_job_schedule(name)
    assert (refused.value.status_code, refused.value.error.code) == (409, "JobScheduleCompleted")


def test_schedule_without_recurrence_ends_with_its_job(client, new_schedule):
    """A schedule of one job is completed when that job is."""
    name = new_schedule(models.BatchJobScheduleConfiguration())
    wait_until(lambda: recent_job_id(client, name), 60, "first job")
    assert client.get_job_schedule(name).execution_info.next_run_time is None
    options = {"terminateReason": "Enough"}
    client.begin_terminate_job(f"{name}:job-1", options, polling_interval=0.1).wait()
    wait_until(lambda: client.get_job_schedule(name).state == "completed", 60, "completed schedule")


def test_deleted_schedule_takes_its_jobs(client, new_schedule):
    """A deleted schedule is gone, and so are its jobs."""
    name = new_schedule()
    wait_until(lambda: recent_job_id(client, name), 60, "first job")
    client.begin_delete_job_schedule(name, polling_interval=0.1).wait()
    with pytest.raises(HttpResponseError) as refused:
        client.get_job_schedule(name)
    assert (refused.value.status_code, refused.value.error.code) == (404, "JobScheduleNotFound")
    with pytest.raises(HttpResponseError) as refused:
        client.get_job(f"{name}:job-1")
    assert refused.value.error.code == "JobNotFound"


def test_patch_changes_what_it_names(client, new_schedule):
    """A patch replaces the properties that it names and no others."""
    name = new_schedule(later(days=1), metadata=[models.BatchMetadataItem(name="a", value="b")])
    client.update_job_schedule(name, models.BatchJobScheduleUpdateOptions(schedule=HOURLY))
    schedule = client.get_job_schedule(name)
    assert schedule.schedule.recurrence_interval == timedelta(hours=1)
    assert schedule.schedule.do_not_run_until is None
    assert [(each.name, each.value) for each in schedule.metadata] == [("a", "b")]


def test_replacement_drops_what_it_does_not_name(client, new_schedule, pool_id):
    """An update replaces the whole schedule: metadata that it does not name is gone."""
    name = new_schedule(later(days=1), metadata=[models.BatchMetadataItem(name="a", value="b")])
    schedule = client.get_job_schedule(name)
    client.replace_job_schedule(
        name,
        models.BatchJobSchedule(schedule=schedule.schedule, job_specification=schedule.job_specification),
    )
    assert not client.get_job_schedule(name).metadata


def test_stale_etag_changes_nothing(client, new_schedule):
    """A write on condition of an ETag that is no longer the schedule's is 412."""
    name = new_schedule(later(days=1))
    stale = client.get_job_schedule(name).etag
    client.disable_job_schedule(name)
    with pytest.raises(ResourceModifiedError):
        client.enable_job_schedule(name, etag=stale, match_condition=MatchConditions.IfNotModified)
    assert client.get_job_schedule(name).state == "disabled"


def test_schedules_are_listed_by_filter_and_selection(client, new_schedule):
    """List Job Schedules filters and returns only what is selected."""
    name = new_schedule(later(days=1))
    wanted = f"startswith(id,'{name}') and state eq 'active'"
    (found,) = client.list_job_schedules(filter=wanted, select=["id", "schedule"])
    assert (found.id, found.state) == (name, None)
    assert found.schedule.do_not_run_until is not None


def test_jobs_of_a_schedule_are_listed(client, new_schedule):
    """The jobs of one schedule are listed apart from all others, and among all."""
    name = new_schedule()
    wait_until(lambda: recent_job_id(client, name), 60, "first job")
    assert [job.id for job in client.list_jobs_from_schedule(name)] == [f"{name}:job-1"]
    assert f"{name}:job-1" in {job.id for job in client.list_jobs(filter=f"startswith(id,'{name}')")}


def test_existence(client, new_schedule):
    """A schedule that is there is known to exist."""
    assert client.job_schedule_exists(new_schedule(later(days=1)))


def test_tasks_of_a_scheduled_job(client, new_schedule):
    """Tasks run in a schedule's job, in a directory of the schedule's name."""
    name = new_schedule()
    wait_until(lambda: recent_job_id(client, name), 60, "first job")
    job_id = f"{name}:job-1"
    client.create_task(job_id, models.BatchTaskCreateOptions(id="t", command_line="/bin/pwd"))
    wait_until(lambda: client.get_task(job_id, "t").state == "completed", 60, "end of the task")
    task = client.get_task(job_id, "t")
    assert task.node_info.task_root_directory == f"workitems/{name}/job-1/t"
    output = b"".join(client.download_task_file(job_id, "t", "stdout.txt")).decode()
    assert output.strip().endswith(f"workitems/{name}/job-1/t/wd")


async def test_async_client_does_the_same(target, client, new_schedule):
    """The client's asynchronous form reads and ends a schedule."""
    name = new_schedule(later(days=1))
    credential = AzureNamedKeyCredential(target.name, target.key)
    async with AsyncBatchClient(target.endpoint, credential) as other:
        poller = await other.begin_terminate_job_schedule(name, polling_interval=0.1)
        await poller.wait()
        assert (await other.get_job_schedule(name)).state == "completed"
