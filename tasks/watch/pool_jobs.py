"""Who else is on a pool: the jobs that its nodes work for."""

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceNotFoundError


def find_jobs_on(client: BatchClient, pool_id: str) -> set[str]:
    """The ids of the jobs on a pool that have, or may get, something to do."""
    active = client.list_jobs(
        filter="state eq 'active'", select=["id", "poolInfo", "executionInfo", "onAllTasksComplete"]
    )
    return {job.id for job in active if read_pool_id(job) == pool_id and not _is_done(client, job)}


def _is_done(client: BatchClient, job: models.BatchJob) -> bool:
    """Whether the service is about to end a job, as all its tasks have completed."""
    if job.all_tasks_complete_mode != models.BatchAllTasksCompleteMode.TERMINATE_JOB:
        return False
    try:
        left = client.list_tasks(job.id, filter="state ne 'completed'", select=["id"], max_results=1)
        return next(iter(left), None) is None
    except ResourceNotFoundError:
        return True


def read_pool_id(job: models.BatchJob) -> str | None:
    """The id of the pool that a job runs on."""
    ran = job.execution_info.pool_id if job.execution_info else None
    return ran or (job.pool_info.pool_id if job.pool_info else None)
