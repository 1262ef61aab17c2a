"""Job release tasks: when they run, and what ends them."""

from __future__ import annotations

from batch_emulator.scheduler import jobs, nodes, pools
from tests.unit.emulator.driver import FAILED, SUCCESS
from tests.unit.emulator.prepared_jobs import STOPPED, add_job, status


def test_job_completes_after_its_release_tasks(driver):
    """A terminated job stays terminating until the release task has ended on each node that was prepared."""
    driver.add_pool(3)
    add_job(driver)
    driver.add_task("a")
    driver.add_task("b")
    for _ in range(2):
        driver.end(next(name for name in driver.launched if name.endswith("jobpreparation")))
    driver.end("/a")
    driver.end("/b")
    driver.do(jobs.terminate_job, "job", None)
    assert driver.running() == ["jobrelease", "jobrelease"]
    driver.pass_seconds(60)
    assert driver.world.job("job").state == "terminating"
    driver.end(next(iter(driver.launched)))
    driver.end("jobrelease", FAILED)
    assert driver.world.job("job").state == "completed"
    assert sorted(each.release.exit_code for each in driver.world.store.preparations("job").values()) == [
        0,
        3,
    ]


def test_deletion_runs_the_release_task_once(driver):
    """Deleting an active job runs its release task; deleting one that was terminated before does not."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.do(jobs.delete_job, "job")
    driver.end("/t", STOPPED)
    driver.pass_seconds(60)
    assert driver.world.job("job").state == "deleting"
    driver.end("jobrelease")
    assert "job" not in driver.world.store.jobs
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.end("/t")
    driver.do(jobs.terminate_job, "job", None)
    driver.end("jobrelease")
    driver.pass_seconds(1)
    driver.do(jobs.delete_job, "job")
    assert driver.running() == []


def test_no_release_where_the_preparation_failed(driver):
    """The release task does not run on a node on which no task of the job could."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation", FAILED)
    driver.do(jobs.terminate_job, "job", None)
    assert driver.running() == []
    driver.pass_seconds(1)
    assert driver.world.job("job").state == "completed"


def test_no_release_after_a_reimage(driver):
    """The release task does not run on a node that was reimaged since its preparation."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.end("/t")
    driver.do(nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", "reimage")
    driver.pass_seconds(5)
    driver.do(jobs.terminate_job, "job", None)
    assert driver.running() == []


def test_reboot_during_release(driver):
    """A release task that a reboot cuts off runs again when the node is up."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.end("/t")
    driver.do(jobs.terminate_job, "job", None)
    driver.do(nodes.interrupt_node, "pool", driver.nodes[0].id, "requeue", "reboot")
    driver.end("jobrelease", STOPPED)
    assert status(driver).release is None
    driver.pass_seconds(5)
    driver.end("jobrelease", SUCCESS)
    assert driver.world.job("job").state == "completed"


def test_job_ends_without_a_node_that_is_gone(driver):
    """A job does not wait for the release task of a node that leaves; what ran there stays listed."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.end("jobpreparation")
    driver.end("/t")
    node = driver.nodes[0]
    driver.do(jobs.terminate_job, "job", None)
    driver.do(pools.remove_nodes, "pool", {"nodeList": [node.id]})
    driver.end("jobrelease", STOPPED)
    driver.pass_seconds(5)
    assert not driver.nodes
    assert driver.world.job("job").state == "completed"
    assert status(driver, node).release.failure["code"] == "TaskEnded"
