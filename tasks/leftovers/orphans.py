"""What runs have made and nobody needs any more, found by what each resource says of itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from prefect import task

from tasks.azure import blobs, plain_batch
from tasks.azure.clients import batch_client
from tasks.azure.error_codes import Code, has_code
from tasks.containers import delete_container
from tasks.leftovers.flow_runs import RunState
from tasks.spec.ownership import Ownership, read_batch_ownership, read_ownership
from tasks.step import NOT_CACHED, RETRIED
from tasks.watch.lease_formula import read_formula
from tasks.watch.pool_jobs import read_pool_id

# A run that Prefect still calls running so long after its time was killed, and nobody has noticed.
FORGOTTEN = timedelta(days=1)
POOL_SELECT = ["id", "state", "lastModified", "metadata", "autoScaleFormula"]
JOB_SELECT = ["id", "state", "lastModified", "metadata", "poolInfo", "executionInfo"]
CHANGED: tuple[Code, ...] = ("ConditionNotMet", "PoolBeingDeleted", "JobBeingDeleted")


@dataclass(frozen=True)
class Resource:
    """A pool, job or container that a run of ours made."""

    kind: Literal["pool", "job", "container"]
    name: str
    modified_at: datetime
    owned: Ownership
    is_active: bool = False
    """Whether its run has an active job."""

    has_guests: bool = False
    """Of a pool: whether an active job of another run, or of nobody's, runs on it."""


@dataclass(frozen=True)
class Rules:
    """When something counts as left behind."""

    now: datetime
    grace: timedelta
    """How long after its expiry it is left alone, for clocks that differ and runs that end late."""

    include_kept: bool
    """Whether what a run's policy keeps goes too, once it has expired."""


@dataclass(frozen=True)
class Verdict:
    """Whether a resource is to be deleted, and why or why not."""

    resource: Resource
    is_orphan: bool
    reason: str
    is_forced: bool = False
    """Whether it goes with all in it, whatever that is: asked for, and expired."""


def judge_resource(resource: Resource, run_state: RunState, rules: Rules) -> Verdict:
    """Whether a run, of which Prefect knows this, has left a resource behind."""
    reason = _explain_need(resource, run_state, rules) or _explain_kept(resource, run_state, rules)
    if reason:
        return Verdict(resource, False, reason)
    is_forced = rules.include_kept and _has_expired(resource, rules)
    if run_state in ("succeeded", "failed"):
        return Verdict(resource, True, f"its run has {run_state}", is_forced)
    reason = f"expired at {resource.owned.expires_at}, its run is {run_state}"
    return Verdict(resource, True, reason, is_forced)


def _explain_need(resource: Resource, run_state: RunState, rules: Rules) -> str:
    """Why some run may still need it; "" if none can."""
    if run_state == "going on" and not _has_expired(resource, rules, FORGOTTEN):
        return "its run is going on"
    if run_state == "unknown" and not _has_expired(resource, rules):
        return "it has not expired"
    if resource.is_active and run_state == "unknown":
        return "its run's job is active"
    return "another job runs on it" if resource.has_guests else ""


def _explain_kept(resource: Resource, run_state: RunState, rules: Rules) -> str:
    """Why it stays though no run needs it; "" if its policy lets it go."""
    policy = resource.owned.delete_when
    if policy == "always" or (policy == "on_success" and run_state == "succeeded"):
        return ""
    if rules.include_kept and _has_expired(resource, rules):
        return ""
    return f"its run's policy keeps it (delete {policy.replace('_', ' ')})"


def _has_expired(resource: Resource, rules: Rules, further: timedelta = timedelta()) -> bool:
    """Whether its expiry is that long ago; one that says none never expires."""
    expires_at = resource.owned.expires_at
    return expires_at is not None and expires_at + rules.grace + further <= rules.now


# Not cached: it asks what is so now.
@task(name="find resources", task_run_name="find resources", **NOT_CACHED, **RETRIED)
def find_resources() -> list[Resource]:
    """All pools, jobs and containers of the accounts that runs of ours made, but those being deleted."""
    with batch_client("Listing pools and jobs") as client:
        jobs = list(client.list_jobs(select=JOB_SELECT))
        pools = list(client.list_pools(select=POOL_SELECT))
    containers = list(blobs.list_containers())
    active = [job for job in jobs if job.state == models.BatchJobState.ACTIVE]
    busy_keys = {_read_job_run_key(job) for job in active}
    return [
        *_describe_jobs(jobs, busy_keys),
        *_describe_pools(pools, busy_keys, active),
        *_describe_containers(containers, busy_keys),
    ]


def _read_job_run_key(job: models.BatchJob) -> str | None:
    """The key of the run that made a job; None for one that no run made."""
    owned = read_batch_ownership(job.metadata)
    return owned and owned.run_key


def _describe_jobs(jobs: Iterable[models.BatchJob], busy_keys: set[str | None]) -> Iterator[Resource]:
    for job in jobs:
        owned = read_batch_ownership(job.metadata)
        if owned and job.state != models.BatchJobState.DELETING:
            yield Resource("job", job.id, job.last_modified, owned, owned.run_key in busy_keys)


def _describe_pools(
    pools: Iterable[models.BatchPool], busy_keys: set[str | None], active: Iterable[models.BatchJob]
) -> Iterator[Resource]:
    on_pools = {(read_pool_id(job), _read_job_run_key(job)) for job in active}
    for pool in pools:
        owned = read_batch_ownership(pool.metadata)
        if owned and pool.state != models.BatchPoolState.DELETING:
            guests = {key for pool_id, key in on_pools if pool_id == pool.id} - {owned.run_key}
            owned = extend_to_lease(owned, pool.auto_scale_formula)
            is_active = owned.run_key in busy_keys
            yield Resource("pool", pool.id, pool.last_modified, owned, is_active, bool(guests))


def _describe_containers(
    containers: Iterable[blobs.Container], busy_keys: set[str | None]
) -> Iterator[Resource]:
    for container in containers:
        owned = read_ownership(container.metadata)
        if owned:
            is_active = owned.run_key in busy_keys
            yield Resource("container", container.name, container.modified_at, owned, is_active)


def extend_to_lease(owned: Ownership, formula: str | None) -> Ownership:
    """The ownership of a pool, which doesn't expire before its lease ends."""
    lease = read_formula(formula)
    ends = [time for time in (owned.expires_at, lease and lease.ends_at) if time]
    return replace(owned, expires_at=max(ends, default=None))


# Not cached: what was deleted once may have been made again.
@task(name="delete", task_run_name="delete {resource.kind} {resource.name}", **NOT_CACHED, **RETRIED)
def delete_resource(resource: Resource, is_forced: bool = False) -> bool:
    """Delete a resource that nobody has changed since it was found; False if somebody has, or it is gone.

    A run that comes to a pool renews its lease, and one that goes on extends its containers. Raises
    OutputsLeftError for a container with outputs that lie nowhere else and can't be fetched.
    """
    if resource.kind == "container":
        found = blobs.find_container(resource.name)
        return found is not None and delete_container(found, resource.modified_at, is_forced)
    with batch_client(f"Deleting the {resource.kind} {resource.name}") as client:
        return _delete_unchanged(client, f"/{resource.kind}s/{resource.name}", resource.modified_at)


def _delete_unchanged(client: BatchClient, path: str, unmodified_since: datetime) -> bool:
    """Whether the service took the deletion; a change since then, or one before us, is no error."""
    try:
        plain_batch.delete(client, path, unmodified_since)
    except ResourceNotFoundError:
        return False
    except HttpResponseError as error:
        if not has_code(error, *CHANGED):
            raise
        return False
    return True
