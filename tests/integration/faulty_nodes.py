"""What the tests of faults ask of a local Batch service, and of its nodes."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, generate_blob_sas

from batch_emulator import Account
from batch_emulator import control_client as control
from batch_emulator.faults import Faults
from deployments.azurite import BlobStorage
from tests.waiting import wait_until


def inject(account: Account, **rules) -> None:
    control.put_faults(account, Faults(**rules))


def refusal(call, *arguments, **options) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return refused.value


def states(client: BatchClient, pool_id: str) -> list[str]:
    return [node.state for node in client.list_nodes(pool_id)]


def wait_for_states(client: BatchClient, pool_id: str, *wanted: str) -> None:
    wait_until(lambda: sorted(states(client, pool_id)) == sorted(wanted), 30, f"nodes {wanted}")


def start_task(client: BatchClient, pool_id: str, command: str, **changes) -> str:
    """A job with one Batch task; its id, `t` being that of the task."""
    job_id = f"job-{uuid.uuid4().hex[:8]}"
    client.create_job(
        models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool_id))
    )
    client.create_task(job_id, models.BatchTaskCreateOptions(id="t", command_line=command, **changes))
    return job_id


def wait_for_task(client: BatchClient, job_id: str, state: str) -> models.BatchTask:
    return wait_until(
        lambda: (task := client.get_task(job_id, "t")).state == state and task, 30, f"a {state} task"
    )


def upload(storage: BlobStorage, content: bytes) -> str:
    """The URL of a blob with this content, with a SAS that reads it."""
    name = f"t{uuid.uuid4().hex}"
    with ContainerClient.from_connection_string(storage.connection_string, name) as container:
        container.create_container()
        blob = container.upload_blob("f", content)
    sas = generate_blob_sas(
        storage.account_name,
        name,
        "f",
        account_key=storage.account_key,
        permission="r",
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    return f"{blob.url}?{sas}"
