"""The service is killed, at any instant, and started again: what it has promised holds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import AzureError

from tests.integration.killed_services import Service, make_job, make_pool
from tests.waiting import wait_until

ROUNDS = 4
END = "echo $AZ_BATCH_TASK_ID >> ${AZ_BATCH_NODE_ROOT_DIR%/nodes/*}/ends; exit $(($$ % 3))"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path / "location") as service:
        yield service


class Load(threading.Thread):
    """Adds tasks, in requests of different sizes, until the service is gone; remembers what was accepted."""

    def __init__(self, client: BatchClient, round_number: int, log: Path, seed: int):
        super().__init__()
        self._client = client
        self._prefix = f"r{round_number}"
        self._command = f"/bin/sh -c 'echo $AZ_BATCH_TASK_ID >> {log}; sleep 0.0$(($$ % 10)); {END}'"
        self._random = random.Random(seed)
        self.accepted: list[str] = []

    def run(self) -> None:
        number = 0
        while True:
            names = [f"{self._prefix}-{number + each}" for each in range(self._random.choice([1, 3, 20]))]
            number += len(names)
            try:
                self._add(names)
            except AzureError:
                return
            self.accepted += names

    def _add(self, names: list[str]) -> None:
        tasks = [models.BatchTaskCreateOptions(id=name, command_line=self._command) for name in names]
        if len(tasks) == 1:
            self._client.create_task("job", tasks[0])
            return
        results = self._client.create_task_collection("job", models.BatchTaskGroup(task_values=tasks))
        assert all(each.error is None for each in results.result_values)


class Watcher(threading.Thread):
    """Lists completed tasks until the service is gone, and how often each had been started by then."""

    def __init__(self, client: BatchClient, log: Path):
        super().__init__()
        self._client = client
        self._log = log
        self.completed: dict[str, int] = {}

    def run(self) -> None:
        while True:
            try:
                found = [task.id for task in self._client.list_tasks("job", filter="state eq 'completed'")]
            except AzureError:
                return
            starts = count_starts(self._log)
            self.completed |= {name: starts[name] for name in found if name not in self.completed}


def count_starts(log: Path) -> Counter[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.split()[0] for line in lines)


@pytest.mark.soak
def test_nothing_is_lost_when_the_service_is_killed(service, tmp_path):
    """Killed several times under load: each accepted task completes, and each has run once, to its end."""
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**6)))
    print(f"CRASH_SEED={seed}")
    rng, log = random.Random(seed), tmp_path / "starts"
    client = service.start()
    make_pool(client)
    make_job(client)
    accepted: list[str] = []
    completed: dict[str, int] = {}
    for number in range(ROUNDS):
        load = Load(client, number, log, rng.randrange(10**6))
        watcher = Watcher(client, log)
        load.start()
        watcher.start()
        killed_at = time.monotonic() + rng.uniform(0.5, 2.5)
        wait_until(lambda at=killed_at: time.monotonic() > at, 10, "time to kill", interval=0.001)
        node_ids = {node.id for node in client.list_nodes("pool")}
        service.end(signal.SIGKILL)
        load.join()
        watcher.join()
        accepted += load.accepted
        completed |= {name: count for name, count in watcher.completed.items() if name not in completed}
        client = service.start()
        assert node_ids <= {node.id for node in client.list_nodes("pool")}
        known = {task.id: task.state for task in client.list_tasks("job")}
        assert set(accepted) <= set(known)
        assert all(known[name] == "completed" for name in completed)
    assert completed
    wait_until(lambda: counts(client).active + counts(client).running == 0, 120, "end of all tasks")
    tasks = list(client.list_tasks("job"))
    assert counts(client).completed == len(tasks) >= len(accepted)
    once = dict.fromkeys((task.id for task in tasks), 1)
    assert count_starts(log) == count_starts(service.location / "ends") == once
    assert all(task.execution_info.requeue_count == 0 for task in tasks)
    assert {task.execution_info.exit_code for task in tasks} == {0, 1, 2}


def counts(client: BatchClient) -> models.BatchTaskCounts:
    return client.get_job_task_counts("job").task_counts


def test_second_service_is_refused(service):
    """Another service on the same location says why it cannot start, and leaves what runs there alone."""
    client = service.start()
    make_pool(client, target_dedicated_nodes=1)
    make_job(client)
    client.create_task("job", models.BatchTaskCreateOptions(id="t", command_line="sleep 3600"))
    wait_until(lambda: client.get_task("job", "t").state == "running", 60, "running task")
    command = [sys.executable, "-m", "batch_emulator", "--port", "0", "--location", str(service.location)]
    other = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert other.returncode == 1
    assert "another local Batch service uses it" in other.stderr
    assert client.get_task("job", "t").state == "running"


def test_what_was_under_way_goes_on(service, tmp_path):
    """A resize, a job's end and deletion, its wall-clock limit and a pool's deletion come to their end."""
    client = service.start()
    make_pool(client, target_dedicated_nodes=1)
    make_pool(client, id="gone", target_dedicated_nodes=1)
    wait_until(lambda: client.get_pool("pool").allocation_state == "steady", 60, "steady pool")
    for name in ("ends", "goes", "limited"):
        make_job(client, id=name)
    limit = models.BatchJobConstraints(max_wall_clock_time="PT6S")
    client.update_job("limited", models.BatchJobUpdateOptions(constraints=limit))
    client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=3))
    client.begin_terminate_job("ends", {"terminateReason": "enough"})
    client.begin_delete_job("goes")
    client.begin_delete_pool("gone")
    service.end(signal.SIGKILL)
    client = service.start()
    wait_until(lambda: _is_gone(client, "goes"), 60, "deletion of the job")
    wait_until(lambda: client.get_job("ends").state == "completed", 60, "end of the job")
    assert client.get_job("ends").execution_info.termination_reason == "enough"
    wait_until(lambda: client.get_pool("pool").allocation_state == "steady", 60, "steady pool")
    wait_until(lambda: [n.state for n in client.list_nodes("pool")] == ["idle"] * 3, 60, "three nodes")
    wait_until(lambda: [pool.id for pool in client.list_pools()] == ["pool"], 60, "deletion of the pool")
    wait_until(lambda: client.get_job("limited").state == "completed", 60, "wall-clock limit")
    assert client.get_job("limited").execution_info.termination_reason == "MaxWallClockTimeExpiry"


def _is_gone(client: BatchClient, job_id: str) -> bool:
    return job_id not in {job.id for job in client.list_jobs()}
