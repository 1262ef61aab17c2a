"""Node logs uploaded to real storage, and usage of nodes that were there for hours of the service."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import ContainerClient, generate_container_sas

import batch_emulator
from deployments.azurite import BlobStorage
from tests.conformance.conftest import pool_parameters, states
from tests.waiting import wait_until

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


def connect(account: batch_emulator.Account) -> BatchClient:
    return BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key))


@pytest.fixture
def container(storage: BlobStorage) -> Iterator[ContainerClient]:
    name = f"logs{uuid.uuid4().hex}"
    with ContainerClient.from_connection_string(storage.connection_string, name) as container:
        container.create_container()
        yield container


def url_with_sas(storage: BlobStorage, container: ContainerClient) -> str:
    """The container's URL with a SAS that writes."""
    sas = generate_container_sas(
        storage.account_name,
        container.container_name,
        account_key=storage.account_key,
        permission="w",
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    return f"{container.url}?{sas}"


def test_log_of_a_node_is_uploaded(storage, container):
    """The log tells what ran on the node, without command lines, under a folder of pool and node."""
    with batch_emulator.serve() as account, connect(account) as client:
        client.create_pool(pool_parameters("p"))
        wait_until(lambda: states(client, "p") == ["idle"], 30, "an idle node")
        client.create_job(models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="p")))
        secret = models.BatchTaskCreateOptions(id="t", command_line="/bin/echo secret-argument")
        client.create_task("j", secret)
        wait_until(lambda: client.get_task("j", "t").state == "completed", 30, "the end of the task")
        (node,) = client.list_nodes("p")
        wanted = models.UploadBatchServiceLogsOptions(
            container_url=url_with_sas(storage, container), start_time=LONG_AGO
        )
        result = client.upload_node_logs("p", node.id, wanted)
        assert result.number_of_files_uploaded == 1
        assert f"/p/{node.id}/" in result.virtual_directory_name
        (blob,) = wait_until(lambda: list(container.list_blobs()), 30, "uploaded log")
    assert blob.name.startswith(f"{result.virtual_directory_name}/")
    text = container.download_blob(blob.name).readall().decode()
    assert "workitems/j/job-1/t has ended: success, exit code 0" in text
    assert "secret-argument" not in text


def test_log_of_another_time_is_not_uploaded(storage, container):
    """Nothing is uploaded where the log has no line of the time asked for."""
    with batch_emulator.serve() as account, connect(account) as client:
        client.create_pool(pool_parameters("p"))
        wait_until(lambda: states(client, "p") == ["idle"], 30, "an idle node")
        (node,) = client.list_nodes("p")
        wanted = models.UploadBatchServiceLogsOptions(
            container_url=url_with_sas(storage, container),
            start_time=LONG_AGO,
            end_time=LONG_AGO + timedelta(days=1),
        )
        assert client.upload_node_logs("p", node.id, wanted).number_of_files_uploaded == 0


def test_usage_by_half_hours():
    """A node of two cores uses a core hour in each half hour, also after it is gone."""
    hour_in_a_second = 3600
    with batch_emulator.serve(speed=hour_in_a_second) as account, connect(account) as client:
        client.create_pool(pool_parameters("p"))
        wait_until(
            lambda: [usage.total_core_hours for usage in usages(client)].count(1.0) >= 2,
            60,
            "an hour of usage",
        )
        client.begin_delete_pool("p", polling_interval=0.1).wait()
        found = usages(client)
    assert all((each.pool_id, each.vm_size) == ("p", "standard_d2s_v3") for each in found)
    assert all(each.end_time - each.start_time == timedelta(minutes=30) for each in found)
    starts = [each.start_time for each in found]
    assert starts == sorted(set(starts))


def usages(client: BatchClient) -> list[models.BatchPoolUsageMetrics]:
    return list(client.list_pool_usage_metrics(start_time=LONG_AGO))
