"""The tutorial's client, written plainly: what a run is compared with.

One upload after another, one collection of tasks at a time, a list of all tasks each second until all have
completed, one download after another. `python -m bench.tutorial INPUTS OUTPUTS COMMAND NODES SLOTS` with the
accounts in the environment prints the seconds that it took.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

IMAGE = models.BatchVmImageReference(
    publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
)
COLLECTION = 100


def main(inputs: str, outputs: str, command: str, nodes: str, slots: str) -> None:
    began = time.perf_counter()
    files = sorted(path for path in Path(inputs).rglob("*") if path.is_file())
    storage = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
    credential = AzureNamedKeyCredential(
        os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"]
    )
    batch = BatchClient(os.environ["AZURE_BATCH_ENDPOINT"], credential)
    name = f"tutorial-{uuid.uuid4().hex[:12]}"
    source, target = storage.create_container(f"{name}-in"), storage.create_container(f"{name}-out")
    urls = [upload(storage, source, path) for path in files]
    _create_pool_and_job(batch, name, int(nodes), int(slots))
    add_tasks(batch, name, files, urls, _sign_container(storage, target), command)
    wait(batch, name)
    download(target, Path(outputs))
    for container in (source, target):
        container.delete_container()
    batch.begin_delete_job(name)
    batch.begin_delete_pool(name)
    print(time.perf_counter() - began, flush=True)


def upload(storage: BlobServiceClient, container: ContainerClient, path: Path) -> str:
    """Upload one file; a URL that reads it."""
    with path.open("rb") as file:
        blob = container.upload_blob(path.name, file)
    token = generate_blob_sas(
        storage.account_name or "",
        container.container_name,
        path.name,
        account_key=storage.credential.account_key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=2),
    )
    return f"{blob.url}?{token}"


def _sign_container(storage: BlobServiceClient, container: ContainerClient) -> str:
    token = generate_container_sas(
        storage.account_name or "",
        container.container_name,
        account_key=storage.credential.account_key,
        permission=ContainerSasPermissions(write=True, create=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=2),
    )
    return f"{container.url}?{token}"


def _create_pool_and_job(batch: BatchClient, name: str, nodes: int, slots: int) -> None:
    machine = models.VirtualMachineConfiguration(
        image_reference=IMAGE, node_agent_sku_id="batch.node.ubuntu 24.04"
    )
    pool = models.BatchPoolCreateOptions(
        id=name,
        vm_size="standard_d2s_v3",
        virtual_machine_configuration=machine,
        target_dedicated_nodes=nodes,
        task_slots_per_node=slots,
    )
    batch.create_pool(pool)
    batch.create_job(models.BatchJobCreateOptions(id=name, pool_info=models.BatchPoolInfo(pool_id=name)))


def add_tasks(
    batch: BatchClient, job_id: str, files: list[Path], urls: list[str], target: str, command: str
) -> None:
    tasks = [
        make_task(f"task-{number}", path.name, url, target, command)
        for number, (path, url) in enumerate(zip(files, urls, strict=True))
    ]
    for first in range(0, len(tasks), COLLECTION):
        batch.create_tasks(job_id, tasks[first : first + COLLECTION])


def make_task(task_id: str, name: str, url: str, target: str, command: str) -> models.BatchTaskCreateOptions:
    destination = models.OutputFileDestination(
        container=models.OutputFileBlobContainerDestination(container_url=target, path=f"{name}.out")
    )
    options = models.OutputFileUploadConfiguration(
        upload_condition=models.OutputFileUploadCondition.TASK_SUCCESS
    )
    return models.BatchTaskCreateOptions(
        id=task_id,
        command_line=f"/bin/sh -c '{command} {name} > out.txt'",
        resource_files=[models.ResourceFile(http_url=url, file_path=name)],
        output_files=[
            models.OutputFile(file_pattern="out.txt", destination=destination, upload_options=options)
        ],
    )


def wait(batch: BatchClient, job_id: str) -> None:
    while any(task.state != models.BatchTaskState.COMPLETED for task in batch.list_tasks(job_id)):
        time.sleep(1)


def download(container: ContainerClient, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for blob in container.list_blobs():
        (folder / blob.name).write_bytes(container.download_blob(blob.name).readall())


if __name__ == "__main__":
    main(*sys.argv[1:6])
