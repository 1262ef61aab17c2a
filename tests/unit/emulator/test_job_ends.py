"""Job manager tasks, and other ways in which jobs end by themselves, in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.api.bodies.base import parse_object
from batch_emulator.api.bodies.jobs import JobAdd
from batch_emulator.errors import BatchError
from batch_emulator.scheduler import jobs, nodes, pools, tasks
from tests.unit.emulator.driver import FAILED, SUCCESS, Driver


def add_job(driver: Driver, job_id: str = "job", **manager) -> None:
    body = {
        "id": job_id,
        "poolInfo": {"poolId": "pool"},
        "constraints": {"maxTaskRetryCount": 2},
        "jobManagerTask": {"id": "manager", "commandLine": "manage"} | manager,
    }
    driver.do(jobs.add_job, parse_object(JobAdd, body).to_wire())


def test_manager_is_a_task_of_its_job(driver):
    """A new job has its manager task as a Batch task, without what concerns only the job."""
    add_job(driver, displayName="M", environmentSettings=[{"name": "a", "value": "b"}])
    spec = driver.task("manager").spec
    assert (spec["commandLine"], spec["displayName"]) == ("manage", "M")
    assert spec["constraints"]["maxTaskRetryCount"] == 2
    assert not {"killJobOnCompletion", "runExclusive", "allowLowPriorityNode"} & set(spec)


@pytest.mark.parametrize("outcome", [SUCCESS, FAILED])
def test_job_ends_with_its_manager(driver, outcome):
    """When the manager task completes, however it did, the job is terminated with reason JMComplete."""
    driver.add_pool(2)
    add_job(driver, constraints={"maxTaskRetryCount": 0})
    driver.add_task("t")
    driver.end("manager", outcome)
    driver.pass_seconds(1)
    job = driver.world.job("job")
    assert (job.state, job.terminate_reason) == ("completed", "JMComplete")
    assert driver.task("t").failure["code"] == "TaskEnded"


def test_manager_need_not_end_the_job(driver):
    """With killJobOnCompletion false the job goes on after its manager."""
    driver.add_pool()
    add_job(driver, killJobOnCompletion=False)
    driver.end("manager")
    driver.add_task("t")
    assert driver.world.job("job").state == "active"
    assert driver.running() == ["t"]


def test_manager_has_its_node_for_itself(driver):
    """A manager task runs on an empty node and nothing else runs there meanwhile."""
    driver.add_pool(taskSlotsPerNode=4)
    add_job(driver)
    driver.add_job("other")
    driver.add_task("t", "other")
    assert driver.running() == ["manager"]
    assert driver.nodes[0].slots_used == 4
    driver.end("manager")
    assert driver.running() == ["t"]


def test_manager_waits_for_an_empty_node_while_others_run(driver):
    """Where no node is empty an exclusive manager waits, and other tasks of its job do not wait for it."""
    driver.add_pool(taskSlotsPerNode=2)
    driver.add_job("other")
    driver.add_task("o", "other")
    add_job(driver)
    driver.add_task("t")
    assert driver.running() == ["o", "t"]
    driver.end("/o")
    assert driver.running() == ["t"]
    driver.end("/t")
    assert driver.running() == ["manager"]


def test_manager_that_shares_its_node(driver):
    """With runExclusive false the manager takes its slots only, and other tasks run beside it."""
    driver.add_pool(taskSlotsPerNode=2)
    add_job(driver, runExclusive=False)
    driver.add_task("t")
    assert driver.running() == ["manager", "t"]


def test_manager_that_wants_a_dedicated_node(driver):
    """With allowLowPriorityNode false the manager waits for a dedicated node; other tasks use Spot nodes."""
    driver.add_pool(0, targetLowPriorityNodes=1)
    add_job(driver, allowLowPriorityNode=False)
    driver.add_task("t")
    assert driver.running() == ["t"]
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 1})
    driver.pass_seconds(10)
    assert driver.running() == ["manager", "t"]


def test_requeued_manager_goes_first(driver):
    """A manager task that was requeued runs before the tasks of its job that were ready before it."""
    driver.add_pool()
    add_job(driver)
    driver.add_task("t")
    driver.do(jobs.disable_job, "job", "requeue")
    driver.pass_seconds(1)
    driver.end("manager", FAILED)
    driver.do(jobs.enable_job, "job")
    driver.pass_seconds(1)
    assert driver.running() == ["manager"]


def test_manager_runs_before_the_jobs_other_tasks(driver):
    """Of a job that has waited for its pool the manager runs first."""
    add_job(driver)
    driver.add_task("a")
    driver.add_pool()
    assert driver.running() == ["manager"]


def test_shrinking_pool_keeps_the_managers_node(driver):
    """Of busy nodes a shrinking pool gives up those without a manager task first."""
    driver.add_pool(3)
    add_job(driver)
    driver.add_task("a")
    driver.add_task("b")
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 1})
    driver.pass_seconds(5)
    assert [node.id for node in driver.nodes] == [driver.task("manager").node_id]


def test_ids_within_a_job_differ(driver):
    """A manager task with the id of the job's preparation task is refused."""
    body = {
        "id": "job",
        "poolInfo": {"poolId": "pool"},
        "jobManagerTask": {"id": "Same", "commandLine": "x"},
        "jobPreparationTask": {"id": "same", "commandLine": "x"},
    }
    with pytest.raises(BatchError, match="TaskIdSameAsJobPreparationTask"):
        driver.do(jobs.add_job, parse_object(JobAdd, body).to_wire())


def test_job_without_tasks_ends(driver):
    """A job that is to end with its tasks and never gets one ends after a while."""
    driver.add_job("empty", onAllTasksComplete="terminatejob")
    driver.add_job("used", onAllTasksComplete="terminatejob")
    driver.add_task("t", "used")
    driver.pass_seconds(30)
    assert driver.world.job("empty").state == "active"
    driver.pass_seconds(40)
    job = driver.world.job("empty")
    assert (job.state, job.terminate_reason) == ("completed", "AllTasksCompleted")
    assert driver.world.job("used").state == "active"


@pytest.mark.parametrize("command", [jobs.change_job, jobs.replace_job])
def test_automatic_end_cannot_be_taken_back(driver, command):
    """onAllTasksComplete cannot go back from terminatejob to noaction."""
    driver.add_job(onAllTasksComplete="terminatejob")
    with pytest.raises(BatchError, match="onAllTasksComplete"):
        driver.do(command, "job", {"onAllTasksComplete": "noaction", "poolInfo": {"poolId": "pool"}})


@pytest.mark.parametrize("conditions", [{}, {"exitConditions": {"default": {"jobAction": "terminate"}}}])
def test_one_terminated_task_does_not_end_its_job(driver, conditions):
    """A task that a request ended has met no exit condition: its job goes on, with or without a default."""
    driver.add_pool()
    driver.add_job(onTaskFailure="performexitoptionsjobaction", usesTaskDependencies=True)
    driver.add_task("t", **conditions)
    driver.add_task("after", dependsOn={"taskIds": ["t"]})
    driver.do(tasks.terminate_task, "job", "t")
    assert driver.task("t").result == "failure"
    assert driver.world.job("job").state == "active"
    assert driver.task("after").state == "active"


@pytest.mark.parametrize("option", ["terminate"])
def test_a_task_ended_with_its_node_does_not_end_its_job(driver, option):
    """What a reboot ends is ended by request, too."""
    driver.add_pool()
    driver.add_job(onTaskFailure="performexitoptionsjobaction")
    driver.add_task("t")
    (node,) = driver.world.store.nodes("pool")
    driver.do(nodes.interrupt_node, "pool", node.id, option, "reboot")
    assert driver.task("t").failure["code"] == "TaskEnded"
    assert driver.world.job("job").state == "active"


def test_a_failed_task_ends_its_job(driver):
    """A task that fails of itself ends its job, unless its exit conditions say otherwise."""
    driver.add_pool()
    driver.add_job(onTaskFailure="performexitoptionsjobaction")
    driver.add_task("t")
    driver.end("t", FAILED)
    driver.pass_seconds(1)
    assert driver.world.job("job").terminate_reason == "TaskFailed"


def test_states_in_between_are_never_previous_ones(driver):
    """As recorded: what came before is the state that stood last, and when it began; the job's last change is
    what was asked of it, but for its deletion, not its coming to an end. It is enabled in one moment."""
    driver.add_pool()
    driver.add_job()
    job = driver.world.job("job")
    active_since = job.state_since
    for change, arguments, state in (
        (jobs.disable_job, ("job", "requeue"), "disabled"),
        (jobs.enable_job, ("job",), "active"),
        (jobs.terminate_job, ("job", None), "completed"),
    ):
        before, before_since = job.state, job.state_since
        driver.do(change, *arguments)
        modified = job.modified
        driver.pass_seconds(1)
        assert (job.state, job.previous_state, job.previous_state_since) == (state, before, before_since)
        assert modified == job.modified
        assert (modified == job.state_since) == (change is jobs.enable_job)
    assert active_since < job.previous_state_since
    modified, ended = job.modified, job.state_since
    driver.do(jobs.delete_job, "job")
    assert (job.state, job.modified) == ("deleting", modified)
    assert (job.previous_state, job.previous_state_since) == ("completed", ended)


@pytest.mark.parametrize(("runs", "previous"), [(False, "disabled"), (True, "active")])
@pytest.mark.parametrize(
    "leave", [jobs.enable_job, lambda world, job_id: jobs.terminate_job(world, job_id, None)]
)
def test_job_is_disabled_as_soon_as_nothing_of_it_runs(driver, runs, previous, leave):
    """What comes next comes to a disabled job, as recorded 30 ms after, unless a task of it still runs."""
    driver.add_pool()
    driver.add_job()
    if runs:
        driver.add_task("t")
    driver.do(jobs.disable_job, "job", "wait")
    driver.do(leave, "job")
    assert driver.world.job("job").previous_state == previous
