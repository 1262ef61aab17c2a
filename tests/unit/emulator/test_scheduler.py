"""The pure core: commands and events in, state and actions out, with no clock and no process."""

from __future__ import annotations

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.node.launch import Outcome
from batch_emulator.scheduler import jobs, tasks
from batch_emulator.scheduler.world import Stop
from tests.unit.emulator.driver import FAILED


def test_task_runs_and_completes(driver):
    """A task of an active job starts on an idle node, and its exit code decides its result."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    assert driver.task("t").state == "running"
    assert driver.nodes[0].state == "running"
    driver.end("t")
    assert (driver.task("t").state, driver.task("t").result) == ("completed", "success")
    assert driver.nodes[0].state == "idle"


def test_slots_limit_tasks_on_a_node(driver):
    """A node runs as many tasks as it has slots, and the next when one ends."""
    driver.add_pool(taskSlotsPerNode=2)
    driver.add_job()
    for each in "abc":
        driver.add_task(each)
    assert driver.running() == ["a", "b"]
    driver.end("a")
    assert driver.running() == ["b", "c"]


def test_required_slots_are_kept_together(driver):
    """A task of three slots waits for a node with three free, while smaller ones run."""
    driver.add_pool(taskSlotsPerNode=4)
    driver.add_job()
    driver.add_task("a", requiredSlots=2)
    driver.add_task("big", requiredSlots=3)
    driver.add_task("small", requiredSlots=2)
    assert driver.running() == ["a", "small"]
    driver.end("a")
    driver.end("small")
    assert driver.running() == ["big"]


@pytest.mark.parametrize(("fill", "nodes_used"), [("Spread", 2), ("Pack", 1)])
def test_fill_type(driver, fill, nodes_used):
    """Spread uses the emptiest node, Pack the fullest that fits."""
    driver.add_pool(2, taskSlotsPerNode=4, taskSchedulingPolicy={"nodeFillType": fill})
    driver.add_job()
    driver.add_task("a")
    driver.add_task("b")
    assert len({driver.task(each).node_id for each in "ab"}) == nodes_used


def test_higher_priority_job_goes_first(driver):
    """Ready tasks of the job with the higher priority take the next free slot."""
    driver.add_pool()
    driver.add_job("low")
    driver.add_job("high", priority=5)
    driver.add_task("first", "low")
    driver.add_task("second", "low")
    driver.add_task("urgent", "high")
    driver.end("first")
    assert driver.running() == ["urgent"]


@pytest.mark.parametrize(
    ("order", "expected"), [("none", ["new1", "old1"]), ("creationtime", ["old1", "old2"])]
)
def test_jobs_of_one_priority_share_a_pool_unless_the_older_is_to_go_first(driver, order, expected):
    """With `none` the job of which fewer tasks run is next, with `creationtime` the one made first."""
    driver.add_job("old")
    driver.add_job("new")
    for name in ("old1", "old2", "new1", "new2"):
        driver.add_task(name, name[:3])
    driver.add_pool(taskSlotsPerNode=2, taskSchedulingPolicy={"jobDefaultOrder": order})
    assert driver.running() == expected


def test_max_parallel_tasks(driver):
    """A job never has more tasks running than its maxParallelTasks."""
    driver.add_pool(taskSlotsPerNode=4)
    driver.add_job(maxParallelTasks=1)
    driver.add_task("a")
    driver.add_task("b")
    assert driver.running() == ["a"]
    driver.end("a")
    assert driver.running() == ["b"]


def test_failed_task_is_retried(driver):
    """A nonzero exit is tried again as often as maxTaskRetryCount says, then the task has failed."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t", constraints={"maxTaskRetryCount": 1})
    driver.end("t", FAILED)
    assert (driver.task("t").state, driver.task("t").retry_count) == ("running", 1)
    driver.end("t", FAILED)
    assert (driver.task("t").state, driver.task("t").result, driver.task("t").exit_code) == (
        "completed",
        "failure",
        3,
    )


def test_dependent_waits_and_is_released(driver):
    """A task runs once all tasks that it depends on, by id or by range, have succeeded."""
    driver.add_pool(taskSlotsPerNode=4)
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("last", dependsOn={"taskIds": ["a"], "taskIdRanges": [{"start": 1, "end": 2}]})
    for each in ("a", "1", "2"):
        driver.add_task(each)
        assert "last" not in driver.running()
        driver.end(each)
    assert driver.running() == ["last"]


@pytest.mark.parametrize(("action", "runs"), [("block", []), ("satisfy", ["after"])])
def test_dependency_action_of_a_failure(driver, action, runs):
    """A failed task lets its dependents run only where its exit options say `satisfy`."""
    driver.add_pool()
    driver.add_job(usesTaskDependencies=True)
    options = {"exitCodes": [{"code": 3, "exitOptions": {"dependencyAction": action}}]}
    driver.add_task("t", exitConditions=options)
    driver.add_task("after", dependsOn={"taskIds": ["t"]})
    driver.end("t", FAILED)
    assert driver.running() == runs


def test_dependencies_need_the_jobs_consent(driver):
    """dependsOn is refused in a job without usesTaskDependencies, and nothing is added."""
    driver.add_job()
    with pytest.raises(BatchError, match="UnsupportedProperty"):
        driver.add_task("t", dependsOn={"taskIds": ["a"]})
    assert not driver.world.store.tasks("job").by_id


def test_job_ends_with_its_last_task(driver):
    """onAllTasksComplete=terminatejob ends the job when nothing is left to run, and says why."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.do(jobs.change_job, "job", {"onAllTasksComplete": "terminatejob"})
    assert driver.world.job("job").state == "active"
    driver.end("t")
    driver.pass_seconds(1)
    job = driver.world.job("job")
    assert (job.state, job.terminate_reason) == ("completed", "AllTasksCompleted")


def test_task_can_be_reactivated_before_its_job_ends(driver):
    """As recorded, a job does not end in the moment in which the last of its tasks is terminated."""
    driver.add_job(onAllTasksComplete="terminatejob")
    driver.add_task("t")
    driver.do(tasks.terminate_task, "job", "t")
    driver.do(tasks.reactivate_task, "job", "t")
    driver.add_task("another")
    driver.pass_seconds(1)
    assert (driver.world.job("job").state, driver.task("t").state) == ("active", "active")


def test_job_wall_clock_ends_it(driver):
    """A job is terminated when its maxWallClockTime is over: running tasks end, active ones stay, and so does
    its ETag, as recorded."""
    driver.add_pool()
    driver.add_job(constraints={"maxWallClockTime": "PT1M"})
    modified = driver.world.job("job").modified
    driver.add_task("running")
    driver.add_task("waiting")
    driver.pass_seconds(61)
    job = driver.world.job("job")
    assert (job.state, job.terminate_reason) == ("completed", "MaxWallClockTimeExpiry")
    assert job.modified == modified
    assert driver.task("running").failure["code"] == "TaskEnded"
    assert driver.task("waiting").state == "active"


@pytest.mark.parametrize(
    ("option", "state"), [("requeue", "active"), ("terminate", "completed"), ("wait", "running")]
)
def test_disable_job(driver, option, state):
    """Disabling requeues, terminates or waits for what runs; nothing new starts until the job is enabled."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.add_task("next")
    driver.do(jobs.disable_job, "job", option)
    assert driver.world.job("job").state == "disabling"
    assert driver.task("t").state == state
    if option == "wait":
        driver.end("/t")
    driver.pass_seconds(1)
    assert driver.world.job("job").state == "disabled"
    assert driver.task("next").state == "active"
    driver.do(jobs.enable_job, "job")
    driver.pass_seconds(1)
    assert driver.world.job("job").state == "active"


def test_requeued_attempt_does_not_count(driver):
    """The late end of an attempt that was requeued leaves the task as it is and only frees the node."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.do(jobs.disable_job, "job", "requeue")
    driver.end("t", Outcome(exit_code=None, stopped=True))
    assert (driver.task("t").state, driver.task("t").requeue_count) == ("active", 1)
    assert driver.nodes[0].state == "idle"


def test_delete_job_stops_tasks(driver):
    """Deleting a job stops what runs; then the job and its tasks are gone."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.do(jobs.delete_job, "job")
    assert any(isinstance(each, Stop) for each in driver.done)
    driver.pass_seconds(5)
    assert "job" not in driver.world.store.jobs


def test_reactivated_task_runs_again(driver):
    """A failed task can be run again with its counts at zero; one that succeeded cannot."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.end("t", FAILED)
    driver.do(tasks.reactivate_task, "job", "t")
    assert (driver.task("t").state, driver.task("t").exit_code) == ("running", None)
    driver.end("t")
    with pytest.raises(BatchError, match="TaskSucceeded"):
        driver.do(tasks.reactivate_task, "job", "t")


def test_counts_equal_the_list(driver):
    """Task counts are those of the tasks, through every kind of change."""
    driver.add_pool(taskSlotsPerNode=2)
    driver.add_job()
    for each in "abcde":
        driver.add_task(each)
    driver.end("a")
    driver.end("b", FAILED)
    driver.do(tasks.terminate_task, "job", "e")
    driver.do(tasks.delete_task, "job", "c")
    counts = driver.world.store.tasks("job").counts
    states = [task.state for task in driver.world.store.tasks("job").by_id.values()]
    assert (counts.active, counts.running, counts.completed) == tuple(
        states.count(each) for each in ("active", "running", "completed")
    )
    assert (counts.succeeded, counts.failed) == (1, 2)
