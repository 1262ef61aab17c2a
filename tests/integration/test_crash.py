"""The service is killed, at any instant, and started again: what it has promised holds."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError

from batch_emulator import DEFAULT_ACCOUNT, DEFAULT_KEY
from tests.waiting import wait_until

MACHINE = models.VirtualMachineConfiguration(
    image_reference=models.BatchVmImageReference(
        publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
    ),
    node_agent_sku_id="batch.node.ubuntu 24.04",
)
ROUNDS = 4
END = "echo $AZ_BATCH_TASK_ID >> ${AZ_BATCH_NODE_ROOT_DIR%/nodes/*}/ends; exit $(($$ % 3))"


class Service:
    """The emulator as a process of its own, with a location, that can be killed and started."""

    def __init__(self, location: Path):
        self.location = location
        self.process: subprocess.Popen[str] | None = None

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


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "location")
    yield service
    if service.process.poll() is None:
        service.end(signal.SIGTERM)


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


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    """Takes the process id of each run of the task `t`."""
    return tmp_path / "pids"


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


def find_agent(service: Service) -> psutil.Process:
    (found,) = [each for each in psutil.process_iter() if str(service.location) in _arguments(each)]
    return found


def _arguments(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) if "agent.py" in " ".join(process.cmdline()) else ""
    except psutil.Error:
        return ""


def test_running_task_goes_on(service, pids, tmp_path):
    """What ran when the service was killed still runs, as the same process, and ends with its exit code."""
    client = service.start()
    process = run_task(client, pids, f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 7")
    service.end(signal.SIGKILL)
    client = service.start()
    task = client.get_task("job", "t")
    assert (task.state, task.execution_info.requeue_count) == ("running", 0)
    assert process.is_running()
    (tmp_path / "go").touch()
    wait_until(lambda: client.get_task("job", "t").state == "completed", 60, "end of the task")
    assert client.get_task("job", "t").execution_info.exit_code == 7
    assert len(pids.read_text().split()) == 1
    assert (tmp_path / "starts").read_text().split() == ["start"]


@pytest.mark.parametrize("restarts", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_task_that_ended_meanwhile_has_ended(service, pids, restarts):
    """A task whose process ends while the service is gone has completed when it is back, with its exit code
    and its output; the agent has ended, too, when nothing was left to run."""
    client = service.start()
    process = run_task(client, pids, 'trap "echo over; exit 5" TERM; while :; do sleep 0.05; done')
    agent = find_agent(service)
    service.end(signal.SIGKILL)
    process.terminate()
    agent.wait(60)
    for _ in range(restarts):
        service.start()
        service.end(signal.SIGKILL)
    client = service.start()
    wait_until(lambda: client.get_task("job", "t").state == "completed", 60, "end of the task")
    assert client.get_task("job", "t").execution_info.exit_code == 5
    assert b"".join(client.download_task_file("job", "t", "stdout.txt")) == b"over\n"
    assert len(pids.read_text().split()) == 1


@pytest.mark.soak
def test_limit_counts_through_a_restart(service, pids):
    """A task's wall-clock limit is counted from its start, whichever service sees it pass."""
    limit = models.BatchTaskConstraints(max_wall_clock_time="PT4S")
    client = service.start()
    process = run_task(client, pids, "exec sleep 3600", constraints=limit)
    service.end(signal.SIGKILL)
    client = service.start()
    wait_until(lambda: client.get_task("job", "t").state == "completed", 60, "end of the task")
    failure = client.get_task("job", "t").execution_info.failure_info
    assert "maximum execution time" in failure.details[0].value
    assert not process.is_running()
    assert len(pids.read_text().split()) == 1


@pytest.mark.soak
def test_task_that_was_given_up_is_gone(service, pids):
    """A task that was terminated just before the service was killed ends with the next one's start."""
    client = service.start()
    process = run_task(client, pids, "trap : TERM; while :; do sleep 0.05; done")
    client.terminate_task("job", "t")
    service.end(signal.SIGKILL)
    client = service.start()
    wait_until(lambda: not process.is_running(), 60, "end of the process")
    assert client.get_task("job", "t").state == "completed"


@pytest.mark.soak
def test_what_coordination_commands_left_running_goes_on(service, tmp_path):
    """What a multi-instance task needs beside its own command outlives the service on each of its nodes."""
    left = f"cd {tmp_path}; sh -c 'echo $$ > $AZ_BATCH_NODE_ID.left; exec sleep 3600' > /dev/null 2>&1 &"
    (tmp_path / "coordinate").write_text(left)
    settings = models.MultiInstanceSettings(
        number_of_instances=2, coordination_command_line=f"/bin/sh {tmp_path}/coordinate"
    )
    client = service.start()
    make_pool(client, enable_inter_node_communication=True, task_slots_per_node=1)
    make_job(client)
    command = f"/bin/sh -c 'echo > {tmp_path}/own; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done'"
    client.create_task(
        "job", models.BatchTaskCreateOptions(id="t", command_line=command, multi_instance_settings=settings)
    )
    wait_until(lambda: (tmp_path / "own").exists(), 60, "the task's own command")
    wait_until(lambda: len(_numbers(tmp_path)) == 2, 60, "what the coordination commands leave running")
    processes = [psutil.Process(number) for number in _numbers(tmp_path)]
    service.end(signal.SIGKILL)
    client = service.start()
    assert all(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)
    (tmp_path / "go").touch()
    wait_until(lambda: client.get_task("job", "t").state == "completed", 60, "end of the task")
    assert client.get_task("job", "t").execution_info.requeue_count == 0
    wait_until(lambda: not any(each.is_running() for each in processes), 60, "end of all that was left")


def _numbers(folder: Path) -> list[int]:
    return [int(each.read_text()) for each in folder.glob("*.left") if each.read_text()]


def test_without_its_agent_a_running_task_is_requeued(service, pids, tmp_path):
    """Where the agent was killed too, nodes reboot: the task runs again after its node's start task, and its
    former process is gone."""
    client = service.start()
    orphan = run_task(client, pids, "exec sleep 3600")
    agent = find_agent(service)
    service.end(signal.SIGKILL)
    agent.kill()
    agent.wait(60)
    client = service.start()
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    wait_until(lambda: len(pids.read_text().split()) == 2, 60, "second run of the task")
    task = client.get_task("job", "t")
    assert (task.state, task.execution_info.requeue_count) == ("running", 1)
    assert (tmp_path / "starts").read_text().split() == ["start", "start"]


@pytest.mark.soak
def test_agent_alone_is_replaced(service, pids, tmp_path):
    """Where only the agent is killed, what ran has failed and is gone, and other tasks run."""
    client = service.start()
    process = run_task(client, pids, "exec sleep 3600")
    find_agent(service).kill()
    wait_until(lambda: client.get_task("job", "t").state == "completed", 60, "end of the task")
    assert client.get_task("job", "t").execution_info.failure_info.category == "ServerError"
    wait_until(lambda: not process.is_running(), 60, "end of the process")
    client.create_task("job", models.BatchTaskCreateOptions(id="u", command_line="true"))
    wait_until(lambda: client.get_task("job", "u").state == "completed", 60, "another task")
    assert client.get_task("job", "u").execution_info.exit_code == 0


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
