"""Multi-instance tasks, through the official client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.conformance.conftest import pool_parameters, states
from tests.waiting import wait_until

BEAT = "$AZ_BATCH_NODE_SHARED_DIR/beat-$AZ_BATCH_JOB_ID"
# Starts a process that outlives the command, and waits for the first sign of it.
START_SERVICE = (
    f"(while true; do date +%s%N > {BEAT}.new; mv {BEAT}.new {BEAT}; sleep 0.2; done) > /dev/null 2>&1 & "
    f"until test -e {BEAT}; do sleep 0.1; done"
)
AWAIT_BEAT = f"first=$(cat {BEAT}); until test $(cat {BEAT}) != $first; do sleep 0.1; done; echo alive"


@pytest.fixture(scope="module")
def pair(client, target) -> Iterator[str]:
    """A pool of two idle nodes that can talk to each other."""
    name = f"pair-{uuid.uuid4().hex[:8]}"
    client.create_pool(pool_parameters(name, target_dedicated_nodes=2, enable_inter_node_communication=True))
    wait_until(lambda: states(client, name) == ["idle", "idle"], target.node_seconds, "two idle nodes")
    yield name
    client.begin_delete_pool(name)


@pytest.fixture
def job_id(new_job, pair) -> str:
    """A job on that pool."""
    return new_job(pool_info=models.BatchPoolInfo(pool_id=pair))


def shell(command: str) -> str:
    return f"/bin/sh -c '{command}'"


def run(client, job_id: str, command: str, coordination: str = "true", **changes) -> models.BatchTask:
    settings = models.MultiInstanceSettings(
        number_of_instances=2, coordination_command_line=shell(coordination)
    )
    client.create_task(
        job_id,
        models.BatchTaskCreateOptions(
            id="t", command_line=shell(command), multi_instance_settings=settings, **changes
        ),
    )
    wait_until(lambda: client.get_task(job_id, "t").state == "completed", 180, "end of the task")
    return client.get_task(job_id, "t")


def stdout(client, job_id: str) -> str:
    return b"".join(client.download_task_file(job_id, "t", "stdout.txt")).decode()


def subtask(client, job_id: str) -> models.BatchSubtask:
    (found,) = client.list_subtasks(job_id, "t")
    return found


def test_coordination_runs_everywhere_and_the_command_once(client, job_id, pair):
    """The coordination command runs on both nodes, the task's own on the primary's alone."""
    task = run(client, job_id, "echo application", "echo $AZ_BATCH_IS_CURRENT_NODE_MASTER")
    assert (task.execution_info.exit_code, task.execution_info.result) == (0, "success")
    assert stdout(client, job_id).splitlines()[-1] == "application"
    other = subtask(client, job_id)
    assert other.node_info.node_id != task.node_info.node_id
    path = f"{other.node_info.task_root_directory}/stdout.txt"
    assert b"".join(client.download_node_file(pair, other.node_info.node_id, path)) == b"false\n"


def test_subtask_tells_how_it_went(client, job_id, pair):
    """The list of subtasks has all instances but the primary, with number, node, exit code and state."""
    run(client, job_id, "true")
    wait_until(lambda: subtask(client, job_id).state == "completed", 60, "end of the subtask")
    found = subtask(client, job_id)
    assert (found.id, found.exit_code, found.result) == (1, 0, "success")
    assert found.node_info.pool_id == pair
    assert found.start_time <= found.end_time


def test_instances_know_each_other(client, job_id):
    """The environment names the hosts, the master and the directory that all instances have."""
    names = ("NODE_LIST", "HOST_LIST", "MASTER_NODE", "IS_CURRENT_NODE_MASTER")
    run(client, job_id, "; ".join(f"echo $AZ_BATCH_{name}" for name in names) + "; echo $CCP_NODES")
    nodes, hosts, master, is_master, ccp = stdout(client, job_id).splitlines()
    first, second = nodes.split(";")
    assert hosts == f"{first},{second}"
    assert master == f"{first}:6000"
    assert is_master == "true"
    assert ccp == f"2 {first} 2 {second} 2"


def test_shared_directory_is_the_tasks_own(client, job_id):
    """AZ_BATCH_TASK_SHARED_DIR is the task's directory, above its working directory."""
    run(client, job_id, "echo $AZ_BATCH_TASK_SHARED_DIR; echo $AZ_BATCH_TASK_DIR; pwd")
    shared, own, working_directory = stdout(client, job_id).splitlines()
    assert shared == own
    assert working_directory == f"{own}/wd"


def test_service_of_the_coordination_lives_as_long_as_the_task(client, job_id, pair):
    """What the coordination command leaves running serves the task's command, and is gone after the task."""
    run(client, job_id, AWAIT_BEAT, START_SERVICE)
    assert stdout(client, job_id) == "alive\n"
    node_id = subtask(client, job_id).node_info.node_id

    def last_beat() -> bytes:
        return b"".join(client.download_node_file(pair, node_id, f"shared/beat-{job_id}"))

    def has_stopped() -> bool:
        beat, deadline = last_beat(), time.monotonic() + 1
        while time.monotonic() < deadline:
            if last_beat() != beat:
                return False
        return True

    wait_until(has_stopped, 60, "end of the service")


def test_failed_coordination_fails_the_task(client, job_id):
    """Where the coordination command fails on one node, the task has failed with its exit code."""
    task = run(client, job_id, "true", "test $AZ_BATCH_IS_CURRENT_NODE_MASTER = true || exit 5")
    assert task.execution_info.result == "failure"
    assert task.execution_info.failure_info is not None


def test_exit_code_of_the_primary_is_the_tasks(client, job_id):
    """The exit code of the task's command decides."""
    assert run(client, job_id, "exit 6").execution_info.exit_code == 6


def test_other_tasks_have_no_subtasks(client, job_id):
    """The list of subtasks of an ordinary task is empty."""
    client.create_task(job_id, models.BatchTaskCreateOptions(id="plain", command_line="/bin/true"))
    assert list(client.list_subtasks(job_id, "plain")) == []


def test_pool_that_cannot_run_it(client, new_job):
    """On a pool without communication between its nodes the task stays active, while others run."""
    job_id = new_job()
    settings = models.MultiInstanceSettings(number_of_instances=1, coordination_command_line="/bin/true")
    client.create_task(
        job_id,
        models.BatchTaskCreateOptions(id="t", command_line="/bin/true", multi_instance_settings=settings),
    )
    client.create_task(job_id, models.BatchTaskCreateOptions(id="plain", command_line="/bin/true"))
    wait_until(lambda: client.get_task(job_id, "plain").state == "completed", 60, "end of the plain task")
    assert client.get_task(job_id, "t").state == "active"


def test_slots_of_a_multi_instance_task_are_refused(client, job_id):
    """A multi-instance task that asks for more than one slot is 400."""
    settings = models.MultiInstanceSettings(number_of_instances=2, coordination_command_line="/bin/true")
    with pytest.raises(HttpResponseError) as refused:
        client.create_task(
            job_id,
            models.BatchTaskCreateOptions(
                id="t", command_line="/bin/true", required_slots=2, multi_instance_settings=settings
            ),
        )
    assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidPropertyValue")
