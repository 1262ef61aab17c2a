"""What a run that waits makes of the reason for which its job is over."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

import batch_emulator
from tasks.azure import plain_batch
from tasks.errors import JobError
from tasks.watch.job_watch import check_end, check_job
from tasks.watch.progress import Counts

# As of a job whose counts lag behind its end.
LAGGING = Counts(total=1, waiting=1)


@pytest.fixture(scope="module")
def client() -> Iterator[BatchClient]:
    with (
        batch_emulator.serve() as account,
        BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key)) as client,
    ):
        yield client


def over(client: BatchClient, reason: str) -> str:
    """The id of a job that has ended for this reason."""
    job_id = uuid.uuid4().hex
    pool = models.BatchPoolInfo(pool_id="pool")
    client.create_job(models.BatchJobCreateOptions(id=job_id, pool_info=pool))
    plain_batch.post(client, f"/jobs/{job_id}/terminate", {"terminateReason": reason})
    return job_id


@pytest.mark.parametrize("reason", ["AllTasksComplete", "AllTasksCompleted"])
def test_job_that_ended_with_its_tasks_is_no_failure(client: BatchClient, reason: str) -> None:
    """The page of REST has one word for it, recordings of the service have another."""
    job_id = over(client, reason)
    assert check_job(client, job_id, LAGGING) in ("terminating", "completed")
    check_end(client, job_id, LAGGING, 1)


def test_job_that_somebody_ended_is_a_failure(client: BatchClient) -> None:
    """Its tasks would be waited for in vain."""
    job_id = over(client, "UserTerminate")
    with pytest.raises(JobError, match="UserTerminate"):
        check_job(client, job_id, LAGGING)
    with pytest.raises(JobError, match="UserTerminate"):
        check_end(client, job_id, LAGGING, 1)
