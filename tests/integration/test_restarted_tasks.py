"""What tasks that ran when the service was killed become once it is started again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.batch import models

from tests.integration.killed_services import Service, make_job, make_pool, run_task
from tests.waiting import wait_until


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path / "location") as service:
        yield service


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    """Takes the process id of each run of the task `t`."""
    return tmp_path / "pids"


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
