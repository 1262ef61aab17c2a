"""Pools and nodes as the service writes them: defaults, casing, and what is kept without effect."""

from __future__ import annotations

import pytest

from tests.api.wire import LINUX, URL, WINDOWS, Wire, error

POOL_IDENTITY = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}


async def test_new_pool_has_every_default(wire: Wire) -> None:
    """What a new pool does not say is filled in, in the order in which the service writes it."""
    await wire.add_pool()
    pool = await wire.get("/pools/p")
    assert list(pool) == [
        "odata.metadata",
        "id",
        "url",
        "eTag",
        "lastModified",
        "creationTime",
        "state",
        "stateTransitionTime",
        "allocationState",
        "allocationStateTransitionTime",
        "vmSize",
        "resizeTimeout",
        "currentDedicatedNodes",
        "targetDedicatedNodes",
        "currentLowPriorityNodes",
        "targetLowPriorityNodes",
        "enableAutoScale",
        "enableInterNodeCommunication",
        "taskSlotsPerNode",
        "taskSchedulingPolicy",
        "virtualMachineConfiguration",
    ]
    assert (pool["url"], pool["resizeTimeout"], pool["taskSlotsPerNode"]) == (f"{URL}/pools/p", "PT15M", 1)
    assert pool["taskSchedulingPolicy"] == {"nodeFillType": "Spread", "jobDefaultOrder": "none"}
    assert pool["virtualMachineConfiguration"]["imageReference"]["version"] == "latest"
    assert (pool["enableAutoScale"], pool["enableInterNodeCommunication"]) == (False, False)


async def test_display_name_stands_behind_the_id(wire: Wire) -> None:
    """Of whatever has one: pools, jobs and their schedules, and tasks."""
    named = {"displayName": "n"}
    await wire.add_pool(**named)
    await wire.add_job(**named)
    await wire.add_task(**named)
    job = {"poolInfo": {"poolId": "p"}}
    await wire.post("/jobschedules", {"id": "s", "schedule": {}, "jobSpecification": job} | named)
    for path in ("/pools/p", "/jobs/j", "/jobs/j/tasks/t", "/jobschedules/s"):
        assert list(await wire.get(path))[1:4] == ["id", "displayName", "url"]


async def test_encrypted_disks_are_told_in_the_recorded_order(wire: Wire) -> None:
    """A set of keys comes behind what secures the disk, in whatever order both were sent."""
    encryption = {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/diskEncryptionSets/d"}
    secured = {"securityEncryptionType": "VMGuestStateOnly"}
    sent = {"managedDisk": {"diskEncryptionSet": encryption, "securityProfile": secured}}
    await wire.add_pool(virtualMachineConfiguration=LINUX | {"osDisk": sent})
    disk = (await wire.get("/pools/p"))["virtualMachineConfiguration"]["osDisk"]["managedDisk"]
    assert list(disk) == ["storageAccountType", "securityProfile", "diskEncryptionSet"]


async def test_new_start_task_has_every_default(wire: Wire) -> None:
    """What a start task does not say is filled in."""
    await wire.add_pool(startTask={"commandLine": "true"})
    assert (await wire.get("/pools/p"))["startTask"] == {
        "commandLine": "true",
        "userIdentity": POOL_IDENTITY,
        "maxTaskRetryCount": 0,
        "waitForSuccess": True,
    }


async def test_replaced_properties_keep_an_empty_list_of_certificates(wire: Wire) -> None:
    """Of the lists that Replace Pool Properties empties, that of certificates is still answered."""
    old = "2024-02-01.19.0"
    await wire.add_pool(version=old)
    body = {"certificateReferences": [], "applicationPackageReferences": [], "metadata": []}
    await wire.post("/pools/p/updateproperties", body, version=old)
    pool = await wire.get("/pools/p", version=old)
    assert pool["certificateReferences"] == []
    assert pool["targetNodeCommunicationMode"] == "default"
    assert not {"metadata", "applicationPackageReferences"} & set(pool)


async def test_casing_of_choices_is_the_services(wire: Wire) -> None:
    """Whatever case a client writes, fill types and upload conditions come back in the service's."""
    await wire.add_pool(taskSchedulingPolicy={"nodeFillType": "pack"}, vmSize="STANDARD_D2S_V3")
    await wire.add_job()
    destination = {"container": {"containerUrl": "https://a.blob.core.windows.net/c?sig=x"}}
    options = {"uploadCondition": "taskcompletion"}
    output = {"filePattern": "*", "destination": destination, "uploadOptions": options}
    await wire.add_task(outputFiles=[output])
    pool = await wire.get("/pools/p")
    assert (pool["vmSize"], pool["taskSchedulingPolicy"]["nodeFillType"]) == ("standard_d2s_v3", "Pack")
    task = await wire.get("/jobs/j/tasks/t")
    assert task["outputFiles"][0]["uploadOptions"] == {"uploadCondition": "TaskCompletion"}


async def test_secrets_are_never_answered(wire: Wire) -> None:
    """Passwords and keys that a pool is given do not come back."""
    await wire.add_pool(
        userAccounts=[{"name": "me", "password": "secret-password"}],
        mountConfiguration=[
            {
                "azureBlobFileSystemConfiguration": {
                    "accountName": "a",
                    "containerName": "c",
                    "accountKey": "secret-key",
                    "relativeMountPath": "m",
                }
            }
        ],
    )
    text = (await wire.send("GET", "/pools/p")).text
    assert "secret" not in text
    assert '"relativeMountPath":"m"' in text


async def test_accounts_on_windows_say_how_they_log_in(wire: Wire) -> None:
    """A Windows pool's accounts log in as batch jobs do, unless they say otherwise."""
    accounts = [{"name": "me", "password": "x", "linuxUserConfiguration": {"sshPrivateKey": "AAAA=="}}]
    filled = {"name": "me", "elevationLevel": "nonadmin", "windowsUserConfiguration": {"loginMode": "batch"}}
    await wire.add_pool("windows", virtualMachineConfiguration=WINDOWS, userAccounts=accounts)
    await wire.add_pool("linux", userAccounts=accounts)
    assert (await wire.get("/pools/windows"))["userAccounts"] == [filled]
    await wire.send("PATCH", "/pools/windows", {"userAccounts": [accounts[0] | {"name": "you"}]})
    assert (await wire.get("/pools/windows"))["userAccounts"] == [filled | {"name": "you"}]
    assert "windowsUserConfiguration" not in (await wire.get("/pools/linux"))["userAccounts"][0]


async def test_idle_node_tells_what_it_is(wire: Wire) -> None:
    """A node that has booted tells its address, image, agent and how it is reached."""
    nat_pool = {
        "name": "web",
        "protocol": "tcp",
        "backendPort": 8080,
        "frontendPortRangeStart": 60000,
        "frontendPortRangeEnd": 60099,
    }
    await wire.add_pool(
        targetDedicatedNodes=1,
        networkConfiguration={"endpointConfiguration": {"inboundNATPools": [nat_pool]}},
    )
    node = await wire.get(f"/pools/p/nodes/{await wire.idle_node()}")
    assert (node["ipAddress"], node["vmSize"], node["isDedicated"]) == ("127.0.0.4", "standard_d2s_v3", True)
    endpoints = node["endpointConfiguration"]["inboundEndpoints"]
    assert [(each["name"], each["frontendPort"], each["backendPort"]) for each in endpoints] == [
        ("web.0", 60000, 8080)
    ]
    assert (endpoints[0]["publicIPAddress"], endpoints[0]["publicFQDN"]) == ("127.0.0.1", "localhost")
    (old,) = (await wire.get("/pools/p/nodes", version="2024-02-01.19.0"))["value"]
    names = [each["name"] for each in old["endpointConfiguration"]["inboundEndpoints"]]
    assert names == ["web.0", "SSHRule.0"]
    assert set(node["nodeAgentInfo"]) == {"version", "lastUpdateTime"}
    assert set(node["virtualMachineInfo"]["imageReference"]) >= {"publisher", "version", "exactVersion"}
    assert node["stateTransitionTime"] >= node["lastBootTime"] > node["allocationTime"]


async def test_node_lists_its_extensions_and_the_services_own(wire: Wire) -> None:
    """A node has the extensions of its pool and the one that the service puts on every node."""
    mine = {"name": "mine", "publisher": "p", "type": "t", "protectedSettings": {"secret": "x"}}
    await wire.add_pool(virtualMachineConfiguration=LINUX | {"extensions": [mine]}, targetDedicatedNodes=1)
    path = f"/pools/p/nodes/{await wire.idle_node()}/extensions"
    listed = await wire.get(path)
    assert listed["odata.metadata"] == f"{URL}/$metadata#extensions"
    assert [each["vmExtension"]["name"] for each in listed["value"]] == ["mine", "batchNodeExtension"]
    assert list(listed["value"][0]) == ["provisioningState", "instanceView", "vmExtension"]
    assert {each["provisioningState"] for each in listed["value"]} == {"Succeeded"}
    told = {"name": "mine", "publisher": "p", "type": "t", "enableAutomaticUpgrade": False}
    assert listed["value"][0]["vmExtension"] == told
    own = await wire.get(f"{path}/batchNodeExtension")
    assert own["odata.metadata"] == f"{URL}/$metadata#extensions/@Element"
    assert own["vmExtension"]["type"] == "CustomScript"
    assert error(await wire.send("GET", f"{path}/absent"))[:2] == (404, "NodeExtensionNotFound")


_NETWORK = {
    "dynamicVNetAssignmentScope": "none",
    "publicIPAddressConfiguration": {"provision": "UserManaged", "ipAddressIds": ["/an/address"]},
    "enableAcceleratedNetworking": True,
}


_MOUNTS = [{"nfsMountConfiguration": {"source": "host:/share", "relativeMountPath": "share"}}]


_MACHINE = {
    "osDisk": {
        "ephemeralOSDiskSettings": {"placement": "cachedisk"},
        "managedDisk": {"storageAccountType": "premium_lrs"},
        "diskSizeGB": 64,
        "caching": "ReadWrite",
    },
    "nodePlacementConfiguration": {"policy": "Zonal"},
    "securityProfile": {"securityType": "trustedlaunch", "uefiSettings": {"secureBootEnabled": True}},
    "diskEncryptionConfiguration": {"targets": ["temporarydisk"]},
    "serviceArtifactReference": {"id": "/subscriptions/s/resourceGroups/g/galleries/g/vmArtifacts/1"},
}
_OF_WINDOWS = {"licenseType": "Windows_Server", "windowsConfiguration": {"enableAutomaticUpdates": True}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("networkConfiguration", _NETWORK),
        ("mountConfiguration", _MOUNTS),
        ("upgradePolicy", {"mode": "manual", "rollingUpgradePolicy": {"pauseTimeBetweenBatches": "P0D"}}),
        ("displayName", "My pool"),
        ("metadata", [{"name": "a", "value": "b"}]),
    ],
)
async def test_what_makes_no_difference_here_is_kept(wire: Wire, name: str, value: object) -> None:
    """What one machine cannot be like is checked, kept and answered as it was given."""
    await wire.add_pool(**{name: value})
    assert (await wire.get("/pools/p"))[name] == value


async def test_machine_of_a_pool_is_kept(wire: Wire) -> None:
    """Disks, placement, security and encryption of a pool's machines come back as they were given."""
    await wire.add_pool(virtualMachineConfiguration=LINUX | _MACHINE)
    machine = (await wire.get("/pools/p"))["virtualMachineConfiguration"]
    assert {name: machine[name] for name in _MACHINE} == _MACHINE
    await wire.add_pool("w", virtualMachineConfiguration=WINDOWS | _OF_WINDOWS)
    machine = (await wire.get("/pools/w"))["virtualMachineConfiguration"]
    assert {name: machine[name] for name in _OF_WINDOWS} == _OF_WINDOWS


async def test_pool_of_cloud_services_has_any_version_of_its_system(wire: Wire) -> None:
    """A cloud service pool of an old client runs whatever version there is of its operating system."""
    old = "2022-10-01.16.0"
    body = {"id": "c", "vmSize": "small", "cloudServiceConfiguration": {"osFamily": "5"}}
    await wire.post("/pools", body, version=old)
    configuration = (await wire.get("/pools/c", version=old))["cloudServiceConfiguration"]
    assert configuration == {"osFamily": "5", "osVersion": "*"}
    assert "cloudServiceConfiguration" not in await wire.get("/pools/c")
