"""Multi-instance tasks in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.node.launch import Failure, Outcome
from batch_emulator.scheduler import jobs, nodes, tasks
from batch_emulator.scheduler.world import RemoveDirectory, Stop
from tests.unit.emulator.driver import FAILED, SUCCESS, Driver

STOPPED = Outcome(None, Failure("UserError", "TaskEnded", "ended"), stopped=True)


@pytest.fixture
def driver() -> Driver:
    """A pool of three nodes that can talk to each other, and a job."""
    driver = Driver()
    driver.add_pool(3, enableInterNodeCommunication=True)
    driver.add_job()
    return driver


def add_task(driver: Driver, task_id: str = "t", count: int = 3, **spec) -> None:
    settings = {"numberOfInstances": count, "coordinationCommandLine": "coordinate"}
    driver.add_task(task_id, multiInstanceSettings=settings, **spec)


def end_on(driver: Driver, number: int, outcome: Outcome = SUCCESS) -> None:
    """What runs on the node of this instance ends."""
    node_id = driver.task("t").instances[number].node_id
    driver.end(f"{node_id}/workitems/job/job-1/t", outcome)


def stages(driver: Driver) -> list[tuple[str, str]]:
    return sorted((each.launch.stage, each.launch.command_line) for each in driver.launched.values())


def test_application_follows_the_coordination(driver):
    """The coordination command runs on all nodes; then the command of the task runs on the first."""
    add_task(driver)
    assert driver.task("t").state == "running"
    assert stages(driver) == [("coordination", "coordinate")] * 3
    end_on(driver, 0)
    end_on(driver, 2)
    assert stages(driver) == [("coordination", "coordinate")]
    end_on(driver, 1)
    assert stages(driver) == [("application", "true")]
    (application,) = driver.launched.values()
    assert application.launch.node_id == driver.task("t").node_id
    end_on(driver, 0)
    task = driver.task("t")
    assert (task.state, task.result, task.exit_code) == ("completed", "success", 0)
    assert [each.state for each in task.instances] == ["completed"] * 3
    assert {node.state for node in driver.nodes} == {"idle"}


def test_instances_know_each_other(driver):
    """Each instance is told all addresses, that of the master, and whether it is that."""
    add_task(driver, count=2)
    task = driver.task("t")
    found = {each.launch.node_id: each.launch.environment for each in driver.launched.values()}
    primary, other = (found[each.node_id] for each in task.instances)
    master, subtask = primary["AZ_BATCH_NODE_LIST"].split(";")
    assert all(each.startswith("127.") for each in (master, subtask))
    assert primary["AZ_BATCH_HOST_LIST"] == f"{master},{subtask}" == other["AZ_BATCH_HOST_LIST"]
    assert primary["AZ_BATCH_MASTER_NODE"] == other["AZ_BATCH_MASTER_NODE"] == f"{master}:6000"
    assert primary["CCP_NODES"] == f"2 {master} 2 {subtask} 2"
    assert (primary["AZ_BATCH_IS_CURRENT_NODE_MASTER"], other["AZ_BATCH_IS_CURRENT_NODE_MASTER"]) == (
        "true",
        "false",
    )


def test_task_waits_for_enough_nodes(driver):
    """A task that needs more nodes than are free waits, and others that fit go first."""
    driver.add_task("single")
    add_task(driver, count=3)
    assert driver.running() == ["single"]
    add_task(driver, "pair", count=2)
    assert driver.running() == ["pair", "pair", "single"]
    driver.end("/single")
    assert driver.task("t").state == "active"


@pytest.mark.parametrize("spec", [{}, {"enableInterNodeCommunication": True, "taskSlotsPerNode": 2}])
def test_pool_that_cannot_run_it(spec):
    """Without communication between nodes, or with several slots on one, the task stays active."""
    driver = Driver()
    driver.add_pool(3, **spec)
    driver.add_job()
    add_task(driver, count=2)
    driver.add_task("single")
    assert (driver.task("t").state, driver.running()) == ("active", ["single"])


def test_failed_coordination_fails_the_task(driver):
    """Where one coordination command fails the task has failed, and the other instances are stopped."""
    add_task(driver)
    end_on(driver, 1, FAILED)
    task = driver.task("t")
    assert (task.state, task.result, task.exit_code) == ("completed", "failure", 3)
    assert {each.node_id for each in driver.done if isinstance(each, Stop)} >= {
        task.instances[0].node_id,
        task.instances[2].node_id,
    }
    end_on(driver, 0, STOPPED)
    end_on(driver, 2, STOPPED)
    assert {node.state for node in driver.nodes} == {"idle"}
    assert [each.exit_code for each in task.instances] == [None, 3, None]


def test_failed_application_is_retried_from_the_beginning(driver):
    """A retry coordinates the instances again."""
    add_task(driver, constraints={"maxTaskRetryCount": 1})
    for number in (0, 1, 2):
        end_on(driver, number)
    end_on(driver, 0, FAILED)
    task = driver.task("t")
    assert (task.state, task.retry_count, task.requeue_count) == ("running", 1, 0)
    assert stages(driver) == [("coordination", "coordinate")] * 3
    for number in (0, 1, 2):
        end_on(driver, number)
    end_on(driver, 0, FAILED)
    assert (task.state, task.exit_code) == ("completed", 3)


def test_what_a_coordination_has_started_ends_with_the_task(driver):
    """When the primary has ended, every other node is told to stop what the coordination left running."""
    add_task(driver)
    for number in (0, 1, 2):
        end_on(driver, number)
    assert not [each for each in driver.done if isinstance(each, Stop)]
    end_on(driver, 0)
    stopped = {each.node_id for each in driver.done if isinstance(each, Stop)}
    assert stopped >= {each.node_id for each in driver.task("t").instances[1:]}


@pytest.mark.parametrize("number", [0, 1])
def test_reboot_of_any_of_its_nodes_requeues_the_task(driver, number):
    """When one of its nodes reboots, the whole task is active again and waits for its nodes."""
    add_task(driver)
    task = driver.task("t")
    instances = task.instances
    rebooted = instances[number].node_id
    driver.do(nodes.interrupt_node, "pool", rebooted, "requeue", "reboot")
    assert (task.state, task.requeue_count, task.instances) == ("active", 1, None)
    for each in instances:
        driver.end(f"{each.node_id}/workitems/job/job-1/t", STOPPED)
    driver.pass_seconds(5)
    assert task.state == "running"
    assert stages(driver) == [("coordination", "coordinate")] * 3


def test_terminated_task_frees_all_its_nodes(driver):
    """A task that is terminated stops on all its nodes; those free themselves as what runs there ends."""
    add_task(driver)
    end_on(driver, 2)
    driver.do(tasks.terminate_task, "job", "t")
    task = driver.task("t")
    assert task.state == "completed"
    assert sorted(node.state for node in driver.nodes) == ["idle", "running", "running"]
    end_on(driver, 0, STOPPED)
    end_on(driver, 1, STOPPED)
    assert {node.state for node in driver.nodes} == {"idle"}
    assert task.instances[1].failure["code"] == "TaskEnded"


def test_all_nodes_are_prepared_first(driver):
    """The coordination begins when the job preparation task has run on every node."""
    driver.do(jobs.delete_job, "job")
    driver.pass_seconds(1)
    preparation = {
        "id": "jobpreparation",
        "commandLine": "p",
        "waitForSuccess": True,
        "rerunOnNodeRebootAfterSuccess": True,
        "constraints": {"maxTaskRetryCount": 0, "retentionTime": "P7D"},
    }
    driver.add_job(jobPreparationTask=preparation)
    add_task(driver)
    assert (driver.task("t").state, driver.running()) == ("preparing", ["jobpreparation"] * 3)
    for node in driver.nodes[:2]:
        driver.end(f"{node.id}/workitems/job/job-1/jobpreparation")
    assert driver.task("t").state == "preparing"
    driver.end("jobpreparation", FAILED)
    task = driver.task("t")
    assert (task.state, task.requeue_count) == ("active", 0)
    assert {node.state for node in driver.nodes} == {"idle"}


def test_directories_go_from_all_nodes(driver):
    """Deleting the task removes its directory from each of its nodes."""
    add_task(driver)
    ids = set(driver.task("t").node_ids)
    driver.do(tasks.delete_task, "job", "t")
    assert {each.node_id for each in driver.done if isinstance(each, RemoveDirectory)} == ids
