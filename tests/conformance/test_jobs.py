"""Job managers, auto pools and dependencies, through the official client."""

from __future__ import annotations

import re

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until

GUID = "[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"


def manager(command: str, **changes) -> models.BatchJobManagerTask:
    return models.BatchJobManagerTask(id="manager", command_line=f"/bin/sh -c '{command}'", **changes)


def add(client, job_id: str, task_id: str, command: str = "true", **changes) -> None:
    client.create_task(
        job_id,
        models.BatchTaskCreateOptions(id=task_id, command_line=f"/bin/sh -c '{command}'", **changes),
    )


def wait_for_end(client, job_id: str, *task_ids: str) -> None:
    def all_ended() -> bool:
        return all(client.get_task(job_id, each).state == "completed" for each in task_ids)

    wait_until(all_ended, 120, f"end of {', '.join(task_ids)}")


def auto_pool(keep_alive: bool = False, prefix: str | None = None, **changes) -> models.BatchPoolInfo:
    """An auto pool without nodes, unless changed."""
    defaults = pool_parameters("unused", target_dedicated_nodes=0)
    specification = models.BatchPoolSpecification(
        **{
            "vm_size": defaults.vm_size,
            "virtual_machine_configuration": defaults.virtual_machine_configuration,
            "target_dedicated_nodes": 0,
        }
        | changes
    )
    return models.BatchPoolInfo(
        auto_pool_specification=models.BatchAutoPoolSpecification(
            pool_lifetime_option="job", keep_alive=keep_alive, auto_pool_id_prefix=prefix, pool=specification
        )
    )


def pool_is_gone(client, pool_id: str) -> bool:
    return not list(client.list_pools(filter=f"id eq '{pool_id}'"))


def test_job_ends_with_its_manager(client, new_job):
    """The job manager task is a task of the job, and when it completes the job does: reason JMComplete."""
    job_id = new_job(job_manager_task=manager("echo $AZ_BATCH_TASK_ID"))
    wait_until(lambda: client.get_job(job_id).state == "completed", 120, "completed job")
    assert client.get_job(job_id).execution_info.termination_reason == "JMComplete"
    (task,) = client.list_tasks(job_id)
    assert (task.id, task.state, task.execution_info.exit_code) == ("manager", "completed", 0)
    assert b"".join(client.download_task_file(job_id, "manager", "stdout.txt")) == b"manager\n"


def test_defaults_of_a_manager(client, new_job):
    """What is left out of a job manager task is filled in by the service."""
    found = client.get_job(new_job(job_manager_task=manager("true"))).job_manager_task
    assert (found.kill_job_on_completion, found.run_exclusive, found.allow_low_priority_node) == (
        True,
        True,
        True,
    )
    assert found.required_slots == 1
    assert found.constraints.retention_time.days == 7


def test_job_that_goes_on_after_its_manager(client, new_job):
    """With killJobOnCompletion false the job stays active when its manager has completed."""
    job_id = new_job(job_manager_task=manager("exit 2", kill_job_on_completion=False))
    wait_for_end(client, job_id, "manager")
    add(client, job_id, "t")
    wait_for_end(client, job_id, "t")
    assert client.get_job(job_id).state == "active"


def test_job_brings_its_pool(client, new_job):
    """A job with an auto pool gets one named by a GUID behind the prefix, and takes it away at its end."""
    job_id = new_job(pool_info=auto_pool(prefix="mine"))
    pool_id = client.get_job(job_id).execution_info.pool_id
    assert re.fullmatch(f"mine_{GUID}", pool_id)
    wait_until(lambda: not pool_is_gone(client, pool_id), 60, "auto pool")
    assert client.get_pool(pool_id).vm_size == "standard_d2s_v3"
    client.begin_terminate_job(job_id, {"terminateReason": "Enough"}, polling_interval=0.1).wait()
    wait_until(lambda: pool_is_gone(client, pool_id), 300, "end of the auto pool")


def test_pool_that_is_kept(client, new_job):
    """With keepAlive an auto pool outlives its job."""
    job_id = new_job(pool_info=auto_pool(keep_alive=True))
    pool_id = client.get_job(job_id).execution_info.pool_id
    client.begin_delete_job(job_id, polling_interval=0.1).wait()
    assert client.get_pool(pool_id).state == "active"
    client.begin_delete_pool(pool_id)


def test_tasks_run_on_an_auto_pool(client, new_job, target):
    """Tasks of a job with an auto pool run there."""
    job_id = new_job(pool_info=auto_pool(target_dedicated_nodes=1))
    add(client, job_id, "t")
    wait_until(lambda: client.get_task(job_id, "t").state == "completed", target.node_seconds, "end of t")
    assert client.get_task(job_id, "t").node_info.pool_id == client.get_job(job_id).execution_info.pool_id


def test_lifetime_of_a_schedule_is_for_schedules(new_job):
    """An auto pool that lives as long as a schedule is refused in a job that is no schedule's."""
    pool = auto_pool()
    pool.auto_pool_specification.pool_lifetime_option = "jobschedule"
    with pytest.raises(HttpResponseError) as refused:
        new_job(pool_info=pool)
    assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidPropertyValue")


def depends_on(*task_ids: str) -> models.BatchTaskDependencies:
    return models.BatchTaskDependencies(task_ids=list(task_ids))


def test_dependents_wait(client, new_job):
    """A task runs after all that it depends on, by id and by range, have succeeded."""
    job_id = new_job(uses_task_dependencies=True)
    ranges = models.BatchTaskDependencies(
        task_ids=["first"], task_id_ranges=[models.BatchTaskIdRange(start=1, end=2)]
    )
    add(client, job_id, "last", depends_on=ranges)
    for task_id in ("first", "1", "2"):
        assert client.get_task(job_id, "last").state == "active"
        add(client, job_id, task_id)
        wait_for_end(client, job_id, task_id)
    wait_for_end(client, job_id, "last")
    starts = [client.get_task(job_id, each).execution_info for each in ("last", "2")]
    assert starts[0].start_time >= starts[1].end_time


def test_dependents_of_a_failure(client, new_job):
    """A dependent of a failed task stays active, unless the exit options of the failure satisfy it."""
    job_id = new_job(uses_task_dependencies=True)
    satisfy = models.ExitConditions(
        exit_codes=[
            models.ExitCodeMapping(code=3, exit_options=models.ExitOptions(dependency_action="satisfy"))
        ]
    )
    add(client, job_id, "blocks", "exit 3")
    add(client, job_id, "satisfies", "exit 3", exit_conditions=satisfy)
    add(client, job_id, "stays", depends_on=depends_on("blocks"))
    add(client, job_id, "runs", depends_on=depends_on("satisfies"))
    wait_for_end(client, job_id, "blocks", "satisfies", "runs")
    assert client.get_task(job_id, "stays").state == "active"


def test_failure_that_ends_its_job(client, new_job):
    """In a job with performexitoptionsjobaction an exit code can end the job: reason TaskFailed."""
    job_id = new_job(task_failure_mode="performexitoptionsjobaction")
    ends = models.ExitConditions(
        exit_codes=[models.ExitCodeMapping(code=7, exit_options=models.ExitOptions(job_action="terminate"))]
    )
    add(client, job_id, "t", "exit 7", exit_conditions=ends)
    wait_until(lambda: client.get_job(job_id).state == "completed", 120, "completed job")
    assert client.get_job(job_id).execution_info.termination_reason == "TaskFailed"


def test_failure_that_disables_its_job(client, new_job):
    """In such a job an exit code can disable the job instead."""
    job_id = new_job(task_failure_mode="performexitoptionsjobaction")
    disables = models.ExitConditions(default=models.ExitOptions(job_action="disable"))
    add(client, job_id, "t", "exit 7", exit_conditions=disables)
    wait_until(lambda: client.get_job(job_id).state == "disabled", 120, "disabled job")


def test_task_goes_to_the_node_of_its_affinity(client, new_job, pool_id):
    """A task with a node's affinity id runs on that node if it is free."""
    (node,) = client.list_nodes(pool_id, max_results=1)
    job_id = new_job()
    affinity = models.BatchAffinityInfo(affinity_id=node.affinity_id)
    add(client, job_id, "t", affinity_info=affinity)
    wait_for_end(client, job_id, "t")
    assert client.get_task(job_id, "t").node_info.node_id == node.id
