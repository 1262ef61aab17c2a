"""The job of a run: where its Batch tasks stand, with limits of its own on the service's side."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from prefect import task

from tasks.azure.azure_errors import read_code
from tasks.azure.clients import POLLING_SECONDS, batch_client
from tasks.logs import run_logger
from tasks.spec.naming import RunNames
from tasks.spec.ownership import as_batch_metadata, build_ownership
from tasks.spec.run_spec import RunOptions
from tasks.step import NOT_CACHED, RETRIED

# The service ends the job this much later than the run would, so that it does so only when the run can't.
GUARD_SECONDS = 10 * 60


@dataclass(frozen=True)
class Job:
    """A job, and whether an earlier attempt of the run made it."""

    id: str
    existed: bool
    created_at: datetime
    """By the service's clock."""


@task(name="create job", task_run_name="create job", **NOT_CACHED, **RETRIED)
def create_job(names: RunNames, spec: RunOptions) -> Job:
    """Create the run's job, or take the one that an earlier attempt of the run has made."""
    with batch_client(f"Creating the job {names.job_id}") as client:
        existed = not _create_job_if_absent(client, build_job(names, spec))
        if existed:
            run_logger().info("The job %s exists: continuing where an earlier attempt stopped", names.job_id)
        created_at = client.get_job(names.job_id, select=["id", "creationTime"]).creation_time
    return Job(names.job_id, existed, created_at)


@task(name="find job", task_run_name="find job", **NOT_CACHED, retries=0)
def find_job(job_id: str) -> bool:
    """Whether there is such a job. Like `choose_image` it may be a run's first call, and doesn't insist."""
    with batch_client(f"Looking for the job {job_id}") as client:
        try:
            client.get_job(job_id, select=["id"])
        except ResourceNotFoundError:
            return False
    return True


def _create_job_if_absent(client: BatchClient, body: models.BatchJobCreateOptions) -> bool:
    try:
        client.create_job(body)
    except ResourceExistsError as error:
        if read_code(error) != "JobExists":
            raise
        return False
    return True


def seconds_left(job: Job, timeout_seconds: float, now: datetime) -> float:
    """What is left of the run's time; a job that an earlier attempt made has used some of it up."""
    if not job.existed:
        return timeout_seconds
    return timeout_seconds - max(0, (now - job.created_at).total_seconds())


def build_job(names: RunNames, spec: RunOptions) -> models.BatchJobCreateOptions:
    """The job's body, as REST operation Job Add takes it.

    The service ends it after its wall-clock time, whatever has become of us.
    """
    limit = timedelta(seconds=spec.timeout_seconds + GUARD_SECONDS)
    return models.BatchJobCreateOptions(
        id=names.job_id,
        pool_info=models.BatchPoolInfo(pool_id=names.pool_id),
        constraints=models.BatchJobConstraints(max_wall_clock_time=limit),
        metadata=as_batch_metadata(build_ownership(names.key, spec.cleanup.job, spec.timeout_seconds)),
    )


@task(name="close job", task_run_name="close job", **NOT_CACHED, **RETRIED)
def close_job(job_id: str) -> bool:
    """Let the service end the job as soon as its tasks have completed; False if it has ended already.

    Only once they are all added: a job without tasks would end at once.
    """
    options = models.BatchJobUpdateOptions(
        all_tasks_complete_mode=models.BatchAllTasksCompleteMode.TERMINATE_JOB
    )
    with batch_client(f"Closing the job {job_id}") as client:
        try:
            client.update_job(job_id, options)
        except ResourceExistsError as error:
            if read_code(error) not in ("JobCompleted", "JobTerminating"):
                raise
            return False
    return True


@task(name="terminate job", task_run_name="terminate job", **NOT_CACHED, **RETRIED)
def terminate_job(job_id: str, reason: str) -> bool:
    """Stop the job's tasks and keep the job; False if it is over already."""
    with batch_client(f"Terminating the job {job_id}") as client:
        try:
            # azure-batch 15.1 can't send this without a body, and exports no class for one.
            client.begin_terminate_job(job_id, {"terminateReason": reason}, polling_interval=POLLING_SECONDS)
        except (ResourceNotFoundError, ResourceExistsError):
            return False
    return True


@task(name="delete job", task_run_name="delete job", **NOT_CACHED, **RETRIED)
def delete_job(job_id: str) -> bool:
    """Ask for the deletion of the job with its tasks, which stops them; False if there is none."""
    with batch_client(f"Deleting the job {job_id}") as client:
        try:
            client.begin_delete_job(job_id, polling_interval=POLLING_SECONDS)
        except (ResourceNotFoundError, ResourceExistsError) as error:
            if read_code(error) not in ("JobNotFound", "JobBeingDeleted"):
                raise
            return False
    return True
