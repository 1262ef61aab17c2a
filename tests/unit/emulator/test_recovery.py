"""What a restart means for everything that was under way."""

from __future__ import annotations

import orjson
import pytest

from batch_emulator.engine.records import Kept, restore
from batch_emulator.node.launch import Outcome
from batch_emulator.resources.runs import Instance, Run
from batch_emulator.resources.store import Store
from batch_emulator.scheduler import jobs, pools, tasks
from batch_emulator.scheduler.world import OpenNode, RemoveDirectory
from tests.unit.emulator.driver import FAILED
from tests.unit.emulator.kept import KeptDriver, crash, done

START_TASK = {"commandLine": "prepare", "waitForSuccess": True, "maxTaskRetryCount": 0}
PREPARATION = {
    "jobPreparationTask": {
        "id": "prepare",
        "commandLine": "p",
        "waitForSuccess": True,
        "rerunOnNodeRebootAfterSuccess": True,
        "constraints": {"maxTaskRetryCount": 0, "retentionTime": "P7D"},
    },
    "jobReleaseTask": {
        "id": "release",
        "commandLine": "r",
        "maxWallClockTime": "PT15M",
        "retentionTime": "P7D",
    },
}


@pytest.fixture
def driver() -> KeptDriver:
    return KeptDriver()


def test_running_task_goes_on(driver):
    """Where the nodes have gone on, a task that ran runs as the same attempt, and its end is its end."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    (before,) = driver.launched.values()
    crash(driver, went_on=True)
    (after,) = driver.launched.values()
    assert after.launch.name == before.launch.name
    assert [node.state for node in driver.nodes] == ["running"]
    driver.end("/t", FAILED)
    task = driver.task("t")
    assert (task.state, task.exit_code, task.requeue_count) == ("completed", 3, 0)


@pytest.mark.parametrize("times", [1, 3])
def test_whatever_ran_is_taken_up(driver, times):
    """Start, preparation and release tasks go on too, each as the attempt that it was."""
    driver.add_pool(startTask=START_TASK)
    seen = [take_up(driver, times)]
    driver.end("startup")
    driver.add_job(**PREPARATION)
    driver.add_task("t")
    seen.append(take_up(driver, times))
    driver.end("prepare")
    seen.append(take_up(driver, times))
    driver.end("/t")
    driver.do(jobs.terminate_job, "job", None)
    driver.pass_seconds(1)
    seen.append(take_up(driver, times))
    driver.end("release")
    driver.pass_seconds(1)
    assert seen == ["startup", "prepare", "t", "release"]
    assert driver.world.job("job").state == "completed"


def take_up(driver: KeptDriver, times: int) -> str:
    """What alone runs, before and after some crashes."""
    (before,) = driver.launched.values()
    for _ in range(times):
        crash(driver, went_on=True)
        (after,) = driver.launched.values()
        assert (after.launch.name, after.arguments) == (before.launch.name, before.arguments)
    return before.launch.task_directory.rsplit("/", 1)[-1]


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_stages_of_a_multi_instance_task_are_taken_up(driver, ended):
    """Of a multi-instance task the coordination commands that have not ended go on, or else its own."""
    driver.add_pool(2, enableInterNodeCommunication=True)
    driver.add_job()
    settings = {"numberOfInstances": 2, "coordinationCommandLine": "c"}
    driver.add_task("t", multiInstanceSettings=settings)
    for _ in range(ended):
        name = next(iter(driver.launched))
        driver.end(name)
    before = {each.launch.name: each.launch.stage for each in driver.launched.values()}
    crash(driver, went_on=True)
    assert {each.launch.name: each.launch.stage for each in driver.launched.values()} == before
    assert set(before.values()) == {"application" if ended == 2 else "coordination"}


def test_given_up_attempt_holds_no_slots(driver):
    """What was being stopped is over after a restart, and its node takes other tasks."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.add_task("u")
    driver.do(tasks.terminate_task, "job", "t")
    assert driver.running() == ["t"]
    crash(driver, went_on=True)
    assert driver.running() == ["u"]


def test_running_task_is_requeued(driver):
    """Where the nodes are gone too, a task that ran is active again and counts it; its node keeps its id,
    reboots, and runs the task."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    node_id = driver.nodes[0].id
    crash(driver)
    assert (driver.task("t").state, driver.task("t").requeue_count) == ("active", 1)
    assert [(node.id, node.state) for node in driver.nodes] == [(node_id, "rebooting")]
    assert node_id in done(driver, OpenNode)
    driver.pass_seconds(5)
    assert driver.running() == ["t"]


def test_start_task_runs_again_first(driver):
    """After the restart no task runs on a node before its start task has succeeded once more."""
    driver.add_pool(startTask=START_TASK)
    driver.end("startup")
    driver.add_job()
    driver.add_task("t")
    crash(driver)
    driver.pass_seconds(5)
    assert driver.running() == ["startup"]
    driver.end("startup")
    assert driver.running() == ["t"]


def test_completed_task_stays_completed(driver):
    """What had completed is as it was, and does not run again."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t")
    driver.end("t", FAILED)
    before = driver.task("t")
    crash(driver)
    driver.pass_seconds(5)
    assert driver.task("t") == before
    assert driver.running() == []


def test_waiting_tasks_wait_for_the_same(driver):
    """A task waits for what it had not yet got; what it had got may have been deleted since."""
    driver.add_pool(taskSlotsPerNode=4)
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("last", dependsOn={"taskIds": ["a", "b"]})
    driver.add_task("a")
    driver.end("/a")
    driver.do(tasks.delete_task, "job", "a")
    crash(driver)
    driver.add_task("b")
    driver.pass_seconds(5)
    assert driver.running() == ["b"]
    driver.end("/b")
    assert driver.running() == ["last"]


def test_queue_keeps_its_order(driver):
    """Tasks start in the order in which they became ready: one that was requeued after those that waited."""
    driver.add_pool()
    driver.add_job()
    for each in "zyxw":
        driver.add_task(each)
    driver.end("/z")
    driver.do(jobs.disable_job, "job", "requeue")
    crash(driver)
    driver.pass_seconds(5)
    driver.do(jobs.enable_job, "job")
    driver.pass_seconds(5)
    assert driver.running() == ["x"]
    driver.end("/x")
    assert driver.running() == ["w"]


def test_directories_go_when_their_retention_is_over(driver):
    """A task's directory goes after its retention time, once, however often the service was restarted."""
    driver.add_pool()
    driver.add_job()
    driver.add_task("t", constraints={"retentionTime": "PT2M", "maxTaskRetryCount": 0})
    driver.end("t", Outcome(exit_code=0))
    for _ in range(3):
        driver.pass_seconds(30)
        crash(driver)
    driver.pass_seconds(25)
    assert not done(driver, RemoveDirectory)
    driver.pass_seconds(200)
    assert len(done(driver, RemoveDirectory)) == 1


def test_recovered_world_knows_its_settings():
    """Quotas of the settings hold for what was there before: nothing is counted twice."""
    driver = KeptDriver(core_quota=4)
    driver.add_pool(2)
    crash(driver)
    driver.pass_seconds(5)
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 3})
    driver.pass_seconds(5)
    assert [each["code"] for each in driver.world.pool("pool").resize_errors] == ["AccountCoreQuotaReached"]
    assert len(driver.nodes) == 2


def test_runs_of_an_earlier_version_are_read():
    """A journal whose runs hold only what there was to say, as those of earlier versions, is still read."""
    node = {"id": "n", "pool_key": "p", "number": 1, "dedicated": True, "slots": 1, "allocated": 1}
    run = {"state": "running", "started": 5, "retry_count": 1}
    instance = {"id": 0, "node_id": "n", "state": "preparing", "since": 4, "runs": False}
    pool = {"id": "p", "spec": {}, "created": 1, "modified": 1, "state_since": 1, "allocation_since": 1}
    task = {"job_key": "j", "id": "t", "spec": {}, "number": 3, "created": 1, "modified": 1, "state_since": 1}
    job = pool | {"id": "j", "pool_id": "p", "number": 2}
    preparation = {"job_key": "j", "pool_id": "p", "node_id": "n", "boot_number": 0, "disk_number": 0}
    store = restored_from(
        ("pool", "", "p", pool | {"resize_timeout_seconds": 900.0}),
        ("node", "p", "n", node | {"state_since": 1, "start_task": run}),
        ("job", "", "j", job),
        ("preparation", "j", "n", preparation | {"preparation": run | {"number": 7}}),
        ("task", "2", "t", task | {"instances": [instance]}),
    )
    assert store.find_node("p", "n").start_task == Run(started=5, retry_count=1)
    assert store.preparations("j")["n"].preparation == Run(started=5, retry_count=1, number=7)
    assert store.find_task("j", "t").instances == [Instance(id=0, node_id="n", state="preparing", since=4)]


def restored_from(*kept: tuple[str, str, str, dict]) -> Store:
    store = Store()
    restore(store, [Kept(*place, orjson.dumps(body)) for *place, body in kept])
    return store
