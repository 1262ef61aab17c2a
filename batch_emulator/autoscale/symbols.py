"""The names that formulas find defined: service variables, aliases, constants, fields of a timestamp."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, get_args

from batch_emulator.autoscale.values import TICKS_PER_SECOND, TimeInterval, Value

TARGET_DEDICATED_NODES = "$TargetDedicatedNodes"
TARGET_LOW_PRIORITY_NODES = "$TargetLowPriorityNodes"
NODE_DEALLOCATION_OPTION = "$NodeDeallocationOption"
TARGETS = (TARGET_DEDICATED_NODES, TARGET_LOW_PRIORITY_NODES)
READ_WRITE = (*TARGETS, NODE_DEALLOCATION_OPTION)

TARGET_ALIASES = {
    "$TargetDedicated": TARGET_DEDICATED_NODES,
    "$TargetLowPriority": TARGET_LOW_PRIORITY_NODES,
}

METRICS = (
    "$CPUPercent",
    "$WallClockSeconds",
    "$MemoryBytes",
    "$DiskBytes",
    "$DiskReadBytes",
    "$DiskWriteBytes",
    "$DiskReadOps",
    "$DiskWriteOps",
    "$NetworkInBytes",
    "$NetworkOutBytes",
    "$SampleNodeCount",
    "$ActiveTasks",
    "$RunningTasks",
    "$PendingTasks",
    "$SucceededTasks",
    "$FailedTasks",
    "$TaskSlotsPerNode",
    "$CurrentDedicatedNodes",
    "$CurrentLowPriorityNodes",
    "$UsableNodeCount",
    "$PreemptedNodeCount",
)
# The name in the examples of the REST and PowerShell references.
_METRIC_ALIASES = {"$CurrentDedicated": "$CurrentDedicatedNodes"}

DeallocationOption = Literal["requeue", "terminate", "taskcompletion", "retaineddata"]
DEALLOCATION_OPTIONS: tuple[DeallocationOption, ...] = get_args(DeallocationOption)

_SECONDS = {
    "Zero": 0,
    "Second": 1,
    "Minute": 60,
    "Hour": 3600,
    "Day": 24 * 3600,
    "Week": 7 * 24 * 3600,
    "Year": 365 * 24 * 3600,
}
_TICKS = {
    "100ns": 1,
    "Microsecond": 10,
    "Millisecond": 10_000,
    **{unit: seconds * TICKS_PER_SECOND for unit, seconds in _SECONDS.items()},
}

CONSTANTS: dict[str, Value] = {
    **{f"TimeInterval_{unit}": TimeInterval(ticks) for unit, ticks in _TICKS.items()},
    **{option: option for option in DEALLOCATION_OPTIONS},
}

TIMESTAMP_FIELDS: dict[str, Callable[[datetime], int]] = {
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "day": lambda moment: moment.day,
    "weekday": lambda moment: moment.isoweekday(),
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
}


def metric_name(name: str) -> str | None:
    """The name under which a read-only service variable is sampled, None for any other name."""
    name = _METRIC_ALIASES.get(name, name)
    return name if name in METRICS else None
