"""Which properties each kind of resource has: what `$select` and `$expand` may name.

Source: the REST API's specification. `$select` takes properties of the resource itself, not of its parts.
"""

from __future__ import annotations

from batch_emulator.api.call import Call
from batch_emulator.api.former_names import former_name
from batch_emulator.api.odata import parse_expand, parse_select
from batch_emulator.api.paging import invalid_query

_SELECTABLE: dict[str, frozenset[str]] = {
    "pools": frozenset(
        (
            "id",
            "displayName",
            "url",
            "eTag",
            "lastModified",
            "creationTime",
            "state",
            "stateTransitionTime",
            "allocationState",
            "allocationStateTransitionTime",
            "vmSize",
            "cloudServiceConfiguration",
            "virtualMachineConfiguration",
            "resizeTimeout",
            "resizeErrors",
            "currentDedicatedNodes",
            "currentLowPriorityNodes",
            "targetDedicatedNodes",
            "targetLowPriorityNodes",
            "enableAutoScale",
            "autoScaleFormula",
            "autoScaleEvaluationInterval",
            "autoScaleRun",
            "enableInterNodeCommunication",
            "networkConfiguration",
            "startTask",
            "certificateReferences",
            "applicationPackageReferences",
            "applicationLicenses",
            "taskSlotsPerNode",
            "taskSchedulingPolicy",
            "userAccounts",
            "metadata",
            "stats",
            "mountConfiguration",
            "identity",
            "targetNodeCommunicationMode",
            "currentNodeCommunicationMode",
            "upgradePolicy",
            "resourceTags",
        )
    ),
    "jobs": frozenset(
        (
            "id",
            "displayName",
            "usesTaskDependencies",
            "url",
            "eTag",
            "lastModified",
            "creationTime",
            "state",
            "stateTransitionTime",
            "previousState",
            "previousStateTransitionTime",
            "priority",
            "allowTaskPreemption",
            "maxParallelTasks",
            "constraints",
            "jobManagerTask",
            "jobPreparationTask",
            "jobReleaseTask",
            "commonEnvironmentSettings",
            "poolInfo",
            "onAllTasksComplete",
            "onTaskFailure",
            "networkConfiguration",
            "metadata",
            "executionInfo",
            "stats",
        )
    ),
    "jobschedules": frozenset(
        (
            "id",
            "displayName",
            "url",
            "eTag",
            "lastModified",
            "creationTime",
            "state",
            "stateTransitionTime",
            "previousState",
            "previousStateTransitionTime",
            "schedule",
            "jobSpecification",
            "executionInfo",
            "metadata",
            "stats",
        )
    ),
    "certificates": frozenset(
        (
            "thumbprint",
            "thumbprintAlgorithm",
            "url",
            "state",
            "stateTransitionTime",
            "previousState",
            "previousStateTransitionTime",
            "publicData",
            "deleteCertificateError",
        )
    ),
    "tasks": frozenset(
        (
            "id",
            "displayName",
            "url",
            "eTag",
            "lastModified",
            "creationTime",
            "exitConditions",
            "state",
            "stateTransitionTime",
            "previousState",
            "previousStateTransitionTime",
            "commandLine",
            "containerSettings",
            "resourceFiles",
            "outputFiles",
            "environmentSettings",
            "affinityInfo",
            "constraints",
            "requiredSlots",
            "userIdentity",
            "executionInfo",
            "nodeInfo",
            "multiInstanceSettings",
            "stats",
            "dependsOn",
            "applicationPackageReferences",
            "authenticationTokenSettings",
        )
    ),
    "nodes": frozenset(
        (
            "id",
            "url",
            "state",
            "schedulingState",
            "stateTransitionTime",
            "lastBootTime",
            "allocationTime",
            "ipAddress",
            "affinityId",
            "vmSize",
            "totalTasksRun",
            "runningTasksCount",
            "runningTaskSlotsCount",
            "totalTasksSucceeded",
            "recentTasks",
            "startTask",
            "startTaskInfo",
            "certificateReferences",
            "errors",
            "isDedicated",
            "endpointConfiguration",
            "nodeAgentInfo",
            "virtualMachineInfo",
            "ipv6Address",
        )
    ),
    "jobpreparationandreleasetaskstatuslist": frozenset(
        (
            "poolId",
            "nodeId",
            "nodeUrl",
            "jobPreparationTaskExecutionInfo",
            "jobReleaseTaskExecutionInfo",
        )
    ),
    "subtaskinfo": frozenset(
        (
            "id",
            "nodeInfo",
            "startTime",
            "endTime",
            "exitCode",
            "containerInfo",
            "failureInfo",
            "state",
            "stateTransitionTime",
            "previousState",
            "previousStateTransitionTime",
            "result",
        )
    ),
    "extensions": frozenset(
        (
            "provisioningState",
            "vmExtension",
            "instanceView",
        )
    ),
}
"""Kind of resource -> the properties that a client may ask for."""

_EXPANDABLE = frozenset({"stats"})
_WITH_STATISTICS = frozenset({"pools", "jobs", "jobschedules", "tasks"})


#: What the service tells of a resource that has it whatever was selected, as recorded.
_TOLD_ANYWAY = {"pools": frozenset({"upgradePolicy"}), "nodes": frozenset({"virtualMachineInfo"})}


def read_select(call: Call, kind: str) -> frozenset[str] | None:
    """The request's `$select`, None where all is wanted; 400 for a property that the kind does not have."""
    wanted = parse_select(call.option("$select"))
    if wanted and kind in _SELECTABLE:
        known = frozenset(former_name(name, call.version) for name in _SELECTABLE[kind])
        _refuse_unknown(call, "$select", wanted, known)
    if kind in _WITH_STATISTICS:
        _refuse_unknown(call, "$expand", parse_expand(call.option("$expand")), _EXPANDABLE)
    return wanted and wanted | _TOLD_ANYWAY.get(kind, frozenset())


def has_statistics(call: Call, kind: str) -> bool:
    """Whether the request wants the statistics of resources that have them."""
    return kind in _WITH_STATISTICS and "stats" in parse_expand(call.option("$expand"))


def _refuse_unknown(call: Call, option: str, wanted: frozenset[str], known: frozenset[str]) -> None:
    for name in sorted(wanted - known):
        reason = f"Could not find a property named '{name}'."
        raise invalid_query(option, call.option(option) or "", reason)
