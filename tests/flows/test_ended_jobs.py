"""A job that has ended takes no more tasks: whoever works in it is told by one error, whatever its state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import batch_emulator
from tasks.batch_tasks import add_first_tasks, add_tasks, renew_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.bodies.bundles import find_live_bundles
from tasks.errors import JobEndedError
from tasks.jobs import Job, create_job, delete_jobs, terminate_jobs
from tasks.spec.command_line import build_command
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.run_spec import RunOptions, RunSpec
from tasks.spec.work import make_item
from tests.flows.services import batch
from tests.waiting import wait_until

ITEM = make_item("one", "one.out", "0a1b", "recipe")
SECONDS = 30
# A job stays in these states as long as the test takes.
PASSING_SECONDS = 600.0
STEPS: dict[str, Callable[[Job, TaskPlan], object]] = {
    "add first tasks": lambda job, plan: add_first_tasks.fn("1", job, [ITEM], plan),
    "add tasks": lambda job, plan: add_tasks.fn(job, [ITEM], plan),
    "renew tasks": lambda job, plan: renew_tasks.fn(job, [ITEM], plan),
    "find live bundles": lambda job, plan: find_live_bundles(plan.names, job.id, [ITEM], []),
}
READING = {"renew tasks", "find live bundles"}
ENDS: dict[str, Callable[[RunNames], object]] = {
    "terminating": lambda names: terminate_jobs.fn(names, "Test"),
    "completed": lambda names: terminate_jobs.fn(names, "Test"),
    "deleting": delete_jobs.fn,
    "gone": delete_jobs.fn,
}


def state_of(job: Job) -> str:
    found = {one.id: one.state for one in batch().list_jobs(select=["id", "state"])}
    return str(getattr(found.get(job.id), "value", "gone"))


@pytest.mark.parametrize("state", ENDS)
def test_a_job_that_has_ended_says_so_to_each_step(accounts, use_batch, run_key, state):
    """Or is only read, which changes nothing."""
    seconds = PASSING_SECONDS if state in ("terminating", "deleting") else 0.01
    settings = {"job_transition_seconds": seconds, "deletion_seconds": seconds}
    with batch_emulator.serve(port=0, stop_grace_seconds=0.1, **settings) as account:
        use_batch(account)
        names, spec = names_of_run(run_key), RunSpec(inputs="x", application=None, command="cat {input}")
        job = create_job.fn(names, RunOptions())
        ENDS[state](names)
        wait_until(lambda: state_of(job) == state, SECONDS, f"a job that is {state}")
        plan = TaskPlan(names, spec, build_command(spec.command, None))
        for name, step in STEPS.items():
            if name in READING and state != "gone":
                assert not step(job, plan)
                continue
            with pytest.raises(JobEndedError, match=job.id):
                step(job, plan)
