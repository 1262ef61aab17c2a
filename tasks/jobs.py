"""The jobs of a run: where its Batch tasks stand, with limits of their own on the service's side."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from prefect import task

from tasks.azure import plain_batch
from tasks.azure.accounts import current_accounts
from tasks.azure.clients import batch_client
from tasks.azure.error_codes import ENDED_JOB, has_code
from tasks.azure.quotas import wait_for_quota
from tasks.azure.sas import sign_until
from tasks.base.deadlines import turns
from tasks.errors import JobError
from tasks.logs import run_logger
from tasks.prefect.caching import WhileUnchanged, build_identity, keyed_afterwards, of_inputs
from tasks.sharding import try_each
from tasks.spec.lifetimes import GUARD_SECONDS
from tasks.spec.naming import RunNames
from tasks.spec.ownership import as_batch_metadata, build_ownership, read_batch_ownership
from tasks.spec.run_spec import RunOptions
from tasks.spec.times import find_time
from tasks.step import NOT_CACHED, RETRIED

GUARD = timedelta(seconds=GUARD_SECONDS)
SIGNED_UNTIL = "signed_until"
ENDED = {models.BatchJobState.TERMINATING, models.BatchJobState.COMPLETED, models.BatchJobState.DELETING}


@dataclass(frozen=True)
class Job:
    """A job, made by this attempt of the run or an earlier one."""

    id: str
    created_at: datetime
    """By the service's clock."""

    signed_until: datetime | None = None
    """Until when the signatures of its tasks are valid at least; None if it isn't known."""


def identify_job(job: Job, **_: Any) -> str:
    """What tells a job from others of its id, made before or after it."""
    return build_identity(current_accounts().batch_endpoint, job.id, job.created_at)


def _find_lasting_job(names: RunNames, spec: RunOptions, **_: Any) -> str | None:
    """The job that takes tasks, by its identity, if it will for as long as the run."""
    with batch_client(f"Looking for a job of the run {names.key}") as client:
        job = _find_last_job(client, names)[1]
    if job is None or job.state in ENDED or not _lasts(job, names, spec):
        return None
    return identify_job(_describe(job))


def _lasts(job: models.BatchJob, names: RunNames, spec: RunOptions) -> bool:
    """Whether a job, by its own limit and by what it says of itself, can do for a run that begins now."""
    owned = read_batch_ownership(job.metadata)
    wanted = build_ownership(names.key, spec.cleanup.job, spec.timeout_seconds)
    limit = job.constraints.max_wall_clock_time if job.constraints else None
    if owned is None or not owned.is_good_for(wanted) or limit is None:
        return False
    ends_at = datetime.now(timezone.utc) + timedelta(seconds=spec.timeout_seconds)
    return job.creation_time + limit >= ends_at + GUARD / 2


@task(
    name="create job",
    task_run_name="create job",
    cache_policy=WhileUnchanged(
        look=_find_lasting_job,
        made=identify_job,
        work=of_inputs(lambda names, spec, **_: [names.key, names.pool_id, spec.cleanup.job]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def create_job(names: RunNames, spec: RunOptions, is_first: bool = False) -> Job:
    """Create the run's job, or take the one in which tasks of an earlier attempt still run.

    A job that has ended takes no more tasks: then the next one gets the next number. Where `is_first` says
    that there was no attempt before, a job is looked for only if one is in the way. Raises JobError if there
    is none that can be used by the end of the run's time.
    """
    with batch_client(f"Creating a job of the run {names.key}") as client:
        for _ in turns():
            job = _take_job(client, names, spec, is_first)
            if job is not None:
                return job
            is_first = False
    raise JobError(
        f"Time is up, and the run {names.key} has no job: {names.job_id}, or the next of its jobs, is there "
        f"and can't be used. Choose another run_key."
    )


def _take_job(client: BatchClient, names: RunNames, spec: RunOptions, is_first: bool) -> Job | None:
    """The run's last job, or a new one if that has ended; None if it has changed since it was listed, or was
    not looked for."""
    number, job = (0, None) if is_first else _find_last_job(client, names)
    if job is None or job.state in ENDED:
        return _create(client, names.name_job(number + 1), names, spec)
    if not _extend(client, job, names, spec):
        return None
    run_logger().info("The job %s is active: going on with its tasks", job.id)
    return _describe(job)


# Not cached: it asks what is so now.
@task(name="find job", task_run_name="find job", **NOT_CACHED, **RETRIED)
def find_active_job(names: RunNames) -> str | None:
    """The id of the run's job that takes tasks, and in which tasks of an earlier attempt may still run."""
    with batch_client(f"Looking for a job of the run {names.key}") as client:
        active = [(number, job.id) for number, job in _list_jobs(client, names) if job.state not in ENDED]
    return max(active)[1] if active else None


def _find_last_job(client: BatchClient, names: RunNames) -> tuple[int, models.BatchJob | None]:
    """The run's job with the highest number; 0 and None if it has none."""
    return max(_list_jobs(client, names), key=lambda found: found[0], default=(0, None))


def _describe(job: models.BatchJob) -> Job:
    return Job(job.id, job.creation_time, _read_signed_until(job))


def _list_jobs(client: BatchClient, names: RunNames) -> Iterator[tuple[int, models.BatchJob]]:
    """The jobs of a run with their numbers."""
    select = ["id", "state", "creationTime", "metadata", "constraints"]
    for job in client.list_jobs(filter=f"startswith(id,'{names.job_id}')", select=select):
        number = names.number_job(job.id)
        if number is not None:
            yield number, job


def _create(client: BatchClient, job_id: str, names: RunNames, spec: RunOptions) -> Job | None:
    """Create a job; None if there is one of that id by now."""
    body = build_job(job_id, names, spec)
    try:
        wait_for_quota(client, "job", spec.quota_minutes, lambda: client.create_job(body))
    except ResourceExistsError as error:
        if not has_code(error, "JobExists"):
            raise
        return None
    return _describe(client.get_job(job_id, select=["id", "creationTime", "metadata"]))


def _extend(client: BatchClient, job: models.BatchJob, names: RunNames, spec: RunOptions) -> bool:
    """Let a job last as long as this attempt may; False if it has ended meanwhile."""
    constraints = _limit_from_now(spec, job.creation_time)
    metadata = _build_metadata(names, spec, _read_signed_until(job))
    return _update(client, job.id, models.BatchJobUpdateOptions(constraints=constraints, metadata=metadata))


# Not cached: it is done again and again.
@task(name="extend job", task_run_name="extend job", **NOT_CACHED, **RETRIED)
def extend_job(job: Job, names: RunNames, spec: RunOptions) -> bool:
    """Let the job last as long as a run that begins now; False if it has ended already."""
    with batch_client(f"Extending the job {job.id}") as client:
        found = client.get_job(job.id, select=["id", "creationTime", "metadata"])
        return _extend(client, found, names, spec)


def _update(client: BatchClient, job_id: str, options: models.BatchJobUpdateOptions) -> bool:
    """Change a job; False if it has ended already."""
    try:
        client.update_job(job_id, options)
    except (ResourceNotFoundError, ResourceExistsError) as error:
        if not has_code(error, *ENDED_JOB):
            raise
        return False
    return True


def _limit(spec: RunOptions) -> timedelta:
    return timedelta(seconds=spec.timeout_seconds) + GUARD


def _limit_from_now(spec: RunOptions, created_at: datetime) -> models.BatchJobConstraints:
    """What gives a job the time of a run that begins now: its limit counts from when it was created."""
    age = max(timedelta(), datetime.now(timezone.utc) - created_at)
    return models.BatchJobConstraints(max_wall_clock_time=_limit(spec) + age)


def _build_metadata(
    names: RunNames, spec: RunOptions, signed_until: datetime | None
) -> list[models.BatchMetadataItem]:
    owned = as_batch_metadata(build_ownership(names.key, spec.cleanup.job, spec.timeout_seconds))
    if signed_until is None:
        return owned
    return [*owned, models.BatchMetadataItem(name=SIGNED_UNTIL, value=signed_until.isoformat())]


def _read_signed_until(job: models.BatchJob) -> datetime | None:
    values = {item.name: item.value for item in job.metadata or []}
    return find_time(values.get(SIGNED_UNTIL))


def build_job(job_id: str, names: RunNames, spec: RunOptions) -> models.BatchJobCreateOptions:
    """The job's body, as REST operation Job Add takes it.

    The service ends it after its wall-clock time, whatever has become of us.
    """
    return models.BatchJobCreateOptions(
        id=job_id,
        pool_info=models.BatchPoolInfo(pool_id=names.pool_id),
        constraints=models.BatchJobConstraints(max_wall_clock_time=_limit(spec)),
        metadata=_build_metadata(names, spec, sign_until(spec.timeout_seconds)),
    )


def _find_closed_job(job: Job, names: RunNames, spec: RunOptions, **_: Any) -> str | None:
    """The job, if it is active and the service is going to end it after its last task."""
    with batch_client(f"Looking at the job {job.id}") as client:
        found = client.get_job(job.id)
    is_closed = found.all_tasks_complete_mode == models.BatchAllTasksCompleteMode.TERMINATE_JOB
    is_closed = is_closed and found.state not in ENDED and _lasts(found, names, spec)
    return identify_job(_describe(found)) if is_closed else None


@task(
    name="close job",
    task_run_name="close job",
    cache_policy=WhileUnchanged(
        look=_find_closed_job,
        made=lambda is_open, job, **_: identify_job(job) if is_open else None,
        work=of_inputs(lambda job, names, spec: [job.id, spec.cleanup.job]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def close_job(job: Job, names: RunNames, spec: RunOptions) -> bool:
    """Let the service end the job as soon as its tasks have completed; False if it has ended already.

    Only once they are all added: a job without tasks would end at once. From then on they have the run's
    time, however long it took to bring the inputs.
    """
    options = models.BatchJobUpdateOptions(
        all_tasks_complete_mode=models.BatchAllTasksCompleteMode.TERMINATE_JOB,
        constraints=_limit_from_now(spec, job.created_at),
        metadata=_build_metadata(names, spec, job.signed_until),
    )
    with batch_client(f"Closing the job {job.id}") as client:
        return _update(client, job.id, options)


# Not cached: what was stopped once may have been made again.
@task(name="terminate jobs", task_run_name="terminate jobs", **NOT_CACHED, **RETRIED)
def terminate_jobs(names: RunNames, reason: str) -> bool:
    """Stop the tasks of the run's jobs and keep the jobs; False if all are over already."""
    with batch_client(f"Terminating the jobs of the run {names.key}") as client:
        active = [job.id for _, job in _list_jobs(client, names) if job.state not in ENDED]
        return any(try_each(lambda job_id: _terminate(client, job_id, reason), active))


def _terminate(client: BatchClient, job_id: str, reason: str) -> bool:
    try:
        plain_batch.post(client, f"/jobs/{job_id}/terminate", {"terminateReason": reason})
    except (ResourceNotFoundError, ResourceExistsError):
        return False
    return True


# Not cached: what was deleted once may have been made again.
@task(name="delete jobs", task_run_name="delete jobs", **NOT_CACHED, **RETRIED)
def delete_jobs(names: RunNames) -> bool:
    """Ask for the deletion of the run's jobs with their tasks, which stops them; False if there are none."""
    with batch_client(f"Deleting the jobs of the run {names.key}") as client:
        listed = _list_jobs(client, names)
        left = [job.id for _, job in listed if job.state != models.BatchJobState.DELETING]
        return any(try_each(lambda job_id: _delete(client, job_id), left))


def _delete(client: BatchClient, job_id: str) -> bool:
    try:
        plain_batch.delete(client, f"/jobs/{job_id}")
    except (ResourceNotFoundError, ResourceExistsError) as error:
        if not has_code(error, "JobNotFound", "JobBeingDeleted"):
            raise
        return False
    return True
