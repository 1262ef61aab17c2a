"""A local Batch service that tests kill and start again, and what they let it do."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

from batch_emulator import DEFAULT_ACCOUNT, DEFAULT_KEY
from tests.waiting import wait_until

MACHINE = models.VirtualMachineConfiguration(
    image_reference=models.BatchVmImageReference(
        publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
    ),
    node_agent_sku_id="batch.node.ubuntu 24.04",
)


class Service:
    """The emulator as a process of its own, with a location, that can be killed and started."""

    def __init__(self, location: Path):
        self.location = location
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGTERM)

    def start(self, *options: str) -> BatchClient:
        command = [sys.executable, "-m", "batch_emulator", "--port", "0", "--location", str(self.location)]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        endpoint = re.search(r"http://\S+:\d+", self.process.stdout.readline())[0]
        credential = AzureNamedKeyCredential(DEFAULT_ACCOUNT, DEFAULT_KEY)
        return BatchClient(endpoint, credential, retry_total=0, connection_timeout=5)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait()
        self.process.stdout.close()


def make_pool(client: BatchClient, **changes) -> None:
    options = {
        "id": "pool",
        "vm_size": "standard_d2s_v3",
        "target_dedicated_nodes": 2,
        "task_slots_per_node": 4,
        "virtual_machine_configuration": MACHINE,
    }
    client.create_pool(models.BatchPoolCreateOptions(**options | changes))


def make_job(client: BatchClient, **changes) -> None:
    pool = models.BatchPoolInfo(pool_id="pool")
    client.create_job(models.BatchJobCreateOptions(**{"id": "job", "pool_info": pool} | changes))


def run_task(client: BatchClient, pids: Path, then: str, **options) -> psutil.Process:
    """A pool with a start task, and a task that has started."""
    start_task = models.BatchStartTask(
        command_line=f"/bin/sh -c 'echo start >> {pids.parent}/starts'", wait_for_success=True
    )
    make_pool(client, target_dedicated_nodes=1, start_task=start_task)
    make_job(client)
    command = f"/bin/sh -c 'echo $$ >> {pids}; {then}'"
    client.create_task("job", models.BatchTaskCreateOptions(id="t", command_line=command, **options))
    wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), 60, "process of the task")
    return psutil.Process(int(pids.read_text()))
