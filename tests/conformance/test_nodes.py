"""What is asked of nodes, and of files by their names, through the official client."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.conformance.conftest import states
from tests.waiting import wait_until


@pytest.fixture
def two_nodes(client, new_pool, target) -> tuple[str, list[str]]:
    """A pool, and its two nodes that are idle."""
    name = new_pool(target_dedicated_nodes=2)
    wait_until(lambda: states(client, name) == ["idle", "idle"], target.node_seconds, "idle nodes")
    return name, [each.id for each in client.list_nodes(name)]


def test_nodes_are_taken_out_of_service_and_back(client, two_nodes, target):
    """Scheduling is off and on again, a node is deallocated and started, another removed; a resize stops."""
    pool_id, (one, other) = two_nodes

    def state(node_id: str) -> str:
        return client.get_node(pool_id, node_id).state

    options = models.BatchNodeDisableSchedulingOptions(node_disable_scheduling_option="requeue")
    client.disable_node_scheduling(pool_id, one, options)
    wait_until(lambda: state(one) == "offline", target.node_seconds, "an offline node")
    client.enable_node_scheduling(pool_id, one)
    wait_until(lambda: state(one) == "idle", target.node_seconds, "a node in service")
    assert client.get_node_remote_login_settings(pool_id, one).remote_login_port > 0
    # The client tells no type of it.
    how = {"nodeDeallocateOption": "requeue"}
    client.begin_deallocate_node(pool_id, one, how, polling_interval=0.1).wait()
    assert state(one) == "deallocated"
    client.begin_start_node(pool_id, one, polling_interval=0.1).wait()
    wait_until(lambda: state(one) == "idle", target.node_seconds, "a node that was started")
    removed = models.BatchNodeRemoveOptions(node_ids=[other])
    client.begin_remove_nodes(pool_id, removed, polling_interval=0.1).wait()
    assert [each.id for each in client.list_nodes(pool_id)] == [one]
    client.begin_resize_pool(pool_id, models.BatchPoolResizeOptions(target_dedicated_nodes=3))
    client.begin_stop_pool_resize(pool_id, polling_interval=0.1).wait()
    assert client.get_pool(pool_id).allocation_state == "steady"


def test_users_of_a_node_come_and_go(client, pool_id):
    """A user is made, changed and deleted; one that is not there can't be."""
    (node,) = client.list_nodes(pool_id)
    client.create_node_user(
        pool_id, node.id, models.BatchNodeUserCreateOptions(name="me", password="Zq-7-x!")
    )
    client.replace_node_user(pool_id, node.id, "me", models.BatchNodeUserReplaceOptions(password="Yq-8-x!"))
    client.delete_node_user(pool_id, node.id, "me")
    with pytest.raises(HttpResponseError) as refused:
        client.delete_node_user(pool_id, node.id, "me")
    assert refused.value.status_code == 404


def test_files_are_looked_at_and_deleted_by_name(client, run, job_id, pool_id):
    """A file of a task is the same by its task and by its node, and gone for both."""
    task = run("/bin/sh -c 'printf 12345; printf 67 >&2'")
    node_id, root = task.node_info.node_id, task.node_info.task_root_directory
    by_task = client.get_task_file_properties(job_id, task.id, "stdout.txt")
    by_node = client.get_node_file_properties(pool_id, node_id, f"{root}/stdout.txt")
    assert (by_task.content_length, by_task.last_modified) == (5, by_node.last_modified)
    client.delete_node_file(pool_id, node_id, f"{root}/stdout.txt")
    client.delete_task_file(job_id, task.id, "stderr.txt")
    names = [each.name for each in client.list_task_files(job_id, task.id)]
    assert "stdout.txt" not in names
    assert "stderr.txt" not in names


def test_failed_task_runs_again_when_reactivated(client, run, job_id):
    """It is active again, runs anew, and tells of its new run as of a first one; one that has succeeded is
    not run again."""
    failed = run("/bin/sh -c 'cd $AZ_BATCH_NODE_SHARED_DIR; echo >> runs; wc -l < runs; exit 3'")
    client.reactivate_task(job_id, failed.id)
    first_start = failed.execution_info.start_time

    def has_run_again() -> bool:
        """A read may be old, so that the state alone says nothing."""
        task = client.get_task(job_id, failed.id)
        return task.state == "completed" and task.execution_info.start_time != first_start

    wait_until(has_run_again, 60, "the end of its second run")
    again = client.get_task(job_id, failed.id).execution_info
    assert b"".join(client.download_task_file(job_id, failed.id, "stdout.txt")) == b"2\n"
    assert again.start_time > failed.execution_info.end_time
    assert (again.exit_code, again.retry_count, again.requeue_count) == (3, 0, 0)
    succeeded = run("/bin/true")
    with pytest.raises(HttpResponseError) as refused:
        client.reactivate_task(job_id, succeeded.id)
    assert (refused.value.status_code, client.get_task(job_id, succeeded.id).state) == (409, "completed")


def test_account_has_no_applications(client, pool_id):
    """They are made in Azure Resource Manager, so there are none beside a pool that is there."""
    assert client.pool_exists(pool_id)
    assert [*client.list_applications()] == []
