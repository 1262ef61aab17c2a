"""Pools and nodes, through the official client."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError

from tests.conformance.conftest import pool_parameters, states
from tests.waiting import wait_until


def test_new_pool_has_the_services_defaults(client, new_pool):
    """What is left out of a new pool is filled in by the service."""
    pool = client.get_pool(new_pool())
    assert (pool.state, pool.task_slots_per_node, pool.enable_auto_scale) == ("active", 1, False)
    assert pool.task_scheduling_policy.node_fill_type.lower() == "spread"
    assert pool.resize_timeout.total_seconds() == 900
    assert pool.virtual_machine_configuration.image_reference.version == "latest"


def test_pool_with_taken_id_is_refused(client, new_pool):
    """A second pool of the same id is 409 PoolExists; ids do not tell case."""
    name = new_pool()
    with pytest.raises(ResourceExistsError) as refused:
        client.create_pool(pool_parameters(name.upper(), target_dedicated_nodes=0))
    assert refused.value.error.code == "PoolExists"


def test_unknown_image_is_refused(client):
    """An image that the service does not offer is 400 InvalidPropertyValue of imageReference."""
    machine = models.VirtualMachineConfiguration(
        image_reference=models.BatchVmImageReference(publisher="a", offer="b", sku="c"),
        node_agent_sku_id="batch.node.ubuntu 24.04",
    )
    with pytest.raises(HttpResponseError) as refused:
        client.create_pool(pool_parameters("never", virtual_machine_configuration=machine))
    assert refused.value.status_code == 400
    assert refused.value.model.error_values[0].value == "imageReference"


def test_pool_is_listed_by_filter_and_selection(client, new_pool):
    """List Pools filters and returns only what is selected."""
    name = new_pool()
    (found,) = client.list_pools(filter=f"startswith(id,'{name}')", select=["id", "state"])
    assert (found.id, found.state, found.vm_size) == (name, "active", None)


def test_pages_follow_one_another(client, new_pool):
    """A list in pages of one gives every pool once, in order of id."""
    names = sorted(new_pool() for _ in range(3))
    wanted = " or ".join(f"id eq '{name}'" for name in names)
    pages = list(client.list_pools(filter=wanted, max_results=1).by_page())
    assert [[pool.id for pool in page] for page in pages] == [[name] for name in names]


def test_patch_with_stale_etag_changes_nothing(client, new_pool):
    """A write on condition of an ETag that is no longer the pool's is 412."""
    name = new_pool()
    stale = client.get_pool(name).etag
    metadata = [models.BatchMetadataItem(name="a", value="b")]
    client.update_pool(name, models.BatchPoolUpdateOptions(metadata=metadata))
    with pytest.raises(ResourceModifiedError):
        client.update_pool(
            name,
            models.BatchPoolUpdateOptions(metadata=[]),
            etag=stale,
            match_condition=MatchConditions.IfNotModified,
        )
    assert client.get_pool(name).metadata[0].value == "b"


def test_replaced_properties_lose_what_is_not_named(client, new_pool):
    """Replace Pool Properties takes away a start task that it does not name."""
    name = new_pool(start_task=models.BatchStartTask(command_line="/bin/true"))
    client.replace_pool_properties(
        name,
        models.BatchPoolReplaceOptions(
            application_package_references=[], metadata=[models.BatchMetadataItem(name="a", value="b")]
        ),
    )
    pool = client.get_pool(name)
    assert pool.start_task is None
    assert pool.metadata[0].value == "b"


def test_resize_and_shrink(client, new_pool, target):
    """A resize makes nodes that become idle; one to zero takes them away."""
    name = new_pool()
    wait_until(lambda: client.get_pool(name).allocation_state == "steady", 60, "steady pool")
    client.begin_resize_pool(
        name, models.BatchPoolResizeOptions(target_dedicated_nodes=2), polling_interval=0.1
    ).wait()
    wait_until(lambda: states(client, name) == ["idle", "idle"], target.node_seconds, "two idle nodes")
    counts = next(iter(client.list_pool_node_counts(filter=f"poolId eq '{name}'")))
    assert (counts.dedicated.idle, counts.dedicated.total) == (2, 2)
    client.begin_resize_pool(
        name, models.BatchPoolResizeOptions(target_dedicated_nodes=0), polling_interval=0.1
    ).wait()
    assert client.get_pool(name).current_dedicated_nodes == 0


def test_resize_needs_a_target(client):
    """The body of a resize is checked before the pool is looked up."""
    with pytest.raises(HttpResponseError) as refused:
        client.begin_resize_pool("absent", models.BatchPoolResizeOptions())
    assert refused.value.error.code == "MissingRequiredProperty"


def test_failing_start_task_is_told(client, new_pool, target):
    """A start task that fails leaves its node in starttaskfailed, with the exit code and its stderr."""
    start_task = models.BatchStartTask(
        command_line="/bin/sh -c 'echo went wrong >&2; exit 7'", wait_for_success=True
    )
    name = new_pool(target_dedicated_nodes=1, start_task=start_task)
    wait_until(lambda: states(client, name) == ["starttaskfailed"], target.node_seconds, "failed start task")
    (node,) = client.list_nodes(name, filter="state eq 'starttaskfailed'")
    assert node.start_task_info.exit_code == 7
    assert node.start_task_info.failure_info.category.lower() == "usererror"
    stderr = b"".join(client.download_node_file(name, node.id, "startup/stderr.txt"))
    assert stderr == b"went wrong\n"


def test_reboot_runs_the_start_task_again(client, new_pool, target):
    """A rebooted node runs its start task again and is idle after it."""
    start_task = models.BatchStartTask(
        command_line="/bin/sh -c 'echo run >> $AZ_BATCH_NODE_SHARED_DIR/runs'", wait_for_success=True
    )
    name = new_pool(target_dedicated_nodes=1, start_task=start_task)
    wait_until(lambda: states(client, name) == ["idle"], target.node_seconds, "an idle node")
    (node,) = client.list_nodes(name)
    # The client exports no model of these options, and sends nothing without them.
    reboot = {"nodeRebootOption": "requeue"}
    client.begin_reboot_node(name, node.id, reboot, polling_interval=0.1).wait()

    def has_run_twice() -> bool:
        """The files of a node that is not ready can't be read."""
        if states(client, name) != ["idle"]:
            return False
        return b"".join(client.download_node_file(name, node.id, "shared/runs")) == b"run\nrun\n"

    wait_until(has_run_twice, target.node_seconds, "a second run of the start task")


def test_supported_images_name_their_agents(client):
    """The list of images has a verified Ubuntu 24.04 with its node agent."""
    images = client.list_supported_images(filter="verificationType eq 'verified'")
    agents = {image.node_agent_sku_id for image in images}
    assert "batch.node.ubuntu 24.04" in agents


def test_absent_pool_is_not_found(client):
    """Whatever is asked of a pool that is not there is 404 PoolNotFound."""
    with pytest.raises(HttpResponseError) as refused:
        client.get_pool("absent")
    assert (refused.value.status_code, refused.value.error.code) == (404, "PoolNotFound")
