"""The pure core: commands and events in, state and actions out, with no clock and no process."""

from __future__ import annotations

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.node.launch import Outcome
from batch_emulator.scheduler import jobs, nodes, pools, tasks
from batch_emulator.scheduler.world import CloseNode, Stop
from batch_emulator.settings import Settings
from tests.unit.emulator.driver import FAILED, Driver


@pytest.fixture
def driver() -> Driver:
    return Driver()


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
    assert (job.state, job.terminate_reason) == ("completed", "AllTasksComplete")


def test_job_wall_clock_ends_it(driver):
    """A job is terminated when its maxWallClockTime is over: running tasks end, active ones stay."""
    driver.add_pool()
    driver.add_job(constraints={"maxWallClockTime": "PT1M"})
    driver.add_task("running")
    driver.add_task("waiting")
    driver.pass_seconds(61)
    job = driver.world.job("job")
    assert (job.state, job.terminate_reason) == ("completed", "MaxWallClockTimeExpiry")
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


def test_failing_start_task(driver):
    """A start task that fails, after its retries, makes the node starttaskfailed and keeps tasks off it."""
    driver.add_pool(startTask={"commandLine": "x", "waitForSuccess": True, "maxTaskRetryCount": 1})
    driver.add_job()
    driver.add_task("t")
    driver.end("startup", FAILED)
    assert driver.nodes[0].state == "waitingforstarttask"
    driver.end("startup", FAILED)
    assert driver.nodes[0].state == "starttaskfailed"
    assert driver.nodes[0].start_task.exit_code == 3
    assert driver.task("t").state == "active"


def test_quota_stops_growth(driver):
    """Cores over the quota are not allocated; the pool is steady with the service's resize error."""
    driver.world.settings = Settings(core_quota=5)
    driver.add_pool(4)
    pool = driver.world.pool("pool")
    assert len(driver.nodes) == 2
    assert pool.allocation_state == "steady"
    assert [each["code"] for each in pool.resize_errors] == ["AccountCoreQuotaReached"]


@pytest.mark.parametrize(
    ("option", "state"), [("requeue", "active"), ("terminate", "completed"), ("taskcompletion", "running")]
)
def test_resize_to_zero(driver, option, state):
    """Shrinking treats running tasks as its node deallocation option says, then the nodes are gone."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 0, "nodeDeallocationOption": option})
    driver.pass_seconds(5)
    assert driver.task("t").state == state
    if option == "taskcompletion":
        assert driver.world.pool("pool").allocation_state == "resizing"
        driver.end("t")
        driver.pass_seconds(5)
    assert not driver.nodes
    assert driver.world.pool("pool").allocation_state == "steady"
    assert any(isinstance(each, CloseNode) for each in driver.done)


def test_waiting_shrink_times_out(driver):
    """A resize that waits for tasks ends at its timeout, with an error that says so."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    request = {"targetDedicatedNodes": 0, "nodeDeallocationOption": "taskcompletion", "resizeTimeout": "PT5M"}
    driver.do(pools.resize_pool, "pool", request)
    driver.pass_seconds(301)
    pool = driver.world.pool("pool")
    assert (pool.allocation_state, pool.resize_errors[0]["code"]) == ("steady", "AllocationTimedout")


def test_reboot_requeues_and_runs_the_start_task_again(driver):
    """A reboot takes tasks off the node, and the start task runs again before the node takes others."""
    driver.add_pool(startTask={"commandLine": "x", "waitForSuccess": True})
    driver.end("startup")
    driver.add_job()
    driver.add_task("t")
    node = driver.nodes[0]
    driver.do(nodes.interrupt_node, "pool", node.id, "requeue", "reboot")
    assert (node.state, driver.task("t").state) == ("rebooting", "active")
    driver.pass_seconds(5)
    assert node.state == "waitingforstarttask"
    driver.end("startup")
    assert driver.task("t").state == "running"


def test_offline_node_takes_no_tasks(driver):
    """Scheduling off keeps new tasks away; on again lets them come."""
    driver.add_pool()
    driver.add_job()
    node = driver.nodes[0]
    driver.do(nodes.disable_scheduling, "pool", node.id, "requeue")
    driver.add_task("t")
    assert (node.state, driver.task("t").state) == ("offline", "active")
    driver.do(nodes.enable_scheduling, "pool", node.id)
    assert driver.task("t").state == "running"


def test_deleted_pool_stops_its_resize_or_resizes_to_none(driver):
    """As recorded, a pool that is deleted while it resizes is stopping, and one with nodes wants none."""
    driver.add_pool()
    driver.do(pools.add_pool, {"id": "other", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
    driver.do(pools.delete_pool, "other")
    assert driver.world.pool("other").allocation_state == "stopping"
    driver.do(pools.delete_pool, "pool")
    pool = driver.world.pool("pool")
    assert (pool.state, pool.allocation_state, pool.target_dedicated) == ("deleting", "resizing", 0)
    assert pool.spec["resizeTimeout"] == "PT7M9.497S"
    driver.pass_seconds(10)
    assert not driver.world.store.pools


def test_delete_pool_requeues_tasks(driver):
    """Deleting a pool removes its nodes; what ran there is active again."""
    driver.add_pool(2)
    driver.add_job()
    driver.add_task("t")
    driver.do(pools.delete_pool, "pool")
    assert driver.world.pool("pool").state == "deleting"
    driver.pass_seconds(5)
    with pytest.raises(BatchError, match="PoolNotFound"):
        driver.world.pool("pool")
    assert driver.task("t").state == "active"


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
