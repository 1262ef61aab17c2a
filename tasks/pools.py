"""The pool of a run: made for it, or found and reused."""

from dataclasses import dataclass, replace
from datetime import datetime

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from prefect import task

from tasks.azure import plain_batch
from tasks.azure.clients import batch_client
from tasks.azure.error_codes import has_code
from tasks.azure.quotas import wait_for_quota
from tasks.azure.sas import is_lasting
from tasks.bodies.existing_pools import find_differences, identify_pool, read_pool_run_key
from tasks.bodies.pools import WantedPool, WantedStart, want_lease, want_pool, want_start
from tasks.bodies.start_tasks import reboot_failed_nodes
from tasks.errors import BusyError, PoolError
from tasks.images import Image
from tasks.logs import run_logger
from tasks.prefect.caching import WhileUnchanged, keyed_afterwards, of_inputs
from tasks.report.events import emit_pool_event
from tasks.spec.command_line import APPLICATION_VARIABLE
from tasks.spec.naming import RunNames
from tasks.spec.ownership import (
    read_batch_ownership,
)
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup, PoolSpec, When
from tasks.step import NOT_CACHED, RETRIED
from tasks.watch.lease_formula import Lease
from tasks.watch.leases import renew_lease
from tasks.watch.pool_jobs import find_jobs_on


@dataclass(frozen=True)
class Pool:
    """A pool that the run's tasks go to, and whether this run made it (then it may also delete it)."""

    id: str
    is_own: bool
    lease: Lease | None = None
    """What this run wants of a pool that some run of ours made; None for a pool of others."""

    shares_application: bool = False
    """Whether all its nodes have the run's application in their shared folder."""

    signed_until: datetime | None = None
    """When the signature ends by which the start task brings the application; None if it brings none."""


def is_shared_by_start_task(pool: PoolSpec, cleanup: Cleanup) -> bool:
    """Whether the start task brings the application to the nodes, or each Batch task its own copy.

    A pool that may outlive the run must not depend on the run's containers: a node that boots later would
    find its application deleted, and fail.
    """
    return pool.pool_id is None and cleanup.pool == "always"


@task(
    name="create pool",
    task_run_name="create pool",
    cache_policy=WhileUnchanged(
        look=identify_pool,
        work=of_inputs(
            lambda names, options, image, application, first_tasks: [
                names.key,
                names.pool_id,
                options.pool,
                options.required_slots,
                options.cleanup.pool,
                image,
                application,
            ]
        ),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def create_pool(
    names: RunNames,
    options: RunOptions,
    image: Image,
    application: str | None = None,
    first_tasks: int | None = None,
) -> Pool:
    """Create the run's pool, or take the one that has its id if it is as the spec says.

    `application` is the blob that the start task copies to the nodes' shared folder, if any; its name says
    its content. Nodes for so many Batch tasks come at once, as these are about to be added; None: all nodes.
    """
    wanted = want_pool(names, options, image, application, first_tasks)
    body, lease = wanted.body, wanted.lease
    with batch_client(f"Creating the pool {names.pool_id}") as client:
        if wait_for_quota(
            client, "pool", options.quota_minutes, lambda: _create_pool_if_absent(client, body)
        ):
            emit_pool_event(names.pool_id, "created")
            return Pool(names.pool_id, True, lease, application is not None, wanted.start.signed_until)
        try:
            pool = _attach_to_pool(client, names, options.pool, image, wanted)
            if not pool.is_own or application is None:
                return pool
            return _bring(client, pool, application, wanted.start)
        except ResourceNotFoundError as error:
            raise _being_deleted(names.pool_id) from error


def _being_deleted(pool_id: str) -> BusyError:
    return BusyError(f"The pool {pool_id} is being deleted: its name will be free soon.")


def _create_pool_if_absent(client: BatchClient, body: models.BatchPoolCreateOptions) -> bool:
    try:
        client.create_pool(body)
    except ResourceExistsError as error:
        if not has_code(error, "PoolExists"):
            raise
        return False
    return True


def _attach_to_pool(
    client: BatchClient, names: RunNames, spec: PoolSpec, image: Image, wanted: WantedPool
) -> Pool:
    """The existing pool of that id, with its lease renewed.

    Raises PoolError if it isn't as the spec says, BusyError if it is on its way out.
    """
    pool = client.get_pool(names.pool_id)
    if pool.state == models.BatchPoolState.DELETING:
        raise _being_deleted(names.pool_id)
    _refuse_differences(pool, spec, image)
    run_logger().info("The pool %s is there, and as it should be", names.pool_id)
    emit_pool_event(names.pool_id, "reused")
    is_leased = renew_lease(client, names.pool_id, wanted.begun) != "not ours"
    return Pool(names.pool_id, read_pool_run_key(pool) == names.key, wanted.lease if is_leased else None)


def _refuse_differences(pool: models.BatchPool, spec: PoolSpec, image: Image) -> None:
    """Raise PoolError for a pool that isn't as the spec says."""
    found = list(find_differences(pool, spec, image))
    if found:
        raise PoolError(
            f"The pool {pool.id} exists, but with {'; '.join(found)}. Change the pool's parameters, "
            f"give another pool_id, or delete that pool."
        )


def refuse_other_pool(spec: PoolSpec, image: Image) -> None:
    """Raise PoolError for a named pool that is there, and isn't as the spec says."""
    if spec.pool_id is None:
        return
    with batch_client(f"Looking at the pool {spec.pool_id}") as client:
        try:
            pool = client.get_pool(spec.pool_id)
        except ResourceNotFoundError:
            return
    if pool.state != models.BatchPoolState.DELETING:
        _refuse_differences(pool, spec, image)


def _bring(client: BatchClient, pool: Pool, application: str, start: WantedStart) -> Pool:
    """Let the nodes that come from now on bring this application. Those that are there keep what they have:
    it is shared only if that was the same."""
    found = client.get_pool(pool.id, select=["id", "startTask"]).start_task
    settings = {one.name: one.value for one in (found and found.environment_settings) or []}
    is_same = settings.get(APPLICATION_VARIABLE) == application
    return _renew_start_task(client, replace(pool, shares_application=is_same), start)


def _renew_start_task(client: BatchClient, pool: Pool, start: WantedStart) -> Pool:
    """Give nodes that come from now on a signature that lasts. Those that came too late for the former try
    again to get the application."""
    client.update_pool(pool.id, models.BatchPoolUpdateOptions(start_task=start.task))
    reboot_failed_nodes(client, pool.id)
    return replace(pool, signed_until=start.signed_until)


# Not cached: it is done again and again.
@task(name="extend pool", task_run_name="extend pool", **NOT_CACHED, **RETRIED)
def extend_pool(pool: Pool, names: RunNames, options: RunOptions, application: str | None = None) -> Pool:
    """Let the pool hold its nodes, and those that come be able to bring the application, as long as a run may
    need them that begins now."""
    with batch_client(f"Extending the pool {pool.id}") as client:
        if pool.lease is not None:
            renew_lease(client, pool.id, want_lease(names, options))
        if pool.signed_until is None or is_lasting(pool.signed_until, options.timeout_seconds):
            return pool
        return _renew_start_task(client, pool, want_start(names, options, application))


# Not cached: a pool that was deleted once may have been made again.
@task(name="delete pool", task_run_name="delete pool", **NOT_CACHED, **RETRIED)
def delete_pool(names: RunNames) -> bool:
    """Ask for the deletion of the run's pool if this run made it; False if there is none to delete.

    One that other runs have come to stays for them. Its lease ends all the same, and `sweep` finds it.
    """
    with batch_client(f"Deleting the pool {names.pool_id}") as client:
        try:
            pool = client.get_pool(names.pool_id, select=["id", "state", "metadata"])
            if read_pool_run_key(pool) != names.key or pool.state == models.BatchPoolState.DELETING:
                return False
            on_pool = find_jobs_on(client, names.pool_id)
            if guests := [job_id for job_id in on_pool if names.number_job(job_id) is None]:
                run_logger().info("The pool %s stays for %s", names.pool_id, ", ".join(sorted(guests)))
                return False
            plain_batch.delete(client, f"/pools/{names.pool_id}")
        except (ResourceNotFoundError, ResourceExistsError) as error:
            if not has_code(error, "PoolNotFound", "PoolBeingDeleted"):
                raise
            return False
    return True


# Not cached: it asks what is so now.
@task(name="find pools", task_run_name="find pools", **NOT_CACHED, **RETRIED)
def find_pools(run_key: str) -> dict[str, When]:
    """The pools that a run has made and that are still there, each with what its policy says of it."""
    with batch_client("Listing the pools") as client:
        listed = client.list_pools(filter="state eq 'active'", select=["id", "metadata"])
        owned = {pool.id: read_batch_ownership(pool.metadata) for pool in listed}
    return {id: one.delete_when for id, one in owned.items() if one and one.run_key == run_key}
