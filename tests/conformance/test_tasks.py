"""Jobs and Batch tasks, through the official client."""

from __future__ import annotations

import uuid

import pytest
from azure.batch import BatchClient, models
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError

from tests.waiting import wait_until


def make_task(task_id: str, command_line: str = "/bin/true", **changes) -> models.BatchTaskCreateOptions:
    return models.BatchTaskCreateOptions(id=task_id, command_line=command_line, **changes)


def stdout(client, job_id: str, task: models.BatchTask) -> str:
    return b"".join(client.download_task_file(job_id, task.id, "stdout.txt")).decode()


def test_new_job_has_the_services_defaults(client, job_id, pool_id):
    """What is left out of a new job is filled in by the service."""
    job = client.get_job(job_id)
    assert (job.state, job.priority, job.max_parallel_tasks) == ("active", 0, -1)
    assert (job.all_tasks_complete_mode, job.task_failure_mode) == ("noaction", "noaction")
    assert job.execution_info.pool_id == pool_id
    assert job.constraints.max_task_retry_count == 0


def test_task_runs_and_tells_how(client, job_id, pool_id, run):
    """A completed task has its exit code, times, node and output."""
    task = run("/bin/echo hello")
    info = task.execution_info
    assert (info.exit_code, info.result, info.retry_count, task.previous_state) == (
        0,
        "success",
        0,
        "running",
    )
    assert info.start_time <= info.end_time
    assert task.node_info.pool_id == pool_id
    assert task.node_info.task_root_directory == f"workitems/{job_id}/job-1/{task.id}"
    assert stdout(client, job_id, task) == "hello\n"


def test_no_shell_runs_a_command_line(client, job_id, run):
    """A command line is split into words and run as it is: nothing in it is expanded."""
    task = run("/bin/echo $HOME '*' \"a  b\" ; x")
    assert stdout(client, job_id, task) == "$HOME * a  b ; x\n"


def test_environment_of_a_task(client, job_id, pool_id, run):
    """A task finds its identity and its directories in AZ_BATCH_ variables, and its own settings."""
    names = ["POOL_ID", "JOB_ID", "NODE_ID", "ACCOUNT_NAME"]
    command = " ".join(f"$AZ_BATCH_{name}" for name in names)
    task = run(
        f"/bin/sh -c 'echo {command} $MINE; pwd; echo $AZ_BATCH_TASK_WORKING_DIR'",
        environment_settings=[models.EnvironmentSetting(name="MINE", value="a b")],
    )
    identity, here, working_directory = stdout(client, job_id, task).splitlines()
    assert identity.startswith(f"{pool_id} {job_id} {task.node_info.node_id} ")
    assert identity.endswith(" a b")
    assert here == working_directory
    assert here.endswith(f"workitems/{job_id}/job-1/{task.id}/wd")


def test_failed_task_says_why(run):
    """A nonzero exit makes the result a failure, with failureInfo FailureExitCode."""
    task = run("/bin/sh -c 'exit 3'")
    info = task.execution_info
    assert (info.exit_code, info.result, info.failure_info.code) == (3, "failure", "FailureExitCode")


def test_missing_program_says_so(run):
    """A program that is not there is a user error without an exit code."""
    info = run("/no/such/program").execution_info
    assert (info.exit_code, info.failure_info.code) == (None, "CommandProgramNotFound")


def test_failing_task_is_retried(run):
    """maxTaskRetryCount is how often a failed task is run again."""
    task = run("/bin/false", constraints=models.BatchTaskConstraints(max_task_retry_count=2))
    assert task.execution_info.retry_count == 2


def test_wall_clock_limit_ends_a_task(run):
    """A task that runs longer than maxWallClockTime is ended and has failed."""
    limit = models.BatchTaskConstraints(max_wall_clock_time="PT1S")
    task = run("/bin/sleep 600", constraints=limit)
    assert task.execution_info.result == "failure"
    assert task.execution_info.failure_info is not None


def test_terminated_task_completes_at_once(client, job_id):
    """Terminate Task completes a running task as a failure of the user's making."""
    client.create_task(job_id, make_task("t", "/bin/sleep 600"))
    wait_until(lambda: client.get_task(job_id, "t").state == "running", 60, "running task")
    client.terminate_task(job_id, "t")
    task = client.get_task(job_id, "t")
    assert (task.state, task.execution_info.failure_info.code) == ("completed", "TaskEnded")


def test_tasks_of_a_collection_are_answered_one_by_one(client, job_id):
    """In one collection a good task is added and a bad one is refused with its reason."""
    client.create_task(job_id, make_task("there"))
    group = models.BatchTaskGroup(task_values=[make_task("there"), make_task("new")])
    results = {each.task_id: each for each in client.create_task_collection(job_id, group).result_values}
    assert results["new"].status.lower() == "success"
    assert results["there"].status.lower() == "clienterror"
    assert results["there"].error.code == "TaskExists"


def test_collection_of_more_than_100_is_refused(client, job_id):
    """101 tasks in one request are 400 and none of them is added."""
    group = models.BatchTaskGroup(task_values=[make_task(f"t{n}") for n in range(101)])
    with pytest.raises(HttpResponseError) as refused:
        client.create_task_collection(job_id, group)
    assert refused.value.status_code == 400
    assert not list(client.list_tasks(job_id))


def test_body_over_a_mebibyte_is_refused(client, job_id):
    """A body larger than 1 MiB is 413 RequestBodyTooLarge with the limit."""
    files = [
        models.ResourceFile(http_url=f"https://example.org/{n:06d}/{'x' * 80}", file_path=f"{n}")
        for n in range(9000)
    ]
    with pytest.raises(HttpResponseError) as refused:
        client.create_task(job_id, make_task("big", resource_files=files))
    assert (refused.value.status_code, refused.value.error.code) == (413, "RequestBodyTooLarge")
    assert refused.value.model.error_values[0].value == "1048576"


def test_counts_are_those_of_the_tasks(client, job_id):
    """Task counts tell succeeded from failed."""
    commands = {"a": "/bin/true", "b": "/bin/true", "c": "/bin/false"}
    for name, command in commands.items():
        client.create_task(job_id, make_task(name, command))
    wait_until(lambda: client.get_job_task_counts(job_id).task_counts.completed == 3, 60, "three ends")
    counts = client.get_job_task_counts(job_id).task_counts
    assert (counts.active, counts.running, counts.succeeded, counts.failed) == (0, 0, 2, 1)


def test_completed_tasks_are_listed_by_filter(client, job_id, run):
    """Tasks are found by state and by time of transition, with only the selected properties."""
    first = run("/bin/true")
    second = run("/bin/true")
    since = second.state_transition_time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    wanted = f"state eq 'completed' and stateTransitionTime ge DateTime'{since}'"
    found = list(client.list_tasks(job_id, filter=wanted, select=["id", "executionInfo"]))
    assert [each.id for each in found] == [second.id]
    assert first.id not in {each.id for each in found}
    assert found[0].command_line is None
    assert found[0].execution_info.exit_code == 0


def test_bad_filter_is_refused(client, job_id):
    """A filter on a property that cannot be filtered is 400 and names the query parameter."""
    with pytest.raises(HttpResponseError) as refused:
        list(client.list_tasks(job_id, filter="commandLine eq 'x'"))
    assert refused.value.error.code == "InvalidQueryParameterValue"


def test_range_of_a_file(client, job_id, run):
    """A part of a task's file is read by its range."""
    task = run("/bin/echo 0123456789")
    part = client.download_task_file(job_id, task.id, "stdout.txt", ocp_range="bytes=2-4")
    assert b"".join(part) == b"234"


def test_files_of_a_task_are_listed(client, job_id, run):
    """A task's files are its outputs and its working directory."""
    task = run("/bin/sh -c 'echo x > made.txt'")
    names = {each.name: each for each in client.list_task_files(job_id, task.id, recursive=True)}
    assert {"stdout.txt", "stderr.txt", "wd", "wd/made.txt"} <= set(names)
    assert names["wd/made.txt"].properties.content_length == 2
    assert names["wd"].is_directory


def test_file_outside_the_task_is_not_found(client, job_id, run):
    """No file path leads out of the task's directory."""
    task = run("/bin/true")
    with pytest.raises(HttpResponseError) as refused:
        b"".join(client.download_task_file(job_id, task.id, "../../../../../../etc/passwd"))
    assert refused.value.status_code == 404


def test_job_completes_with_its_tasks(client, job_id):
    """onAllTasksComplete=terminatejob, set once tasks are added, ends the job after the last one."""
    client.create_task(job_id, make_task("t"))
    client.update_job(job_id, models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
    wait_until(lambda: client.get_job(job_id).state == "completed", 60, "completed job")
    assert client.get_job(job_id).execution_info.termination_reason == "AllTasksCompleted"


def test_disabled_job_runs_nothing_until_enabled(client, job_id):
    """A disabled job keeps its tasks active; enabling lets them run."""
    client.begin_disable_job(
        job_id, models.BatchJobDisableOptions(disable_tasks="requeue"), polling_interval=0.1
    ).wait()
    client.create_task(job_id, make_task("t"))
    assert client.get_task(job_id, "t").state == "active"
    client.begin_enable_job(job_id, polling_interval=0.1).wait()
    wait_until(lambda: client.get_task(job_id, "t").state == "completed", 60, "completed task")


def test_deleted_job_is_gone_with_its_tasks(client, pool_id):
    """A deleted job answers 404 when its deletion is done."""
    name = f"job-{uuid.uuid4().hex[:8]}"
    client.create_job(models.BatchJobCreateOptions(id=name, pool_info=models.BatchPoolInfo(pool_id=pool_id)))
    client.create_task(name, make_task("t", "/bin/sleep 600"))
    client.begin_delete_job(name, polling_interval=0.1).wait()
    with pytest.raises(HttpResponseError) as refused:
        client.get_job(name)
    assert refused.value.error.code == "JobNotFound"


def test_wrong_key_is_refused(target):
    """A request signed with another key is 403 AuthenticationFailed."""
    credential = AzureNamedKeyCredential(target.name, "d3Jvbmc=")
    with BatchClient(target.endpoint, credential) as stranger, pytest.raises(HttpResponseError) as refused:
        stranger.get_job("x")
    assert (refused.value.status_code, refused.value.error.code) == (403, "AuthenticationFailed")


async def test_async_client_does_the_same(target, job_id):
    """The client's asynchronous form adds, reads and lists tasks."""
    credential = AzureNamedKeyCredential(target.name, target.key)
    async with AsyncBatchClient(target.endpoint, credential) as client:
        await client.create_tasks(job_id, [make_task(f"t{n:03d}") for n in range(150)])
        found = [task.id async for task in client.list_tasks(job_id, select=["id"], max_results=40)]
    assert found == [f"t{n:03d}" for n in range(150)]
