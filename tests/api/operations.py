"""Every operation with bodies that make sense, for tests that send them at random."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from batch_emulator.catalogue.operations import OPERATIONS
from tests.api.wire import LINUX

POOLS, JOBS, TASKS = ["pool-a", "Pool-B"], ["job-a", "Job-B"], ["task-1", "Task-2", "task-3"]
SCHEDULES = ["schedule-a"]

FORMULA = "$TargetDedicatedNodes = min(2, $PendingTasks.GetSample(1));"
OPTIONS = st.sampled_from(["requeue", "terminate", "taskcompletion"])
COUNT = st.integers(0, 2)

pools = st.fixed_dictionaries(
    {
        "id": st.sampled_from(POOLS),
        "vmSize": st.just("standard_d2s_v3"),
        "virtualMachineConfiguration": st.just(LINUX),
    },
    optional={
        "targetDedicatedNodes": COUNT,
        "targetLowPriorityNodes": COUNT,
        "taskSlotsPerNode": st.integers(1, 2),
        "startTask": st.just({"commandLine": "true", "waitForSuccess": True}),
        "metadata": st.just([{"name": "a", "value": "b"}]),
    },
)
jobs = st.fixed_dictionaries(
    {"id": st.sampled_from(JOBS), "poolInfo": st.fixed_dictionaries({"poolId": st.sampled_from(POOLS)})},
    optional={
        "priority": st.integers(-2, 2),
        "maxParallelTasks": st.sampled_from([-1, 1]),
        "usesTaskDependencies": st.just(True),
        "jobPreparationTask": st.just({"commandLine": "true"}),
        "onAllTasksComplete": st.sampled_from(["noaction", "terminatejob"]),
    },
)
tasks = st.fixed_dictionaries(
    {"id": st.sampled_from(TASKS), "commandLine": st.just("true")},
    optional={
        "environmentSettings": st.sampled_from(["0", "1"]).map(
            lambda code: [{"name": "SIMULATED_EXIT_CODE", "value": code}]
        ),
        "constraints": st.fixed_dictionaries({"maxTaskRetryCount": st.integers(0, 1)}),
        "requiredSlots": st.integers(1, 2),
        "dependsOn": st.just({"taskIds": ["task-1"]}),
    },
)
schedules = st.fixed_dictionaries(
    {
        "id": st.sampled_from(SCHEDULES),
        "schedule": st.sampled_from([{}, {"recurrenceInterval": "PT1M"}]),
        "jobSpecification": st.just({"poolInfo": {"poolId": "pool-a"}}),
    }
)

BODIES: dict[str, st.SearchStrategy[Any]] = {
    "create_pool": pools,
    "update_pool": st.just({"metadata": []}),
    "replace_pool_properties": st.just({"metadata": [], "applicationPackageReferences": []}),
    "begin_resize_pool": st.fixed_dictionaries(
        {"targetDedicatedNodes": COUNT, "nodeDeallocationOption": OPTIONS}
    ),
    "enable_pool_auto_scale": st.just({"autoScaleFormula": FORMULA}),
    "evaluate_pool_auto_scale": st.just({"autoScaleFormula": "$TargetDedicatedNodes = 1;"}),
    "begin_reboot_node": OPTIONS.map(lambda option: {"nodeRebootOption": option}),
    "begin_reimage_node": OPTIONS.map(lambda option: {"nodeReimageOption": option}),
    "begin_deallocate_node": OPTIONS.map(lambda option: {"nodeDeallocateOption": option}),
    "disable_node_scheduling": OPTIONS.map(lambda option: {"nodeDisableSchedulingOption": option}),
    "create_node_user": st.just({"name": "me", "password": "x"}),
    "replace_node_user": st.just({"password": "y"}),
    "upload_node_logs": st.just({"containerUrl": "http://127.0.0.1:9", "startTime": "2030-01-01T00:00:00Z"}),
    "create_job": jobs,
    "update_job": st.sampled_from([{"priority": 1}, {"onAllTasksComplete": "terminatejob"}]),
    "replace_job": st.just({"poolInfo": {"poolId": "pool-a"}}),
    "begin_disable_job": st.sampled_from(
        [{"disableTasks": name} for name in ("requeue", "terminate", "wait")]
    ),
    "create_task": tasks,
    "create_task_collection": st.lists(tasks, max_size=3).map(lambda found: {"value": found}),
    "replace_task": st.just({"constraints": {"maxTaskRetryCount": 1}}),
    "create_job_schedule": schedules,
    "update_job_schedule": st.just({"metadata": []}),
    "replace_job_schedule": st.just({"schedule": {}, "jobSpecification": {"poolInfo": {"poolId": "pool-a"}}}),
}
"""Operation -> bodies; the others have none."""

PLACES = {
    "pool": st.sampled_from(POOLS),
    "job": st.sampled_from([*JOBS, *(name.swapcase() for name in JOBS)]),
    "task": st.sampled_from(TASKS),
    "schedule": st.sampled_from(SCHEDULES),
    "extension": st.just("batchNodeExtension"),
    "application": st.just("none"),
    "user": st.just("me"),
    "file:path": st.sampled_from(["stdout.txt", "wd/x", "..%2Fx"]),
}

requests = st.sampled_from(sorted(OPERATIONS.items()))
"""((method, path), name of the operation)."""
