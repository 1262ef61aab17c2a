"""Neither stricter nor laxer than the service: what it takes is taken, what it refuses is refused."""

from __future__ import annotations

import pytest

from tests.api.wire import LINUX, OLDEST, Wire, error, eventually

POOL = {"id": "q", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}


async def test_task_that_needs_more_slots_than_a_node_has_is_taken_and_waits(wire: Wire) -> None:
    """`requiredSlots` is not held against the pool: the task stays active, others run past it."""
    await wire.add_pool(targetDedicatedNodes=1, taskSlotsPerNode=2)
    await wire.idle_node()
    await wire.add_job()
    await wire.add_task("large", requiredSlots=3)
    await wire.add_task("small", requiredSlots=2)

    async def small_has_run() -> bool:
        return (await wire.get("/jobs/j/tasks/small"))["state"] == "completed"

    await eventually(small_has_run)
    assert (await wire.get("/jobs/j/tasks/large"))["state"] == "active"


@pytest.mark.parametrize(
    ("vm_size", "most"),
    [("standard_d1_v2", 4), ("standard_d2s_v3", 8), ("standard_d64s_v3", 256), ("standard_e96s_v5", 256)],
)
async def test_a_node_has_at_most_four_slots_a_core_and_256(wire: Wire, vm_size: str, most: int) -> None:
    """`taskSlotsPerNode` is bounded by the cores of the size, when a pool is made and when it is changed."""
    await wire.add_pool(vmSize=vm_size, taskSlotsPerNode=most)
    for answer in (
        await wire.send("POST", "/pools", POOL | {"vmSize": vm_size, "taskSlotsPerNode": most + 1}),
        await wire.send("PATCH", "/pools/p", {"taskSlotsPerNode": most + 1}),
    ):
        status, code, values = error(answer)
        assert (status, code, values["PropertyName"]) == (400, "InvalidPropertyValue", "taskSlotsPerNode")


async def test_node_counts_come_ten_at_a_time(wire: Wire) -> None:
    """A page of node counts has at most ten pools, and more cannot be asked for."""
    for number in range(11):
        await wire.add_pool(f"p{number:02}")
    first = await wire.get("/nodecounts")
    assert len(first["value"]) == 10
    assert "odata.nextLink" in first
    _, code, values = error(await wire.send("GET", "/nodecounts", query={"maxresults": "11"}))
    assert (code, values["Reason"]) == (
        "InvalidQueryParameterValue",
        "MaxResults cannot be greater than 10",
    )


@pytest.mark.parametrize("version", ["2099-01-01", "2025-06-01.1", "2024-07-01", "2025", "preview", ""])
async def test_versions_that_never_were_are_refused(wire: Wire, version: str) -> None:
    """Only an API version that the service has had is served."""
    assert error(await wire.send("GET", "/pools", version=version))[:2] == (400, "UnsupportedRequestVersion")


async def test_dependencies_need_the_jobs_consent(wire: Wire) -> None:
    """`dependsOn` in a job without `usesTaskDependencies` is unsupported, as users of the service report."""
    await wire.add_job()
    task = {"id": "t", "commandLine": "true", "dependsOn": {"taskIds": ["a"]}}
    answer = await wire.send("POST", "/jobs/j/tasks", task)
    status, code, values = error(answer)
    assert (status, code, values["PropertyName"]) == (400, "UnsupportedProperty", "dependsOn")
    collection = await wire.post("/jobs/j/addtaskcollection", {"value": [task]})
    assert collection.json()["value"][0]["error"]["code"] == "UnsupportedProperty"


@pytest.mark.parametrize("path", ["/jobs/j/tasks/t/files", "/jobs/j/tasks/t/files/stdout.txt"])
async def test_an_active_task_has_no_files(wire: Wire, path: str) -> None:
    """Files of a task that has not run are refused for its state."""
    await wire.add_job()
    await wire.add_task()
    answer = await wire.send("GET", path)
    assert error(answer)[:2] == (409, "OperationInvalidForCurrentState")
    assert "not valid for the current state" in answer.json()["message"]["value"]


async def test_a_pool_with_nodes_keeps_what_they_are_made_of(wire: Wire) -> None:
    """Its VM size, image, slots, name and so on change only while it is empty; the rest at any time."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.idle_node()
    for changes in (
        {"vmSize": "standard_d4s_v3"},
        {"taskSlotsPerNode": 2, "metadata": []},
        {"displayName": "x"},
    ):
        assert error(await wire.send("PATCH", "/pools/p", changes))[:2] == (
            409,
            "OperationInvalidForCurrentState",
        )
    assert (await wire.get("/pools/p"))["vmSize"] == "standard_d2s_v3"
    taken = await wire.send("PATCH", "/pools/p", {"metadata": [], "startTask": {"commandLine": "true"}})
    assert taken.status_code == 200
    await wire.add_pool("empty")
    assert (await wire.send("PATCH", "/pools/empty", {"vmSize": "standard_d4s_v3"})).status_code == 200


async def test_a_deallocated_node_takes_no_users_and_shows_no_files(wire: Wire) -> None:
    """Users are for idle and running nodes, files for nodes that have a machine; both come back with it."""
    await wire.add_pool(targetDedicatedNodes=1)
    node = f"/pools/p/nodes/{await wire.idle_node()}"
    user = {"name": "u", "password": "kt#_gahr!@aGERDXA"}
    await wire.post(f"{node}/users", user)
    await wire.post(f"{node}/deallocate")

    async def deallocated() -> bool:
        return (await wire.get(node))["state"] == "deallocated"

    await eventually(deallocated)
    refused = [
        ("POST", f"{node}/users", user | {"name": "v"}),
        ("PUT", f"{node}/users/u", {"password": "kt#_gahr!@aGERDXA"}),
        ("DELETE", f"{node}/users/u", None),
        ("GET", f"{node}/files", None),
        ("GET", f"{node}/files/startup", None),
    ]
    for method, path, body in refused:
        assert error(await wire.send(method, path, body))[:2] == (409, "NodeNotReady"), path
    await wire.post(f"{node}/start")
    await wire.idle_node()
    assert (await wire.send("DELETE", f"{node}/users/u")).status_code == 200
    await wire.get(f"{node}/files")


async def test_retired_images_and_sizes_are_refused_to_newest_clients(wire: Wire) -> None:
    """What the service no longer lists is not supported; recorded clients of older versions still got it."""
    image = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS"}
    machine = {"imageReference": image, "nodeAgentSKUId": "batch.node.ubuntu 18.04"}
    _, code, values = error(
        await wire.send("POST", "/pools", POOL | {"virtualMachineConfiguration": machine})
    )
    assert (code, values["PropertyName"]) == ("InvalidPropertyValue", "imageReference")
    assert values["Reason"].endswith("publisher Canonical offer UbuntuServer sku 18.04-LTS is not supported.")
    await wire.post("/pools", POOL | {"virtualMachineConfiguration": machine}, version=OLDEST)
    for size in ("standard_nc6", "standard_nc6s_v3", "standard_h16r", "basic_a1", "Standard_A3"):
        _, code, values = error(await wire.send("POST", "/pools", POOL | {"id": "r", "vmSize": size}))
        assert (code, values["PropertyName"]) == ("InvalidPropertyValue", "vmSize"), size


async def test_customer_managed_key_needs_an_identity(wire: Wire) -> None:
    """Only Azure Resource Manager gives a pool an identity, so that a key of one's own is refused."""
    key = {"customerManagedKey": {"keyUrl": "https://vault.example/keys/k"}}
    machine = LINUX | {"diskEncryptionConfiguration": key}
    answer = await wire.send("POST", "/pools", POOL | {"virtualMachineConfiguration": machine})
    assert answer.status_code == 400
    assert answer.json()["values"][:2] == [
        {"key": "PropertyName", "value": "identity"},
        {"key": "PropertyValue"},
    ]


async def test_node_of_a_pool_with_both_kinds_of_address_has_both(wire: Wire) -> None:
    """A node has an IPv6 address and its endpoints twice; remote login goes to the port of a NAT pool."""
    nat_pool = {
        "name": "ssh",
        "protocol": "tcp",
        "backendPort": 22,
        "frontendPortRangeStart": 15000,
        "frontendPortRangeEnd": 15100,
    }
    network = {
        "publicIPAddressConfiguration": {"provision": "batchmanaged", "ipFamilies": ["IPv6", "IPv4"]},
        "endpointConfiguration": {"inboundNATPools": [nat_pool]},
    }
    await wire.add_pool(targetDedicatedNodes=1, networkConfiguration=network)
    path = f"/pools/p/nodes/{await wire.idle_node()}"
    node = await wire.get(path)
    assert node["ipv6Address"]
    names = [each["name"] for each in node["endpointConfiguration"]["inboundEndpoints"]]
    assert names == ["ssh.0", "ssh-ipv6.0"]
    login = await wire.get(f"{path}/remoteloginsettings")
    assert (login["remoteLoginPort"], login["ipv6RemoteLoginPort"]) == (15000, 15000)


async def test_node_without_nat_pools_has_no_endpoints(wire: Wire) -> None:
    """Since API version 2024-07-01 no port leads to a node but those that its pool asks for; an address for
    remote login is told all the same."""
    await wire.add_pool(targetDedicatedNodes=1)
    path = f"/pools/p/nodes/{await wire.idle_node()}"
    assert "endpointConfiguration" not in await wire.get(path)
    login = await wire.get(f"{path}/remoteloginsettings")
    assert login["remoteLoginIPAddress"]
    assert login["remoteLoginPort"] > 0


@pytest.mark.parametrize("operation", ["reboot", "reimage", "deallocate"])
async def test_a_node_that_restarts_still_tells_of_its_start_task(wire: Wire, operation: str) -> None:
    """What the start task came to is shown until it runs again, as recorded of such nodes."""
    await wire.add_pool(targetDedicatedNodes=1, startTask={"commandLine": "true"})
    node = f"/pools/p/nodes/{await wire.idle_node()}"
    await wire.post(f"{node}/{operation}")
    shown = await wire.get(node)
    assert shown["state"] != "idle"
    assert shown["startTaskInfo"]["result"] == "success"
