"""What each API version has: which properties an answer shows and a body may hold, and how JSON is announced.

Sources: the models of the official clients 13.0 (2022-10-01.16.0), 14.2 (2024-02-01.19.0), 15.0.0b2
(2024-07-01.20.0) and 15.1 (2025-06-01), their change logs, and the media types of recorded answers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from batch_emulator.api.former_defaults import without_untold
from batch_emulator.api.former_names import in_former_names
from batch_emulator.resources.model import Wire

API_VERSIONS = frozenset(
    (
        "2014-01-01.1.0",
        "2014-10-01.1.0",
        "2015-03-01.1.1",
        "2015-06-01.2.0",
        "2015-11-01.2.1",
        "2015-12-01.2.2",
        "2016-02-01.3.0",
        "2016-07-01.3.1",
        "2017-01-01.4.0",
        "2017-05-01.5.0",
        "2017-06-01.5.1",
        "2017-09-01.6.0",
        "2018-02-01.6.1",
        "2018-03-01.6.1",
        "2018-08-01.7.0",
        "2018-12-01.8.0",
        "2019-06-01.9.0",
        "2019-08-01.10.0",
        "2020-03-01.11.0",
        "2020-09-01.12.0",
        "2021-06-01.14.0",
        "2022-01-01.15.0",
        "2022-10-01.16.0",
        "2023-05-01.17.0",
        "2023-11-01.18.0",
        "2024-02-01.19.0",
        "2024-07-01.20.0",
        "2025-06-01",
    )
)
"""All that the service has had. Source: REST documentation page "Batch service REST API versioning"."""

FIRST_WITHOUT_RETIRED = "2025-06"
"""From this version on retired images and VM sizes are refused; recorded clients of older ones got them."""

FIRST_WITHOUT_LOGIN = "2024-07"
"""From this version on pools have no ports for remote login of their own, and may use those ports."""

JSON_TYPE = "application/json; odata=minimalmetadata"
#: Until this version the service wrote no space after the semicolon.
_FIRST_WITH_SPACE = "2024-02"

_ALWAYS = "9999"
Span = tuple[str, str]
"""The first month that has a property, and the first that has it no more."""


def since(month: str) -> Span:
    return month, _ALWAYS


def until(month: str) -> Span:
    return "", month


_CONTAINER = {"containerSettings.containerHostBatchBindMounts": since("2024-07")}

_MACHINE = {
    "dataDisks.managedDisk": since("2025-06"),
    "dataDisks.storageAccountType": until("2025-06"),
    "diskEncryptionConfiguration.customerManagedKey": since("2025-06"),
    "extensions": since("2021-06"),
    "extensions.enableAutomaticUpgrade": since("2023-05"),
    "imageReference.communityGalleryImageId": since("2024-07"),
    "imageReference.sharedGalleryImageId": since("2024-07"),
    "osDisk.caching": since("2023-11"),
    "osDisk.diskSizeGB": since("2023-11"),
    "osDisk.managedDisk": since("2023-11"),
    "osDisk.managedDisk.diskEncryptionSet": since("2025-06"),
    "osDisk.managedDisk.securityProfile": since("2024-07"),
    "osDisk.writeAcceleratorEnabled": since("2023-11"),
    "securityProfile": since("2023-11"),
    "securityProfile.proxyAgentSettings": since("2025-06"),
    "serviceArtifactReference": since("2023-11"),
}

_POOL = {
    "applicationLicenses": until("2024-07"),
    "certificateReferences": until("2025-06"),
    "cloudServiceConfiguration": until("2024-07"),
    "currentNodeCommunicationMode": ("2022-10", "2025-06"),
    "networkConfiguration.enableAcceleratedNetworking": since("2023-05"),
    "networkConfiguration.publicIPAddressConfiguration.ipFamilies": since("2025-06"),
    "networkConfiguration.publicIPAddressConfiguration.ipTags": since("2025-06"),
    "resourceTags": ("2023-11", "2025-06"),
    "targetNodeCommunicationMode": ("2022-10", "2025-06"),
    "taskSchedulingPolicy.jobDefaultOrder": since("2025-06"),
    "upgradePolicy": since("2023-11"),
    **{f"startTask.{path}": span for path, span in _CONTAINER.items()},
    **{f"virtualMachineConfiguration.{path}": span for path, span in _MACHINE.items()},
}

_PATCHED_SINCE_2024_07 = (
    "displayName",
    "enableInterNodeCommunication",
    "mountConfiguration",
    "networkConfiguration",
    "taskSchedulingPolicy",
    "taskSlotsPerNode",
    "userAccounts",
    "virtualMachineConfiguration",
    "vmSize",
)

_TASK = _CONTAINER | {"requiredSlots": since("2020-09")}

_JOB = {
    "allowTaskPreemption": since("2022-01"),
    "maxParallelTasks": since("2021-06"),
    "networkConfiguration.skipWithdrawFromVNet": since("2024-07"),
    **{f"jobManagerTask.{path}": span for path, span in _TASK.items()},
    **{f"jobPreparationTask.{path}": span for path, span in _CONTAINER.items()},
    **{f"jobReleaseTask.{path}": span for path, span in _CONTAINER.items()},
    **{f"poolInfo.autoPoolSpecification.pool.{path}": span for path, span in _POOL.items()},
}

_COUNTS = {
    "deallocated": since("2024-07"),
    "deallocating": since("2024-07"),
    "upgradingOS": since("2023-11"),
}

PROPERTIES: dict[str, dict[str, Span]] = {
    "jobs": _JOB,
    "jobschedules": {f"jobSpecification.{path}": span for path, span in _JOB.items()},
    "nodes": {"certificateReferences": until("2025-06"), "virtualMachineInfo": since("2021-06")}
    | {"runningTaskSlotsCount": since("2020-09")},
    "patched jobs": _JOB | {"networkConfiguration": since("2024-07")},
    "patched pools": _POOL | dict.fromkeys(_PATCHED_SINCE_2024_07, since("2024-07")),
    "poolnodecounts": {
        f"{kind}.{state}": span for kind in ("dedicated", "lowPriority") for state, span in _COUNTS.items()
    },
    "pools": _POOL,
    "tasks": _TASK,
}
"""Kind of resource -> path of a property -> the versions that have it; what is not here all have."""


def json_type(version: str) -> str:
    """The media type of JSON in the answers of a version."""
    return JSON_TYPE if version >= _FIRST_WITH_SPACE else JSON_TYPE.replace("; ", ";")


@functools.lru_cache(maxsize=256)
def unknown_paths(kind: str, version: str) -> tuple[tuple[str, ...], ...]:
    """The properties of a kind that a version does not have."""
    spans = PROPERTIES.get(kind, {})
    return tuple(tuple(path.split(".")) for path, (first, end) in spans.items() if not first <= version < end)


def trim(kind: str, wire: Wire, version: str) -> Wire:
    """`wire` without what the version does not have; the parts that stay are shared with it."""
    for path in unknown_paths(kind, version):
        if path[0] in wire:
            wire = _without(wire, path)
    return without_untold(in_former_names(wire, version), version)


def _without(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_without(each, path) for each in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {name: part for name, part in value.items() if name != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}


def find_unknown(kind: str, body: Any, version: str) -> str | None:
    """The name of a property in a body that the version does not have."""
    for path in unknown_paths(kind, version):
        if any(value is not None for value in _values(body, path)):
            return path[-1]
    return None


def _values(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, path)
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
