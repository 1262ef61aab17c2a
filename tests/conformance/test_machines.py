"""Extensions of nodes, usage and applications of the account, through the official client."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.conformance.conftest import states
from tests.waiting import wait_until


@pytest.fixture
def extended_node(client, new_pool, target) -> tuple[str, str]:
    """A pool with an extension, and its one node: their ids."""
    extension = models.VMExtension(
        name="greeting",
        publisher="Microsoft.Azure.Extensions",
        type="CustomScript",
        type_handler_version="2.1",
        auto_upgrade_minor_version=True,
        settings={"commandToExecute": "echo hello"},
        protected_settings={"secret": "not to be seen again"},
    )
    machine = models.VirtualMachineConfiguration(
        image_reference=models.BatchVmImageReference(
            publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
        ),
        node_agent_sku_id="batch.node.ubuntu 24.04",
        extensions=[extension],
    )
    name = new_pool(target_dedicated_nodes=1, virtual_machine_configuration=machine)
    wait_until(lambda: states(client, name) == ["idle"], target.node_seconds, "an idle node")
    return name, next(iter(client.list_nodes(name))).id


def test_extensions_of_a_node(client, extended_node):
    """A node lists the extensions of its pool, without what is protected in them."""
    pool_id, node_id = extended_node
    found = {each.vm_extension.name: each for each in client.list_node_extensions(*extended_node)}
    assert found["greeting"].vm_extension.publisher == "Microsoft.Azure.Extensions"
    assert found["greeting"].vm_extension.settings == {"commandToExecute": "echo hello"}
    assert found["greeting"].vm_extension.protected_settings is None
    assert client.get_node_extension(pool_id, node_id, "greeting").provisioning_state


def test_extension_that_is_not_there(client, extended_node):
    """An extension that the pool does not name is 404."""
    with pytest.raises(HttpResponseError) as refused:
        client.get_node_extension(*extended_node, "absent")
    assert refused.value.status_code == 404


def test_node_without_extensions(client, pool_id):
    """A node whose pool names none of its own lists none of its own."""
    (node,) = client.list_nodes(pool_id)
    assert "greeting" not in {
        each.vm_extension.name for each in client.list_node_extensions(pool_id, node.id)
    }


def test_usage_metrics_are_whole_half_hours(client):
    """Usage comes by half hours; those of a pool that never was are none."""
    for usage in client.list_pool_usage_metrics():
        assert (usage.end_time - usage.start_time).total_seconds() == 1800
    assert list(client.list_pool_usage_metrics(filter="poolId eq 'never-was-there'")) == []


def test_absent_application(client):
    """An application that the account does not have is 404 ApplicationNotFound."""
    with pytest.raises(HttpResponseError) as refused:
        client.get_application("absent")
    assert (refused.value.status_code, refused.value.error.code) == (404, "ApplicationNotFound")


FILTERS = {
    "list_nodes": [
        "state ne 'idle' and stateTransitionTime gt DateTime'2020-01-01T00:00:00Z'",
        "lastBootTime ge DateTime'2020-01-01T00:00:00Z' or allocationTime lt DateTime'2020-01-01T00:00:00Z'",
        "startTaskInfo/state eq 'completed' and startTaskInfo/result eq 'failure'",
        "startTaskInfo/exitCode ge 1",
    ],
    "list_pools": [
        "vmSize eq 'standard_d2s_v3' and enableInterNodeCommunication eq false",
        "allocationState eq 'steady' and allocationStateTransitionTime gt DateTime'2020-01-01T00:00:00Z'",
        "lastModified le DateTime'2020-01-01T00:00:00Z' or creationTime le DateTime'2020-01-01T00:00:00Z'",
    ],
    "list_jobs": [
        "executionInfo/poolId eq 'p' or startswith(executionInfo/poolId,'q')",
        "state eq 'completed' and executionInfo/endTime gt DateTime'2020-01-01T00:00:00Z'",
    ],
}
REFUSED = {
    "list_nodes": ["isDedicated eq true", "startTaskInfo/state ne 'running'"],
    "list_pools": ["metadata eq 'x'", "startswith(vmSize,'standard')"],
    "list_jobs": ["displayName eq 'x'"],
}


@pytest.mark.parametrize(
    ("operation", "text"), [(operation, text) for operation, texts in FILTERS.items() for text in texts]
)
def test_filters_of_the_page(client, pool_id, operation, text):
    """Each list takes the filters that the page "OData filters in Azure Batch" allows."""
    arguments = [pool_id] if operation == "list_nodes" else []
    assert isinstance(list(getattr(client, operation)(*arguments, filter=text)), list)


@pytest.mark.parametrize(
    ("operation", "text"), [(operation, text) for operation, texts in REFUSED.items() for text in texts]
)
def test_filters_that_are_not_on_the_page(client, pool_id, operation, text):
    """Any other property or operator is 400 InvalidQueryParameterValue."""
    arguments = [pool_id] if operation == "list_nodes" else []
    with pytest.raises(HttpResponseError) as refused:
        list(getattr(client, operation)(*arguments, filter=text))
    assert (refused.value.status_code, refused.value.error.code) == (400, "InvalidQueryParameterValue")


def test_files_are_found_by_the_beginning_of_their_name(client, pool_id):
    """Files of a node can be listed by the beginning of their name."""
    (node,) = client.list_nodes(pool_id)
    found = [each.name for each in client.list_node_files(pool_id, node.id, filter="startswith(name,'s')")]
    assert sorted(found) == ["shared", "startup"]
