"""Lifetime statistics, for the API versions before 2023-05-01.17.0, which has none of them.

They are those of a service that has measured nothing yet, as recorded from new accounts.
"""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.answers import json_answer
from batch_emulator.api.call import Call
from batch_emulator.resources.model import Wire
from batch_emulator.ticks import format_ticks

_ENDED = "2023-05"
_NO_TIME = "PT0S"


def _measured(call: Call) -> Wire:
    now = format_ticks(call.engine.now())
    return {"startTime": now, "lastUpdateTime": now}


def get_job_statistics(call: Call) -> Response:
    call.require_before(_ENDED, "LifetimeStatsAPIRetired")
    times = dict.fromkeys(("userCPUTime", "kernelCPUTime", "wallClockTime"), _NO_TIME)
    counts = dict.fromkeys(("numTaskRetries", "numSucceededTasks", "numFailedTasks"), "0")
    io: Wire = {"readIOps": "0", "writeIOps": "0", "readIOGiB": 0.0, "writeIOGiB": 0.0}
    body = {"url": call.url, **_measured(call), **times, **io, **counts, "waitTime": _NO_TIME}
    return json_answer(call, "jobstats/@Element", body)


_RESOURCE_MEASURES = (
    "avgCPUPercentage",
    "avgMemoryGiB",
    "peakMemoryGiB",
    "avgDiskGiB",
    "peakDiskGiB",
    "diskReadGiB",
    "diskWriteGiB",
    "networkReadGiB",
    "networkWriteGiB",
)


def get_pool_statistics(call: Call) -> Response:
    call.require_before(_ENDED, "LifetimeStatsAPIRetired")
    usage = _measured(call) | {"dedicatedCoreTime": _NO_TIME}
    operations = {"diskReadIOps": "0", "diskWriteIOps": "0"}
    measured = _measured(call)
    # In the recorded order, which is no other answer's.
    since = {"startTime": measured.pop("startTime")}
    resources = since | operations | measured | dict.fromkeys(_RESOURCE_MEASURES, 0.0)
    body = {"url": call.url, "usageStats": usage, "resourceStats": resources}
    return json_answer(call, "poolstats/@Element", body)


ROUTES = [
    ("GET", "/lifetimejobstats", get_job_statistics),
    ("GET", "/lifetimepoolstats", get_pool_statistics),
]
