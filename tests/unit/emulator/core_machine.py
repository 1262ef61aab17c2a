"""Random commands and events against the pure core: pools, nodes, jobs, tasks, time, and crashes."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batch_emulator.api.bodies.base import parse_object
from batch_emulator.api.bodies.jobs import JobAdd, JobPatch
from batch_emulator.api.bodies.pools import PoolAdd
from batch_emulator.api.bodies.tasks import TaskAdd, TaskConstraints
from batch_emulator.errors import BatchError
from batch_emulator.node.launch import Failure, Outcome
from batch_emulator.scheduler import jobs, nodes, pools, tasks
from tests.unit.emulator.driver import FAILED, SUCCESS
from tests.unit.emulator.invariants import check
from tests.unit.emulator.kept import KeptDriver, everything

POOLS = st.sampled_from(["pool-a", "Pool-B"])
JOBS = st.sampled_from(["job-a", "Job-B", "job-c"])
TASKS = st.sampled_from(["1", "2", "03", "Task", "other"])
DEALLOCATION = st.sampled_from(["requeue", "terminate", "taskcompletion", "retaineddata"])
OUTCOMES = st.sampled_from(
    [
        SUCCESS,
        SUCCESS,
        FAILED,
        Outcome(None, Failure("UserError", "BlobNotFound", "not found"), preprocessing_failure=True),
        Outcome(0, Failure("UserError", "FileUploadMiscError", "upload"), upload_failure=True),
    ]
)
MACHINE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
JOB_CHANGES = [
    {"maxParallelTasks": 2},
    {"priority": 7},
    {"onAllTasksComplete": "terminatejob"},
    {"poolInfo": {"poolId": "Pool-B"}},
]
START_TASK = {"commandLine": "x", "waitForSuccess": True, "maxTaskRetryCount": 1}
PREPARATION = {"jobPreparationTask": {"commandLine": "p"}, "jobReleaseTask": {"commandLine": "r"}}
MANAGER = {"jobManagerTask": {"id": "manager", "commandLine": "m", "killJobOnCompletion": False}}


def pool_body(pool_id: str, **changes) -> dict:
    """The JSON of Add Pool, in the fewest words."""
    needed = {"id": pool_id, "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": MACHINE}
    return parse_object(PoolAdd, needed | changes).to_wire()


class Core(RuleBasedStateMachine):
    """Two pools, three jobs and five task ids, so that commands meet."""

    def __init__(self):
        super().__init__()
        self.driver = KeptDriver(core_quota=10)

    @property
    def world(self):
        return self.driver.world

    def do(self, command, *arguments) -> None:
        """A command may be refused; then nothing has changed."""
        before = everything(self.world.store)
        try:
            self.driver.do(command, *arguments)
        except BatchError:
            assert everything(self.world.store) == before
            assert not self.world.actions

    @initialize()
    def begin(self):
        self.add_pool("pool-a", 2, 2, "Spread", START_TASK)
        self.add_job("job-a", "pool-a", -1, 0, {})
        self.pass_time(5)

    # Pools

    @rule(
        pool=POOLS,
        size=st.integers(0, 3),
        slots=st.integers(1, 3),
        fill=st.sampled_from(["Spread", "Pack"]),
        start_task=st.sampled_from([None, START_TASK, START_TASK | {"waitForSuccess": False}]),
    )
    def add_pool(self, pool, size, slots, fill, start_task):
        body = {
            "id": pool,
            "vmSize": "standard_d2s_v3",
            "virtualMachineConfiguration": MACHINE,
            "targetDedicatedNodes": size,
            "taskSlotsPerNode": slots,
            "taskSchedulingPolicy": {"nodeFillType": fill},
        }
        extra = {"startTask": start_task} if start_task else {}
        self.do(pools.add_pool, parse_object(PoolAdd, body | extra).to_wire())

    @rule(pool=POOLS, dedicated=st.integers(0, 3), spot=st.integers(0, 2), option=DEALLOCATION)
    def resize(self, pool, dedicated, spot, option):
        targets = {"targetDedicatedNodes": dedicated, "targetLowPriorityNodes": spot}
        self.do(
            pools.resize_pool, pool, targets | {"nodeDeallocationOption": option, "resizeTimeout": "PT5M"}
        )

    @rule(pool=POOLS)
    def stop_resize(self, pool):
        self.do(pools.stop_resize, pool)

    @rule(pool=POOLS)
    def delete_pool(self, pool):
        self.do(pools.delete_pool, pool)

    # Nodes

    @precondition(lambda self: any(True for _ in self.world.store.all_nodes()))
    @rule(data=st.data(), option=DEALLOCATION, event=st.sampled_from(["reboot", "reimage", "deallocate"]))
    def interrupt(self, data, option, event):
        node = self.choose_node(data)
        self.do(nodes.interrupt_node, node.pool_key, node.id, option, event)

    @precondition(lambda self: any(True for _ in self.world.store.all_nodes()))
    @rule(data=st.data(), option=DEALLOCATION)
    def remove_node(self, data, option):
        node = self.choose_node(data)
        request = {"nodeList": [node.id], "nodeDeallocationOption": option}
        self.do(pools.remove_nodes, node.pool_key, request)

    @precondition(lambda self: any(True for _ in self.world.store.all_nodes()))
    @rule(
        data=st.data(), command=st.sampled_from(["start", "enable", "requeue", "terminate", "taskcompletion"])
    )
    def switch_node(self, data, command):
        node = self.choose_node(data)
        if command == "start":
            self.do(nodes.start_node, node.pool_key, node.id)
        elif command == "enable":
            self.do(nodes.enable_scheduling, node.pool_key, node.id)
        else:
            self.do(nodes.disable_scheduling, node.pool_key, node.id, command)

    def choose_node(self, data):
        return data.draw(st.sampled_from(list(self.world.store.all_nodes())))

    # Jobs

    @rule(
        job=JOBS,
        pool=POOLS,
        parallel=st.sampled_from([-1, -1, 1, 2]),
        priority=st.integers(-1, 1),
        extra=st.sampled_from([{}, {}, PREPARATION, MANAGER, {"constraints": {"maxWallClockTime": "PT2M"}}]),
    )
    def add_job(self, job, pool, parallel, priority, extra):
        body = {
            "id": job,
            "poolInfo": {"poolId": pool},
            "maxParallelTasks": parallel,
            "priority": priority,
            "usesTaskDependencies": True,
            "onTaskFailure": "performexitoptionsjobaction",
        }
        self.do(jobs.add_job, parse_object(JobAdd, body | extra).to_wire())

    @rule(job=JOBS, changes=st.sampled_from(JOB_CHANGES))
    def patch_job(self, job, changes):
        self.do(jobs.change_job, job, parse_object(JobPatch, changes).to_wire())

    @rule(job=JOBS, option=st.sampled_from(["requeue", "terminate", "wait"]))
    def disable_job(self, job, option):
        self.do(jobs.disable_job, job, option)

    @rule(job=JOBS)
    def enable_job(self, job):
        self.do(jobs.enable_job, job)

    @rule(job=JOBS, command=st.sampled_from([partial(jobs.terminate_job, reason=None), jobs.delete_job]))
    def end_job(self, job, command):
        self.do(command, job)

    # Tasks

    @rule(
        job=JOBS,
        task=TASKS,
        slots=st.integers(1, 3),
        depends_on=st.sampled_from(
            [None, None, {"taskIds": ["1", "task"]}, {"taskIdRanges": [{"start": 2, "end": 3}]}]
        ),
        retries=st.sampled_from([0, 0, 1, -1]),
        on_failure=st.sampled_from(["none", "none", "disable", "terminate"]),
    )
    def add_task(self, job, task, slots, depends_on, retries, on_failure):
        body = {
            "id": task,
            "commandLine": "x",
            "requiredSlots": slots,
            "constraints": {"maxTaskRetryCount": retries, "retentionTime": "PT1M"},
            "exitConditions": {"default": {"jobAction": on_failure, "dependencyAction": "satisfy"}},
        }
        extra = {"dependsOn": depends_on} if depends_on else {}
        self.do(tasks.add_task, job, parse_object(TaskAdd, body | extra).to_wire(0))

    @rule(job=JOBS, task=TASKS, command=st.sampled_from(["terminate", "reactivate", "delete", "update"]))
    def change_task(self, job, task, command):
        if command == "update":
            constraints = parse_object(TaskConstraints, {"maxTaskRetryCount": 2}).to_wire()
            self.do(tasks.update_task, job, task, constraints)
        else:
            self.do(getattr(tasks, f"{command}_task"), job, task)

    # What happens

    @precondition(lambda self: self.driver.launched)
    @rule(data=st.data(), outcome=OUTCOMES)
    def end_launch(self, data, outcome):
        action = self.driver.launched.pop(data.draw(st.sampled_from(sorted(self.driver.launched))))
        self.driver.do(action.ended, *action.arguments, outcome)

    @rule(seconds=st.sampled_from([0.15, 0.4, 3, 90]))
    def pass_time(self, seconds):
        self.driver.pass_seconds(seconds)

    @rule(went_on=st.booleans())
    def crash(self, went_on):
        """No task is lost but with its job, none that had completed runs again, nodes keep their ids, and
        what the nodes still know runs no second time."""
        before = {
            name: (task.state, task.attempt, task.awaits)
            for name, task in self.all_tasks()
            if self.world.store.jobs[task.job_key].state != "deleting"
        }
        node_ids = {node.id for node in self.world.store.all_nodes()}
        self.driver.crash(went_on)
        after = dict(self.all_tasks())
        assert before.keys() <= after.keys()
        assert node_ids == {node.id for node in self.world.store.all_nodes()}
        for name, (state, attempt, awaits) in before.items():
            assert after[name].awaits == awaits
            if state == "completed" or (went_on and state in ("preparing", "running")):
                assert (after[name].state, after[name].attempt) == (state, attempt)
            elif went_on:
                assert after[name].attempt in (attempt, attempt + 1)
            else:
                assert after[name].state in ("active", "completed")

    def all_tasks(self):
        for job_key in self.world.store.jobs:
            for task_key, task in self.world.store.tasks(job_key).by_id.items():
                yield (job_key, task_key), task

    @invariant()
    def is_consistent(self):
        check(self.world)
        self.driver.check_kept()
