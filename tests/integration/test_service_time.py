"""What takes the service minutes, on a local service whose time runs fast."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError

import batch_emulator
from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def client() -> Iterator[BatchClient]:
    """A client of a service with a pool of one node, where a minute passes in half a second."""
    with batch_emulator.serve(speed=120) as account:
        credential = AzureNamedKeyCredential(account.name, account.key)
        with BatchClient(account.endpoint, credential) as client:
            client.create_pool(pool_parameters("pool"))
            yield client


def test_a_job_every_minute(client):
    """A recurring schedule whose jobs end with their managers makes one job after the other."""
    manager = models.BatchJobManagerTask(id="manager", command_line="/bin/echo managed")
    client.create_job_schedule(
        models.BatchJobScheduleCreateOptions(
            id="every-minute",
            schedule=models.BatchJobScheduleConfiguration(recurrence_interval=timedelta(minutes=1)),
            job_specification=models.BatchJobSpecification(
                pool_info=models.BatchPoolInfo(pool_id="pool"), job_manager_task=manager
            ),
        )
    )

    def completed() -> list[models.BatchJob]:
        jobs = client.list_jobs_from_schedule("every-minute", filter="state eq 'completed'")
        return sorted(jobs, key=lambda job: job.creation_time)

    wait_until(lambda: len(completed()) >= 3, 60, "three completed jobs")
    first, second, third = completed()[:3]
    assert [job.id for job in (first, second, third)] == [f"every-minute:job-{n}" for n in (1, 2, 3)]
    assert second.creation_time - first.creation_time >= timedelta(minutes=1)
    assert {job.execution_info.termination_reason for job in (first, second, third)} == {"JMComplete"}


def test_files_go_when_their_retention_is_over(client):
    """After its retention time a task's files are gone, and the service says that they were cleaned up."""
    client.create_job(
        models.BatchJobCreateOptions(id="retention", pool_info=models.BatchPoolInfo(pool_id="pool"))
    )
    limits = models.BatchTaskConstraints(retention_time=timedelta(minutes=2))
    client.create_task(
        "retention",
        models.BatchTaskCreateOptions(id="t", command_line="/bin/echo kept", constraints=limits),
    )
    wait_until(lambda: client.get_task("retention", "t").state == "completed", 60, "end of the task")

    def refusal() -> str | None:
        try:
            list(client.list_task_files("retention", "t"))
        except HttpResponseError as error:
            return error.error.code
        return None

    assert wait_until(refusal, 30, "removal of the files") == "TaskFilesCleanedup"


def test_unused_job_ends(client):
    """A job that is to end with its tasks and never has one ends by itself."""
    client.create_job(
        models.BatchJobCreateOptions(
            id="unused",
            pool_info=models.BatchPoolInfo(pool_id="pool"),
            all_tasks_complete_mode="terminatejob",
        )
    )
    wait_until(lambda: client.get_job("unused").state == "completed", 30, "completed job")
    assert client.get_job("unused").execution_info.termination_reason == "AllTasksCompleted"
