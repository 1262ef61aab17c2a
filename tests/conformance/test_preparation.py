"""Job preparation and release tasks, through the official client."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.waiting import wait_until


def shell(command: str) -> str:
    return f"/bin/sh -c '{command}'"


def own_tasks(prepare: str, release: str | None = None, **changes) -> dict:
    """The job's properties for a preparation task, and for a release task."""
    found = {
        "job_preparation_task": models.BatchJobPreparationTask(command_line=shell(prepare), **changes),
    }
    if release is not None:
        found["job_release_task"] = models.BatchJobReleaseTask(command_line=shell(release))
    return found


def run(client, job_id: str, command: str, task_id: str = "t") -> models.BatchTask:
    client.create_task(job_id, models.BatchTaskCreateOptions(id=task_id, command_line=shell(command)))
    wait_until(lambda: client.get_task(job_id, task_id).state == "completed", 120, "end of the task")
    return client.get_task(job_id, task_id)


def terminate(client, job_id: str) -> None:
    client.begin_terminate_job(job_id, {"terminateReason": "Enough"}, polling_interval=0.1).wait()


def test_defaults_of_the_jobs_own_tasks(client, new_job):
    """What is left out of a preparation and a release task is filled in by the service."""
    job = client.get_job(new_job(**own_tasks("true", "true")))
    preparation, release = job.job_preparation_task, job.job_release_task
    assert (preparation.id, release.id) == ("jobpreparation", "jobrelease")
    assert (preparation.wait_for_success, preparation.rerun_on_node_reboot_after_success) == (True, True)
    assert preparation.constraints.max_task_retry_count == 0
    assert release.max_wall_clock_time.total_seconds() == 900
    assert release.retention_time.days == 7


def test_preparation_runs_first_and_once(client, new_job):
    """The preparation task runs on the node before the first task of the job, and not before the second."""
    job_id = new_job(**own_tasks("echo ready >> $AZ_BATCH_TASK_WORKING_DIR/log"))
    command = "cat $AZ_BATCH_JOB_PREP_WORKING_DIR/log"
    for task_id in ("first", "second"):
        run(client, job_id, command, task_id)
        assert b"".join(client.download_task_file(job_id, task_id, "stdout.txt")) == b"ready\n"


def test_task_knows_the_preparations_directory(client, new_job):
    """AZ_BATCH_JOB_PREP_DIR is where the preparation task ran: beside the tasks of the job."""
    job_id = new_job(**own_tasks("true"))
    run(client, job_id, "echo $AZ_BATCH_JOB_PREP_DIR $AZ_BATCH_JOB_PREP_WORKING_DIR $AZ_BATCH_TASK_DIR")
    output = b"".join(client.download_task_file(job_id, "t", "stdout.txt")).decode()
    preparation, working_directory, task = output.split()
    assert preparation.endswith(f"workitems/{job_id}/job-1/jobpreparation")
    assert working_directory == f"{preparation}/wd"
    assert task == preparation.replace("jobpreparation", "t")


def test_status_of_preparation_and_release(client, new_job, pool_id):
    """The status list tells of each node where the preparation ran, and of the release after the end."""
    job_id = new_job(**own_tasks("echo up", "exit 4"))
    assert list(client.list_job_preparation_and_release_task_status(job_id)) == []
    task = run(client, job_id, "true")
    (before,) = client.list_job_preparation_and_release_task_status(job_id)
    assert (before.pool_id, before.node_id) == (pool_id, task.node_info.node_id)
    assert before.job_release_task_execution_info is None
    prepared = before.job_preparation_task_execution_info
    assert (prepared.state, prepared.exit_code, prepared.result) == ("completed", 0, "success")
    assert prepared.retry_count == 0
    assert prepared.task_root_directory == f"workitems/{job_id}/job-1/jobpreparation"
    assert prepared.end_time <= task.execution_info.start_time
    terminate(client, job_id)
    (after,) = client.list_job_preparation_and_release_task_status(job_id)
    released = after.job_release_task_execution_info
    assert (released.state, released.exit_code, released.result) == ("completed", 4, "failure")
    assert client.get_job(job_id).state == "completed"


def test_output_of_a_preparation_task(client, new_job, pool_id):
    """What the preparation task wrote is among the files of its node."""
    job_id = new_job(**own_tasks("echo prepared"))
    task = run(client, job_id, "true")
    path = f"workitems/{job_id}/job-1/jobpreparation/stdout.txt"
    output = client.download_node_file(pool_id, task.node_info.node_id, path)
    assert b"".join(output) == b"prepared\n"


def test_release_runs_when_the_job_ends(client, new_job, pool_id):
    """The release task runs on the node when the job is terminated, and finds what the preparation left."""
    release = "cp $AZ_BATCH_JOB_PREP_WORKING_DIR/data $AZ_BATCH_NODE_SHARED_DIR/$AZ_BATCH_JOB_ID"
    job_id = new_job(**own_tasks("echo kept > data", release))
    task = run(client, job_id, "true")
    terminate(client, job_id)
    copied = client.download_node_file(pool_id, task.node_info.node_id, f"shared/{job_id}")
    assert b"".join(copied) == b"kept\n"


def test_release_runs_when_the_job_is_deleted(client, new_job, pool_id):
    """Deleting a job that is active runs its release task before the job is gone."""
    job_id = new_job(**own_tasks("true", "echo $AZ_BATCH_JOB_ID > $AZ_BATCH_NODE_SHARED_DIR/deleted"))
    task = run(client, job_id, "true")
    client.begin_delete_job(job_id, polling_interval=0.1).wait()
    left = client.download_node_file(pool_id, task.node_info.node_id, "shared/deleted")
    assert b"".join(left).decode().strip() == job_id


def test_failed_preparation_keeps_tasks_waiting(client, new_job):
    """After a failed preparation its task is active again and does not run; the status says why."""
    job_id = new_job(**own_tasks("exit 9"))
    client.create_task(job_id, models.BatchTaskCreateOptions(id="t", command_line="/bin/true"))

    def statuses():
        wanted = "jobPreparationTaskExecutionInfo/exitCode eq 9"
        return list(client.list_job_preparation_and_release_task_status(job_id, filter=wanted))

    wait_until(lambda: statuses(), 120, "failed preparation")
    (found,) = statuses()
    assert found.job_preparation_task_execution_info.failure_info.code == "FailureExitCode"
    wait_until(lambda: client.get_task(job_id, "t").state == "active", 60, "active task")


def test_preparation_that_is_not_waited_for(client, new_job):
    """With waitForSuccess false a task runs and completes though the preparation fails."""
    job_id = new_job(**own_tasks("exit 9", wait_for_success=False))
    assert run(client, job_id, "true").execution_info.exit_code == 0


def test_preparation_is_retried(client, new_job):
    """A preparation task that fails is tried again as its constraints say."""
    constraints = models.BatchTaskConstraints(max_task_retry_count=2)
    flag = "test -e ../twice || { test -e ../once && touch ../twice; touch ../once; exit 1; }"
    job_id = new_job(**own_tasks(flag, constraints=constraints))
    run(client, job_id, "true")
    (found,) = client.list_job_preparation_and_release_task_status(job_id)
    assert found.job_preparation_task_execution_info.retry_count == 2
    assert found.job_preparation_task_execution_info.exit_code == 0


def test_job_without_own_tasks_has_no_status(client, job_id):
    """Of a job with neither task the status list is 409."""
    with pytest.raises(HttpResponseError) as refused:
        list(client.list_job_preparation_and_release_task_status(job_id))
    assert refused.value.status_code == 409
    assert refused.value.error.code == "JobPreparationTaskOrReleaseTaskNotSpecified"


@pytest.mark.parametrize(
    ("task_id", "code"),
    [
        ("jobpreparation", "TaskIdSameAsJobPreparationTask"),
        ("jobrelease", "TaskIdSameAsJobReleaseTask"),
    ],
)
def test_ids_of_the_jobs_own_tasks_are_taken(client, new_job, task_id, code):
    """No task can have the id of the preparation or the release task."""
    job_id = new_job(**own_tasks("true", "true"))
    with pytest.raises(HttpResponseError) as refused:
        client.create_task(job_id, models.BatchTaskCreateOptions(id=task_id, command_line="/bin/true"))
    assert (refused.value.status_code, refused.value.error.code) == (409, code)


def test_release_needs_a_preparation(new_job):
    """A release task without a preparation task is refused."""
    with pytest.raises(HttpResponseError) as refused:
        new_job(job_release_task=models.BatchJobReleaseTask(command_line="/bin/true"))
    assert refused.value.status_code == 400


def test_release_of_more_than_15_minutes_is_refused(new_job):
    """A release task may not run for longer than 15 minutes."""
    tasks = own_tasks("true", "true")
    tasks["job_release_task"].max_wall_clock_time = "PT16M"
    with pytest.raises(HttpResponseError) as refused:
        new_job(**tasks)
    assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidPropertyValue")
