"""What a program of azure-batch 13 or 14 does, for a Python that has that client; prints what it saw as JSON.

Arguments: endpoint, account, key, a name for the pool and the job, the greatest wait for a node in seconds.
"""

from __future__ import annotations

import datetime
import json
import sys
import time

from azure.batch import BatchServiceClient, models
from azure.batch.batch_auth import SharedKeyCredentials

POLL_SECONDS = 0.1


def main(endpoint: str, account: str, key: str, name: str, wait_seconds: str) -> dict[str, object]:
    client = BatchServiceClient(SharedKeyCredentials(account, key), batch_url=endpoint)
    wait = float(wait_seconds)
    add_pool(client, name)
    try:
        return {
            "pool": look_at_pool(client, name),
            "nodes": wait_for_nodes(client, name, wait),
            "job": run_job(client, name, wait),
            "error": provoke_error(client),
        }
    finally:
        client.pool.delete(name)


def add_pool(client: BatchServiceClient, name: str) -> None:
    image = models.ImageReference(publisher="canonical", offer="ubuntu-24_04-lts", sku="server")
    machine = models.VirtualMachineConfiguration(
        image_reference=image, node_agent_sku_id="batch.node.ubuntu 24.04"
    )
    client.pool.add(
        models.PoolAddParameter(
            id=name,
            vm_size="standard_d2s_v3",
            virtual_machine_configuration=machine,
            target_dedicated_nodes=1,
            start_task=models.StartTask(command_line="/bin/true", wait_for_success=True),
            metadata=[models.MetadataItem(name="made", value="by track 1")],
        )
    )


def look_at_pool(client: BatchServiceClient, name: str) -> dict[str, object]:
    (listed,) = client.pool.list(models.PoolListOptions(filter=f"id eq '{name}'", select="id,state"))
    pool = client.pool.get(name)
    client.pool.patch(name, models.PoolPatchParameter(metadata=[models.MetadataItem(name="a", value="b")]))
    return {
        "exists": client.pool.exists(name),
        "absent": client.pool.exists(f"{name}-absent"),
        "listed": [listed.id, listed.state.value, listed.vm_size],
        "resizeTimeout": pool.resize_timeout == datetime.timedelta(minutes=15),
        "fill": pool.task_scheduling_policy.node_fill_type.value,
        "metadata": [[item.name, item.value] for item in client.pool.get(name).metadata],
        "image": pool.virtual_machine_configuration.image_reference.version,
    }


def wait_for_nodes(client: BatchServiceClient, name: str, wait: float) -> list[object]:
    def idle() -> list[models.ComputeNode]:
        return [node for node in client.compute_node.list(name) if node.state.value == "idle"]

    (node,) = until(idle, wait)
    options = models.AccountListPoolNodeCountsOptions(filter=f"poolId eq '{name}'")
    counts = next(iter(client.account.list_pool_node_counts(options)))
    return [node.state.value, node.start_task_info.exit_code, node.is_dedicated, counts.pool_id == name]


def run_job(client: BatchServiceClient, name: str, wait: float) -> dict[str, object]:
    client.job.add(models.JobAddParameter(id=name, pool_info=models.PoolInformation(pool_id=name)))
    commands = {"t1": "/bin/echo one", "t2": "/bin/sh -c 'exit 3'", "t1b": "/bin/echo again"}
    tasks = [models.TaskAddParameter(id=key, command_line=command) for key, command in commands.items()]
    added = client.task.add_collection(name, tasks)
    client.job.patch(name, models.JobPatchParameter(on_all_tasks_complete="terminateJob"))
    until(lambda: client.job.get(name).state.value == "completed", wait)
    counts = client.job.get_task_counts(name).task_counts
    failed = client.task.get(name, "t2").execution_info
    output = b"".join(client.file.get_from_task(name, "t1", "stdout.txt"))
    part = models.FileGetFromTaskOptions(ocp_range="bytes=1-2")
    properties = client.file.get_properties_from_task(name, "t1", "stdout.txt", raw=True)
    client.task.delete(name, "t1b")
    seen = {
        "added": sorted([each.task_id, each.status.value] for each in added.value),
        "counts": [counts.active, counts.completed, counts.succeeded, counts.failed],
        "failed": [failed.exit_code, failed.result.value, failed.failure_info.code],
        "output": output.decode(),
        "part": b"".join(client.file.get_from_task(name, "t1", "stdout.txt", part)).decode(),
        "length": properties.response.headers["Content-Length"],
        "files": sorted(file.name for file in client.file.list_from_task(name, "t1")),
        "left": [task.id for task in client.task.list(name, models.TaskListOptions(select="id"))],
        "reason": client.job.get(name).execution_info.terminate_reason,
    }
    client.job.delete(name)
    until(lambda: is_gone(client, name), wait)
    return seen


def is_gone(client: BatchServiceClient, job_id: str) -> bool:
    try:
        client.job.get(job_id)
    except models.BatchErrorException as error:
        return error.error.code == "JobNotFound"
    return False


def provoke_error(client: BatchServiceClient) -> list[object]:
    try:
        client.pool.resize("absent", models.PoolResizeParameter())
    except models.BatchErrorException as error:
        return [error.error.code, error.error.values[0].key, error.response.status_code]
    return []


def until(condition, wait: float):
    deadline = time.monotonic() + wait
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(POLL_SECONDS)
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
