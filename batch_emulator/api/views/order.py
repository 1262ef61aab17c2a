"""In which order the service writes the properties of a resource, as recorded."""

from __future__ import annotations

from batch_emulator.resources.model import Wire

POOL = (
    "vmSize",
    "resizeTimeout",
    "resourceTags",
    "currentDedicatedNodes",
    "targetDedicatedNodes",
    "currentLowPriorityNodes",
    "targetLowPriorityNodes",
    "resizeErrors",
    "enableAutoScale",
    "autoScaleFormula",
    "autoScaleEvaluationInterval",
    "autoScaleRun",
    "enableInterNodeCommunication",
    "startTask",
    "userAccounts",
    "certificateReferences",
    "applicationPackageReferences",
    "metadata",
    "taskSlotsPerNode",
    "taskSchedulingPolicy",
    "cloudServiceConfiguration",
    "virtualMachineConfiguration",
    "networkConfiguration",
    "mountConfiguration",
    "applicationLicenses",
    "targetNodeCommunicationMode",
    "currentNodeCommunicationMode",
    "upgradePolicy",
)

JOB = (
    "priority",
    "maxParallelTasks",
    "usesTaskDependencies",
    "allowTaskPreemption",
    "constraints",
    "jobManagerTask",
    "jobPreparationTask",
    "jobReleaseTask",
    "commonEnvironmentSettings",
    "poolInfo",
    "networkConfiguration",
    "metadata",
    "executionInfo",
    "onAllTasksComplete",
    "onTaskFailure",
)

SCHEDULE = ("schedule", "jobSpecification", "metadata", "executionInfo")

TASK = (
    "commandLine",
    "containerSettings",
    "resourceFiles",
    "environmentSettings",
    "outputFiles",
    "affinityInfo",
    "applicationPackageReferences",
    "userIdentity",
    "multiInstanceSettings",
    "dependsOn",
    "exitConditions",
    "authenticationTokenSettings",
    "constraints",
    "requiredSlots",
    "executionInfo",
)


def arrange(properties: Wire, order: tuple[str, ...]) -> Wire:
    """`properties` in that order; what is not in it comes last."""
    arranged = {name: properties[name] for name in order if name in properties}
    if len(arranged) < len(properties):
        arranged.update({name: value for name, value in properties.items() if name not in arranged})
    return arranged
