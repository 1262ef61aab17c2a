"""Limits that the descriptions of a pool's properties give: networks, accounts, mounts and disks."""

from __future__ import annotations

from typing import Any

import pytest

from batch_emulator.api.bodies.endpoints import refuse_login_ports
from batch_emulator.api.bodies.jobs import JobAdd
from batch_emulator.api.bodies.pools import PoolAdd
from batch_emulator.errors import BatchError
from tests.unit.emulator.reading import MACHINE, POOL, kept, refused

NAT_POOL = {
    "name": "ssh.1_",
    "protocol": "tcp",
    "backendPort": 22,
    "frontendPortRangeStart": 15000,
    "frontendPortRangeEnd": 15039,
}
RULE = {"priority": 150, "access": "allow", "sourceAddressPrefix": "*"}
WINDOWS = {
    "imageReference": {
        "publisher": "microsoftwindowsserver",
        "offer": "windowsserver",
        "sku": "2022-datacenter",
    },
    "nodeAgentSKUId": "batch.node.windows amd64",
}


def nat_pools(*changes: dict[str, Any]) -> dict[str, Any]:
    return network(*(NAT_POOL | change for change in changes))


def network(*pools: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"networkConfiguration": {"endpointConfiguration": {"inboundNATPools": [*pools]}, **more}}


def several(count: int) -> list[dict[str, Any]]:
    """Changes for NAT pools that have nothing in common."""
    return [
        {
            "name": f"n{number}",
            "backendPort": 100 + number,
            "frontendPortRangeStart": 1000 + 100 * number,
            "frontendPortRangeEnd": 1050 + 100 * number,
        }
        for number in range(count)
    ]


def rules(*changes: dict[str, Any]) -> dict[str, Any]:
    return nat_pools({"networkSecurityGroupRules": [RULE | change for change in changes]})


def machine(**changes: Any) -> dict[str, Any]:
    return {"virtualMachineConfiguration": MACHINE | changes}


def account(**changes: Any) -> dict[str, Any]:
    return {"userAccounts": [{"name": "me", "password": "p"} | changes]}


def blobs(**changes: Any) -> dict[str, Any]:
    mount = {"accountName": "a", "containerName": "c", "relativeMountPath": "m"} | changes
    return {"mountConfiguration": [{"azureBlobFileSystemConfiguration": mount}]}


def nfs(number: int) -> dict[str, Any]:
    return {"nfsMountConfiguration": {"source": "s", "relativeMountPath": f"m{number}"}}


PORTS = {"priority": 151, "sourcePortRanges": ["22", "100-200"]}


@pytest.mark.parametrize(
    "change",
    [
        nat_pools({}),
        nat_pools(*several(5)),
        rules(*({"priority": 150 + number} for number in range(25))),
        rules({}, PORTS),
        account(linuxUserConfiguration={"uid": 5, "gid": 5}),
        blobs(sasKey="s"),
        {"mountConfiguration": [nfs(number) for number in range(10)]},
        machine(dataDisks=[{"lun": 0, "diskSizeGB": 1}, {"lun": 63, "diskSizeGB": 1}]),
        {"virtualMachineConfiguration": WINDOWS | {"windowsConfiguration": {"enableAutomaticUpdates": True}}},
        account(windowsUserConfiguration={"loginMode": "batch"}) | {"virtualMachineConfiguration": WINDOWS},
    ],
)
def test_what_is_within_the_limits_is_taken(change: dict[str, Any]) -> None:
    """As many, as far and as close as the descriptions of the properties allow."""
    kept(PoolAdd, POOL | change)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (nat_pools({"name": "_a"}), "name"),
        (nat_pools({"name": "a-"}), "name"),
        (nat_pools({"name": "a b"}), "name"),
        (nat_pools({"backendPort": 29876}), "backendPort"),
        (nat_pools({"frontendPortRangeEnd": 65535}), "frontendPortRangeEnd"),
        (nat_pools({"frontendPortRangeEnd": 15038}), "frontendPortRangeEnd"),
        (
            nat_pools({"frontendPortRangeStart": 54000, "frontendPortRangeEnd": 56000}),
            "frontendPortRangeStart",
        ),
        (
            nat_pools({"frontendPortRangeStart": 49000, "frontendPortRangeEnd": 56000}),
            "frontendPortRangeStart",
        ),
        (nat_pools(*several(6)), "inboundNATPools"),
        (nat_pools({}, several(1)[0] | {"name": NAT_POOL["name"]}), "name"),
        (nat_pools({}, several(1)[0] | {"backendPort": 22}), "backendPort"),
        (nat_pools({}, {"name": "b", "backendPort": 23}), "frontendPortRangeStart"),
        (rules({}, {}), "priority"),
        (rules(*({"priority": 150 + number} for number in range(26))), "networkSecurityGroupRules"),
        (rules({"sourcePortRanges": ["22", "20-30"]}), "sourcePortRanges"),
        (rules({"sourcePortRanges": ["65536"]}), "sourcePortRanges"),
        (rules({"sourcePortRanges": ["ssh"]}), "sourcePortRanges"),
        (
            network(NAT_POOL, publicIPAddressConfiguration={"provision": "NoPublicIPAddresses"}),
            "endpointConfiguration",
        ),
        (account(linuxUserConfiguration={"uid": 5}), "gid"),
        (account(windowsUserConfiguration={"loginMode": "batch"}), "windowsUserConfiguration"),
        (machine(windowsConfiguration={"enableAutomaticUpdates": True}), "windowsConfiguration"),
        (machine(dataDisks=[{"lun": 0, "diskSizeGB": 1}] * 2), "lun"),
        (blobs(), "accountKey"),
        (blobs(accountKey="a", sasKey="s"), "azureBlobFileSystemConfiguration"),
        ({"mountConfiguration": [nfs(number) for number in range(11)]}, "mountConfiguration"),
        (
            {
                "virtualMachineConfiguration": WINDOWS
                | {"windowsConfiguration": {"enableAutomaticUpdates": True}},
                "upgradePolicy": {
                    "mode": "automatic",
                    "automaticOSUpgradePolicy": {"enableAutomaticOSUpgrade": True},
                },
            },
            "enableAutomaticUpdates",
        ),
    ],
)
def test_what_is_beyond_a_limit_is_refused_by_name(change: dict[str, Any], name: str) -> None:
    """400 for each limit that the description of a property says to be one."""
    code, values = refused(PoolAdd, POOL | change)
    assert code in ("InvalidPropertyValue", "MissingRequiredProperty")
    assert values["PropertyName"] == name


def test_ports_for_remote_login_were_the_services_own() -> None:
    """Until API version 2024-07-01 no pool could have them; since then a pool may."""
    refuse_login_ports(nat_pools({"backendPort": 23}))
    refuse_login_ports({})
    with pytest.raises(BatchError, match="reserved"):
        refuse_login_ports(nat_pools({}))


@pytest.mark.parametrize(("limit", "taken"), [(-2, False), (-1, True), (0, False), (1, True)])
def test_a_job_runs_some_tasks_at_once_or_any_number(limit: int, taken: bool) -> None:
    """`maxParallelTasks` is -1 or greater than 0."""
    job = {"id": "job", "poolInfo": {"poolId": "pool"}, "maxParallelTasks": limit}
    if taken:
        assert kept(JobAdd, job)["maxParallelTasks"] == limit
    else:
        assert refused(JobAdd, job)[0] == "InvalidPropertyValue"
