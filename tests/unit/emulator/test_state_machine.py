"""Random commands and events against the pure core, with a crash now and then.

Whatever is done, and in which order: no transition is illegal, a refused command changes nothing, every index
and count is what a scan gives, slots are never over-committed, and a journal would hold what there is.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from batch_emulator.api.bodies.base import parse_object
from batch_emulator.api.bodies.jobs import JobAdd
from batch_emulator.api.bodies.schedules import JobScheduleAdd
from batch_emulator.api.bodies.tasks import TaskAdd
from batch_emulator.scheduler import autoscaling, jobs, node_faults, schedules, tasks
from tests.unit.emulator.core_machine import JOBS, MACHINE, POOLS, TASKS, Core

SCHEDULES = st.sampled_from(["schedule-a", "Schedule-B"])
LIFETIMES = st.sampled_from(["jobschedule", "job", None])
FORMULA = (
    "$TargetDedicatedNodes = min(2, $PendingTasks.GetSample(1)); $NodeDeallocationOption = taskcompletion;"
)
AUTO_POOL = {
    "vmSize": "standard_d2s_v3",
    "virtualMachineConfiguration": MACHINE,
    "targetDedicatedNodes": 1,
}


def auto_pool(lifetime: str) -> dict:
    return {"autoPoolSpecification": {"poolLifetimeOption": lifetime, "pool": AUTO_POOL}}


class Everything(Core):
    """Also what befalls nodes, job schedules, auto pools, autoscale and multi-instance tasks."""

    @precondition(lambda self: any(True for _ in self.world.store.all_nodes()))
    @rule(
        data=st.data(),
        event=st.sampled_from(["preempt", "lose", "break", "filldisk", "recover"]),
        recovery=st.sampled_from([None, 2.0]),
    )
    def befall(self, data, event, recovery):
        node = self.choose_node(data)
        request = {"recoverSeconds": recovery, "errors": [{"code": "x", "message": "y"}]}
        self.do(node_faults.strike_node, node.pool_key, node.id, event, request)

    @rule(pool=POOLS, enable=st.booleans())
    def autoscale(self, pool, enable):
        if enable:
            self.do(autoscaling.enable, pool, {"autoScaleFormula": FORMULA})
        else:
            self.do(autoscaling.disable, pool)

    @rule(
        schedule=SCHEDULES,
        every=st.sampled_from([None, "PT1M"]),
        pool_id=POOLS,
        lifetime=LIFETIMES,
    )
    def add_schedule(self, schedule, every, pool_id, lifetime):
        body = {
            "id": schedule,
            "schedule": {"recurrenceInterval": every} if every else {},
            "jobSpecification": {
                "poolInfo": auto_pool(lifetime) if lifetime else {"poolId": pool_id},
                "onAllTasksComplete": "terminatejob",
                "jobManagerTask": {"id": "manager", "commandLine": "m", "runExclusive": False},
            },
        }
        self.do(schedules.add_schedule, parse_object(JobScheduleAdd, body).to_wire())

    @rule(schedule=SCHEDULES, command=st.sampled_from(["disable", "enable", "terminate", "delete"]))
    def change_schedule(self, schedule, command):
        self.do(getattr(schedules, f"{command}_schedule"), schedule)

    @rule(job=JOBS, keep=st.booleans())
    def add_job_with_auto_pool(self, job, keep):
        pool = auto_pool("job")
        pool["autoPoolSpecification"]["keepAlive"] = keep
        self.do(jobs.add_job, parse_object(JobAdd, {"id": job, "poolInfo": pool}).to_wire())

    @rule(job=JOBS, task=TASKS, instances=st.integers(1, 3), retries=st.integers(0, 1))
    def add_multi_instance_task(self, job, task, instances, retries):
        body = {
            "id": task,
            "commandLine": "x",
            "constraints": {"maxTaskRetryCount": retries},
            "multiInstanceSettings": {
                "numberOfInstances": instances,
                "coordinationCommandLine": "c",
            },
        }
        self.do(tasks.add_task, job, parse_object(TaskAdd, body).to_wire(0))


def test_random_commands_keep_the_core_consistent():
    """Random operations leave indexes, counts, slots and what is kept consistent, crashes included."""
    examples = int(os.environ.get("STATE_MACHINE_EXAMPLES", "15"))
    run_state_machine_as_test(
        Everything,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
