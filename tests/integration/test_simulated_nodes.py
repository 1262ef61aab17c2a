"""Pools whose nodes run nothing, through the official client."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError

import batch_emulator
from batch_emulator.node.simulation import Simulation
from tests.waiting import wait_until

MACHINE = models.VirtualMachineConfiguration(
    image_reference=models.BatchVmImageReference(
        publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
    ),
    node_agent_sku_id="batch.node.ubuntu 24.04",
)


@pytest.fixture(scope="module")
def client() -> Iterator[BatchClient]:
    """A service whose minutes are tenths of a second, with a pool of 1,000 nodes and a job on it."""
    rule = Simulation("exponential", mean_seconds=60, failure_rate=0.1, seed=1)
    with (
        batch_emulator.serve(simulate=rule, speed=600, core_quota=10_000) as account,
        BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key)) as client,
    ):
        client.create_pool(
            models.BatchPoolCreateOptions(
                id="pool",
                vm_size="standard_d2s_v3",
                target_dedicated_nodes=1000,
                task_slots_per_node=4,
                virtual_machine_configuration=MACHINE,
                start_task=models.BatchStartTask(command_line="prepare", wait_for_success=True),
            )
        )
        client.create_job(
            models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool"))
        )
        yield client


def add(client: BatchClient, task_id: str, **settings: str) -> None:
    environment = [models.EnvironmentSetting(name=name, value=value) for name, value in settings.items()]
    client.create_task(
        "job",
        models.BatchTaskCreateOptions(id=task_id, command_line="work", environment_settings=environment),
    )


@pytest.mark.soak
def test_thousand_nodes_run_thousands_of_tasks(client):
    """4,000 tasks go through 1,000 nodes; as many fail as the rule says, and no process is started."""
    processes = set(psutil.Process().children(recursive=True))
    client.create_tasks(
        "job", [models.BatchTaskCreateOptions(id=f"t{number}", command_line="work") for number in range(4000)]
    )
    wait_until(lambda: client.get_job_task_counts("job").task_counts.completed == 4000, 120, "4,000 ends")
    assert set(psutil.Process().children(recursive=True)) <= processes
    counts = client.get_job_task_counts("job").task_counts
    assert 300 < counts.failed < 500
    assert sum(node.total_tasks_run for node in client.list_nodes("pool")) == 4000


def test_task_decides_its_own_end(client):
    """Environment settings of a task say how long it takes, in seconds of the service, and its exit code."""
    add(client, "slow", SIMULATED_SECONDS="120", SIMULATED_EXIT_CODE="7")
    wait_until(lambda: client.get_task("job", "slow").state == "completed", 60, "the end of the task")
    info = client.get_task("job", "slow").execution_info
    assert (info.exit_code, info.failure_info.code) == (7, "FailureExitCode")
    assert (info.end_time - info.start_time).total_seconds() == pytest.approx(120, abs=100)


def test_simulated_task_can_be_terminated(client):
    """A task that would run for a day ends at once when it is terminated, and its node is free again."""
    add(client, "long", SIMULATED_SECONDS="86400")
    wait_until(lambda: client.get_task("job", "long").state == "running", 60, "running task")
    client.terminate_task("job", "long")
    task = client.get_task("job", "long")
    assert task.execution_info.failure_info.code == "TaskEnded"
    node = task.node_info.node_id
    wait_until(lambda: client.get_node("pool", node).running_tasks_count == 0, 60, "idle node")


def test_simulated_node_reboots(client):
    """A reboot requeues what runs, and the start task runs again, in no time."""
    add(client, "moved", SIMULATED_SECONDS="3600")
    task = wait_until(
        lambda: (task := client.get_task("job", "moved")).state == "running" and task, 60, "running task"
    )
    node = task.node_info.node_id
    client.begin_reboot_node("pool", node, {"nodeRebootOption": "requeue"})
    wait_until(lambda: client.get_node("pool", node).state in ("idle", "running"), 60, "node that is back")
    assert client.get_task("job", "moved").execution_info.requeue_count == 1


def test_files_are_refused_with_the_reason(client):
    """Simulated nodes have no files: asking for one is an error that says so."""
    add(client, "files", SIMULATED_SECONDS="0")
    wait_until(lambda: client.get_task("job", "files").state == "completed", 60, "the end of the task")
    with pytest.raises(HttpResponseError) as refused:
        list(client.list_task_files("job", "files"))
    assert refused.value.error.code == "TaskFilesUnavailable"
    assert "simulated" in refused.value.model.error_values[0].value
