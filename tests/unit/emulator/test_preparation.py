"""Job preparation and release tasks in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.scheduler import jobs, nodes, pools, tasks
from batch_emulator.scheduler.world import RemoveDirectory, Stop
from tests.unit.emulator.driver import FAILED
from tests.unit.emulator.prepared_jobs import STOPPED, add_job, status


def test_task_waits_for_preparation(driver):
    """The first task on a node is preparing until the job preparation task has succeeded, then it runs."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    assert (driver.task("t").state, driver.running()) == ("preparing", ["jobpreparation"])
    driver.end("jobpreparation")
    assert (driver.task("t").state, driver.running()) == ("running", ["t"])
    assert status(driver).preparation.exit_code == 0


def test_preparation_runs_once_a_node(driver):
    """Later tasks of the job run without another preparation; each node has its own."""
    driver.add_pool(2)
    add_job(driver)
    driver.add_task("a")
    driver.add_task("b")
    assert driver.running() == ["jobpreparation", "jobpreparation"]
    for node in driver.nodes:
        driver.end(f"{node.id}/workitems/job/job-1/jobpreparation")
    driver.end("a")
    driver.add_task("c")
    assert driver.running() == ["b", "c"]


def test_tasks_know_where_the_preparation_ran(driver):
    """Tasks and the release task are told the preparation task's directory; the preparation task is not."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    (preparation,) = driver.launched.values()
    assert preparation.launch.job_preparation_directory is None
    assert preparation.launch.environment["AZ_BATCH_TASK_ID"] == "jobpreparation"
    driver.end("jobpreparation")
    (task,) = driver.launched.values()
    assert task.launch.job_preparation_directory == "workitems/job/job-1/jobpreparation"
    driver.end("/t")
    driver.do(jobs.terminate_job, "job", None)
    (release,) = driver.launched.values()
    assert release.launch.job_preparation_directory == "workitems/job/job-1/jobpreparation"
    assert release.launch.max_wall_clock_seconds == 900


def test_preparation_is_retried(driver):
    """A failed preparation task is tried again as often as its constraints say."""
    driver.add_pool()
    add_job(driver, {"constraints": {"maxTaskRetryCount": 1}})
    driver.add_task("t")
    driver.end("jobpreparation", FAILED)
    assert (driver.task("t").state, driver.running()) == ("preparing", ["jobpreparation"])
    driver.end("jobpreparation")
    assert driver.task("t").state == "running"
    assert status(driver).preparation.retry_count == 1


def test_failed_preparation_keeps_the_jobs_tasks_off_the_node(driver):
    """After a failed preparation the task is active again and goes to another node; other jobs still run."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation", FAILED)
    task, unfit = driver.task("t"), driver.nodes[0]
    assert (task.state, task.requeue_count, unfit.state) == ("active", 0, "idle")
    driver.add_job("other")
    driver.add_task("o", "other")
    assert driver.running() == ["o"]
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})
    driver.pass_seconds(10)
    assert task.state == "preparing"
    assert task.node_id not in (None, unfit.id)


def test_reimage_makes_an_unfit_node_fit_again(driver):
    """A node where the preparation failed takes the job's tasks again once it has been reimaged, not after a
    mere reboot."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation", FAILED)
    node = driver.nodes[0]
    driver.do(nodes.interrupt_node, "pool", node.id, "requeue", "reboot")
    driver.pass_seconds(5)
    assert (node.state, driver.task("t").state) == ("idle", "active")
    driver.do(nodes.interrupt_node, "pool", node.id, "requeue", "reimage")
    driver.pass_seconds(5)
    assert driver.task("t").state == "preparing"


def test_preparation_that_is_not_waited_for(driver):
    """With waitForSuccess false tasks run beside the preparation task, and after its failure too."""
    driver.add_pool()
    add_job(driver, {"waitForSuccess": False})
    driver.add_task("t")
    assert driver.running() == ["jobpreparation", "t"]
    driver.end("jobpreparation", FAILED)
    driver.end("/t")
    driver.add_task("next")
    assert driver.running() == ["next"]


@pytest.mark.parametrize(("reruns", "running"), [(True, ["jobpreparation"]), (False, ["next"])])
def test_reboot_after_preparation(driver, reruns, running):
    """After a reboot the preparation task runs again, unless rerunOnNodeRebootAfterSuccess is false."""
    driver.add_pool()
    add_job(driver, {"rerunOnNodeRebootAfterSuccess": reruns})
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.end("/t")
    driver.do(nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", "reboot")
    driver.pass_seconds(5)
    driver.add_task("next")
    assert driver.running() == running


def test_reboot_during_preparation(driver):
    """A preparation task that a reboot cuts off runs again, also if it should not after a success."""
    driver.add_pool()
    add_job(driver, {"rerunOnNodeRebootAfterSuccess": False})
    driver.add_task("t")
    driver.do(nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", "reboot")
    assert any(isinstance(each, Stop) and each.directory.endswith("preparation") for each in driver.done)
    driver.end("jobpreparation", STOPPED)
    assert driver.task("t").state == "active"
    driver.pass_seconds(5)
    assert (driver.task("t").state, driver.running()) == ("preparing", ["jobpreparation"])
    driver.end("jobpreparation")
    assert driver.task("t").state == "running"


@pytest.mark.parametrize(
    ("command", "arguments"), [(tasks.terminate_task, ("job", "t")), (tasks.delete_task, ("job", "t"))]
)
def test_task_that_ends_while_preparing_frees_its_slot(driver, command, arguments):
    """A task that is terminated or deleted while it waits for the preparation holds no slot any more."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.do(command, *arguments)
    assert driver.nodes[0].state == "idle"
    driver.end("jobpreparation")
    assert driver.running() == []


def test_disabling_takes_back_a_preparing_task(driver):
    """Disabling a job with requeue makes a preparing task active; enabled again it runs on the ready node."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.do(jobs.disable_job, "job", "requeue")
    assert (driver.task("t").state, driver.nodes[0].state) == ("active", "idle")
    driver.end("jobpreparation")
    driver.pass_seconds(1)
    driver.do(jobs.enable_job, "job")
    driver.pass_seconds(1)
    assert driver.running() == ["t"]


def test_termination_stops_a_running_preparation(driver):
    """Terminating a job while it is being prepared stops the preparation, and the job waits for its end."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.do(jobs.terminate_job, "job", None)
    driver.pass_seconds(5)
    assert driver.world.job("job").state == "terminating"
    driver.end("jobpreparation", STOPPED)
    assert driver.world.job("job").state == "completed"
    assert status(driver).preparation.failure["code"] == "TaskEnded"


def test_preparation_takes_no_slot(driver):
    """While the preparation task runs, as many tasks wait for it as the node has slots."""
    driver.add_pool(taskSlotsPerNode=2)
    add_job(driver)
    for each in "abc":
        driver.add_task(each)
    assert [driver.task(each).state for each in "abc"] == ["preparing", "preparing", "active"]
    driver.end("jobpreparation")
    assert driver.running() == ["a", "b"]


@pytest.mark.parametrize(
    ("task_id", "code"),
    [("JobPreparation", "TaskIdSameAsJobPreparationTask"), ("jobrelease", "TaskIdSameAsJobReleaseTask")],
)
def test_ids_of_the_jobs_own_tasks_are_taken(driver, task_id, code):
    """No Batch task can have the id of the job's preparation or release task."""
    add_job(driver)
    with pytest.raises(BatchError, match=code):
        driver.add_task(task_id)


def test_preparation_directory_goes_when_its_retention_is_over(driver):
    """The preparation task's directory is removed once its retention time is over."""
    driver.add_pool()
    add_job(driver, {"constraints": {"retentionTime": "PT1H"}})
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.pass_seconds(3599)
    directory = "workitems/job/job-1/jobpreparation"
    removal = RemoveDirectory(driver.nodes[0].id, directory)
    assert removal not in driver.done
    driver.pass_seconds(2)
    assert removal in driver.done
