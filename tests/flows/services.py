"""What stands on the local services, read with the official clients."""

from __future__ import annotations

from azure.batch import BatchClient
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from tasks.azure.accounts import read_accounts
from tasks.azure.clients import get_batch_client, get_blob_service
from tasks.spec.naming import names_of_run
from tests.waiting import wait_until

GONE_WITHIN_SECONDS = 60


def batch() -> BatchClient:
    return get_batch_client(read_accounts())


def blobs() -> BlobServiceClient:
    return get_blob_service(read_accounts())


def remains_of(run_key: str, pool_id: str | None = None) -> set[str]:
    """Which of `containers`, `job` and `pool` a run has left; what is being deleted counts."""
    names = names_of_run(run_key, pool_id)
    found = {"containers" for name in names.containers if blobs().get_container_client(name).exists()}
    if exists(lambda: batch().get_job(names.job_id)):
        found.add("job")
    if exists(lambda: batch().get_pool(names.pool_id)):
        found.add("pool")
    return found


def exists(get) -> bool:
    try:
        get()
    except ResourceNotFoundError:
        return False
    return True


def wait_for_remains(run_key: str, expected: set[str], pool_id: str | None = None) -> None:
    """Wait until exactly the expected resources are left of a run."""
    wait_until(
        lambda: remains_of(run_key, pool_id) == expected,
        GONE_WITHIN_SECONDS,
        f"end of the deletion of all but {sorted(expected)} of the run {run_key}",
        # Each look is five requests, and what is deleted is gone after as long.
        interval=0.2,
    )


def tasks_of(run_key: str) -> dict[str, object]:
    """When each Batch task of a run was created, by id."""
    listed = batch().list_tasks(names_of_run(run_key).job_id)
    return {task.id: task.creation_time for task in listed}


def blobs_of(container: str) -> dict[str, str]:
    """The ETag of each blob, by name."""
    return {blob.name: blob.etag for blob in blobs().get_container_client(container).list_blobs()}


def steps_of(flow_run_id) -> dict[str, str]:
    """The names of the Prefect tasks of a flow run, and those of their states."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return {one.name: one.state_name for one in client.read_task_runs(flow_run_filter=chosen)}


def write_files(folder, contents: dict[str, str | bytes]):
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
