"""Pools' bodies: defaults, sizes, machines, secrets, and what of them is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.batch import models

from batch_emulator.api.bodies import parse_body
from batch_emulator.api.bodies.jobs import JobAdd
from batch_emulator.api.bodies.pools import (
    PoolAdd,
)
from batch_emulator.api.registries import encode
from tests.unit.emulator.official_client import sent_by
from tests.unit.emulator.reading import IDENTITY, IMAGE, MACHINE, POOL, kept, refused

MY_IMAGE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"


def with_machine(**parts: Any) -> dict[str, Any]:
    return POOL | {"virtualMachineConfiguration": MACHINE | parts}


def test_a_pool_gets_the_services_defaults() -> None:
    """A pool of the official client comes back complete, its size in lower case, its image the latest."""
    options = models.BatchPoolCreateOptions(
        id="p",
        vm_size="STANDARD_D2_V2",
        virtual_machine_configuration=models.VirtualMachineConfiguration(
            image_reference=models.BatchVmImageReference(**IMAGE),
            node_agent_sku_id="batch.node.ubuntu 18.04",
        ),
    )
    assert parse_body(PoolAdd, sent_by(lambda client: client.create_pool(options)).body).to_wire() == {
        "id": "p",
        "vmSize": "standard_d2_v2",
        "virtualMachineConfiguration": {**MACHINE, "imageReference": {**IMAGE, "version": "latest"}},
        "taskSlotsPerNode": 1,
        "taskSchedulingPolicy": {"nodeFillType": "Spread", "jobDefaultOrder": "none"},
        "resizeTimeout": "PT15M",
        "targetDedicatedNodes": 0,
        "targetLowPriorityNodes": 0,
        "enableAutoScale": False,
        "enableInterNodeCommunication": False,
    }


def test_a_start_task_gets_its_defaults() -> None:
    """A start task is waited for, runs as the pool's user and is not retried, unless it says otherwise."""
    assert kept(PoolAdd, POOL | {"startTask": {"commandLine": "x"}})["startTask"] == {
        "commandLine": "x",
        "userIdentity": IDENTITY,
        "maxTaskRetryCount": 0,
        "waitForSuccess": True,
    }


def test_a_pool_that_sizes_itself_has_no_targets() -> None:
    """With a formula the interval has a default, and targets are not filled in."""
    answer = kept(PoolAdd, POOL | {"enableAutoScale": True, "autoScaleFormula": "$TargetDedicatedNodes=1"})
    assert answer["autoScaleEvaluationInterval"] == "PT15M"
    assert "targetDedicatedNodes" not in answer


@pytest.mark.parametrize(
    ("change", "code", "name"),
    [
        ({"enableAutoScale": True}, "MissingRequiredProperty", "autoScaleFormula"),
        ({"autoScaleFormula": "x"}, "InvalidPropertyValue", "autoScaleFormula"),
        ({"autoScaleEvaluationInterval": "PT5M"}, "InvalidPropertyValue", "autoScaleEvaluationInterval"),
        (
            {"enableAutoScale": True, "autoScaleFormula": "x", "targetDedicatedNodes": 1},
            "InvalidPropertyValue",
            "targetDedicatedNodes",
        ),
        ({"targetDedicatedNodes": -1}, "InvalidPropertyValue", "targetDedicatedNodes"),
        ({"taskSlotsPerNode": 257}, "InvalidPropertyValue", "taskSlotsPerNode"),
        ({"resizeTimeout": "PT4M59S"}, "InvalidPropertyValue", "resizeTimeout"),
        ({"taskSchedulingPolicy": {"nodeFillType": "heap"}}, "InvalidPropertyValue", "nodeFillType"),
        ({"vmSize": ""}, "InvalidPropertyValue", "vmSize"),
        ({"virtualMachineConfiguration": None}, "MissingRequiredProperty", "virtualMachineConfiguration"),
        (
            {"cloudServiceConfiguration": {"osFamily": "4"}},
            "InvalidPropertyValue",
            "cloudServiceConfiguration",
        ),
        ({"mountConfiguration": [{}]}, "MissingRequiredProperty", "azureBlobFileSystemConfiguration"),
        ({"userAccounts": [{"name": "u"}]}, "MissingRequiredProperty", "password"),
        ({"colour": 1}, "InvalidRequestBody", None),
    ],
)
def test_what_is_wrong_with_a_pool_is_named(change: dict[str, Any], code: str, name: str | None) -> None:
    """Sizes that contradict each other, values out of bounds, and what is missing or unknown are refused."""
    found, values = refused(PoolAdd, POOL | change)
    assert (found, values.get("PropertyName")) == (code, name)


def test_certificates_on_windows_have_a_store() -> None:
    """There they go to the user's own, if the pool does not say otherwise."""
    machine = {
        "imageReference": {
            "publisher": "MicrosoftWindowsServer",
            "offer": "WindowsServer",
            "sku": "2019-datacenter",
        },
        "nodeAgentSKUId": "batch.node.windows amd64",
    }
    named = {"certificateReferences": [{"thumbprint": "a", "thumbprintAlgorithm": "sha1"}]}
    (reference,) = kept(PoolAdd, POOL | {"virtualMachineConfiguration": machine} | named)[
        "certificateReferences"
    ]
    assert (reference["storeLocation"], reference["storeName"]) == ("CurrentUser", "My")
    assert reference["visibility"] == ["starttask", "task", "remoteuser"]


def test_enumerations_come_back_in_the_services_case() -> None:
    """Values are taken in any case and written as the service writes each."""
    answer = kept(
        PoolAdd,
        POOL
        | {
            "taskSchedulingPolicy": {"nodeFillType": "pack"},
            "certificateReferences": [
                {"thumbprint": "a", "thumbprintAlgorithm": "sha1", "storeLocation": "localmachine"}
            ],
            "targetNodeCommunicationMode": "Simplified",
        },
    )
    assert answer["taskSchedulingPolicy"] == {"nodeFillType": "Pack", "jobDefaultOrder": "none"}
    (reference,) = answer["certificateReferences"]
    assert (reference["storeLocation"], "storeName" in reference) == ("LocalMachine", False)
    assert answer["targetNodeCommunicationMode"] == "simplified"


def test_secrets_are_not_told() -> None:
    """Passwords, keys and protected settings are in nothing that the service answers with."""
    blob = {"accountName": "a", "containerName": "c", "accountKey": "SECRET", "relativeMountPath": "m"}
    cifs = {"username": "u", "source": "s", "password": "SECRET", "relativeMountPath": "m"}
    share = {"accountName": "a", "azureFileUrl": "u", "accountKey": "SECRET", "relativeMountPath": "m"}
    account = {
        "name": "u",
        "password": "SECRET",
        "linuxUserConfiguration": {"sshPrivateKey": "SECRET", "uid": 7, "gid": 8},
    }
    extension = {"name": "e", "publisher": "p", "type": "t", "protectedSettings": {"k": "SECRET"}}
    registry = {"registryServer": "r", "username": "u", "password": "SECRET"}
    body = with_machine(
        extensions=[extension],
        containerConfiguration={"type": "dockerCompatible", "containerRegistries": [registry]},
    ) | {
        "userAccounts": [account],
        "mountConfiguration": [
            {"azureBlobFileSystemConfiguration": blob},
            {"azureBlobFileSystemConfiguration": {**blob, "accountKey": None, "sasKey": "SECRET"}},
            {"cifsMountConfiguration": cifs},
            {"azureFileShareConfiguration": share},
        ],
    }
    encoded = encode(kept(PoolAdd, body))
    assert b"SECRET" not in encoded
    answer = json.loads(encoded)
    assert answer["userAccounts"] == [
        {"name": "u", "elevationLevel": "nonadmin", "linuxUserConfiguration": {"uid": 7, "gid": 8}}
    ]
    assert len(answer["mountConfiguration"]) == 4


def test_what_is_not_done_here_is_kept() -> None:
    """Networks, disks, security and upgrades are returned as sent, with the service's defaults."""
    rule = {"priority": 150, "access": "allow", "sourceAddressPrefix": "*"}
    endpoint = {
        "name": "ssh",
        "protocol": "TCP",
        "backendPort": 22,
        "frontendPortRangeStart": 15000,
        "frontendPortRangeEnd": 15100,
        "networkSecurityGroupRules": [rule],
    }
    answer = kept(
        PoolAdd,
        with_machine(
            dataDisks=[{"lun": 0, "diskSizeGB": 8}, {"lun": 1, "diskSizeGB": 8, "managedDisk": {}}],
            osDisk={"ephemeralOSDiskSettings": {"placement": "CacheDisk"}},
            securityProfile={"securityType": "trustedLaunch", "uefiSettings": {"vTpmEnabled": True}},
        )
        | {
            "networkConfiguration": {
                "subnetId": "/s",
                "endpointConfiguration": {"inboundNATPools": [endpoint]},
                "publicIPAddressConfiguration": {"provision": "batchmanaged", "ipFamilies": ["ipv6", "ipv4"]},
            },
            "upgradePolicy": {
                "mode": "automatic",
                "automaticOSUpgradePolicy": {"enableAutomaticOSUpgrade": True},
            },
            "resourceTags": {"a": "b"},
        },
    )
    network = answer["networkConfiguration"]
    assert network["dynamicVNetAssignmentScope"] == "none"
    assert network["publicIPAddressConfiguration"] == {
        "provision": "BatchManaged",
        "ipFamilies": ["IPv4", "IPv6"],
    }
    assert network["enableAcceleratedNetworking"] is False
    [pool] = network["endpointConfiguration"]["inboundNATPools"]
    assert pool["protocol"] == "tcp"
    assert pool["networkSecurityGroupRules"] == [rule | {"sourcePortRanges": ["*"]}]
    machine = answer["virtualMachineConfiguration"]
    for number, disk in enumerate(machine["dataDisks"]):
        assert (disk["lun"], disk["caching"], disk["diskSizeGB"]) == (number, "none", 8)
        assert disk["storageAccountType"] == disk["managedDisk"]["storageAccountType"] == "standard_lrs"
    assert machine["osDisk"] == {
        "ephemeralOSDiskSettings": {"placement": "cachedisk"},
        "managedDisk": {"storageAccountType": "standard_lrs"},
        "caching": "None",
    }
    assert machine["securityProfile"]["uefiSettings"] == {"vTpmEnabled": True}
    assert answer["upgradePolicy"]["automaticOSUpgradePolicy"] == {"enableAutomaticOSUpgrade": True}


@pytest.mark.parametrize(
    "image_id",
    [
        f"{MY_IMAGE}/images/i",
        f"{MY_IMAGE}/galleries/g/images/i",
        f"{MY_IMAGE}/galleries/g/images/i/versions/1.0.0",
    ],
)
def test_own_images_are_taken(image_id: str) -> None:
    """An image of one's own is named by its resource id and gets no version."""
    body = with_machine(imageReference={"virtualMachineImageId": image_id})
    assert kept(PoolAdd, body)["virtualMachineConfiguration"]["imageReference"] == {
        "virtualMachineImageId": image_id
    }


def test_a_resource_id_that_is_no_image_is_refused() -> None:
    """Any other resource id is refused with the forms that it may have."""
    body = with_machine(imageReference={"virtualMachineImageId": f"{MY_IMAGE}/gallery/g/images/i"})
    code, values = refused(PoolAdd, body)
    assert (code, values["PropertyName"]) == ("InvalidPropertyValue", "virtualMachineImageId")
    assert values["Reason"].startswith("The specified resource id must be of the format /subscriptions/")


def test_an_image_must_be_named() -> None:
    """A marketplace image needs publisher, offer and sku."""
    assert refused(PoolAdd, with_machine(imageReference={"publisher": "a", "offer": "b"})) == (
        "MissingRequiredProperty",
        {"PropertyName": "sku"},
    )


def test_an_auto_pool_is_a_pool_without_an_id() -> None:
    """The pool of a job gets the same defaults as one that is added."""
    auto = {"poolLifetimeOption": "job", "pool": {name: POOL[name] for name in POOL if name != "id"}}
    answer = kept(JobAdd, {"id": "j", "poolInfo": {"autoPoolSpecification": auto}})
    specification = answer["poolInfo"]["autoPoolSpecification"]
    assert specification["keepAlive"] is False
    assert specification["pool"] == {
        name: value for name, value in kept(PoolAdd, POOL).items() if name != "id"
    }


def test_nothing_is_filled_in_that_the_service_leaves_out() -> None:
    """Of a public address only what was sent comes back, kinds of address in order; as recorded in 2025."""
    sent = {"publicIPAddressConfiguration": {"ipFamilies": ["IPv6", "IPv4"]}}
    network = kept(PoolAdd, POOL | {"networkConfiguration": sent})["networkConfiguration"]
    assert network["publicIPAddressConfiguration"] == {"ipFamilies": ["IPv4", "IPv6"]}
