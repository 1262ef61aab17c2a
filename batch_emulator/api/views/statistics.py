"""The statistics that `$expand=stats` adds to pools, jobs, job schedules and tasks, from what the store has.

Times of the clock, waits, ends and retries are counted; processor time, memory, disk and network are not
measured here, and zero. Source: REST definitions `JobStatistics`, `TaskStatistics`, `PoolStatistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from batch_emulator.catalogue.vm_sizes import core_count
from batch_emulator.durations import format_duration_ticks
from batch_emulator.resources.model import Job, JobSchedule, Pool, Task, Wire, key
from batch_emulator.scheduler.world import World
from batch_emulator.ticks import format_ticks

NO_TIME = "PT0S"
PROCESSOR = {"userCPUTime": NO_TIME, "kernelCPUTime": NO_TIME}
TRAFFIC = {"readIOps": "0", "writeIOps": "0", "readIOGiB": 0.0, "writeIOGiB": 0.0}
RESOURCES: Wire = {
    "avgCPUPercentage": 0.0,
    "avgMemoryGiB": 0.0,
    "peakMemoryGiB": 0.0,
    "avgDiskGiB": 0.0,
    "peakDiskGiB": 0.0,
    "diskReadIOps": "0",
    "diskWriteIOps": "0",
    "diskReadGiB": 0.0,
    "diskWriteGiB": 0.0,
    "networkReadGiB": 0.0,
    "networkWriteGiB": 0.0,
}


def render_statistics(world: World, kind: str, resource: Any, url: str, now: int) -> Wire:
    """The `stats` of a resource of this kind, as they are now."""
    times = {"startTime": format_ticks(resource.created), "lastUpdateTime": format_ticks(now)}
    return {"url": url, **times, **_MEASURES[kind](world, resource, times, now)}


def _of_pool(world: World, pool: Pool, times: Wire, now: int) -> Wire:
    cores = core_count(pool.spec["vmSize"]) or 1
    nodes = [node for node in world.store.nodes(key(pool.id)) if node.dedicated]
    there = cores * sum(now - node.allocated for node in nodes) + world.usage.core_ticks(pool.id)
    usage = times | {"dedicatedCoreTime": format_duration_ticks(there)}
    return {"usageStats": usage, "resourceStats": times | RESOURCES}


def _of_task(world: World, task: Task, times: Wire, now: int) -> Wire:
    spent = {"wallClockTime": format_duration_ticks(_ran(task, now))}
    return {**PROCESSOR, **spent, **TRAFFIC, "waitTime": format_duration_ticks(_waited(task, now))}


def _of_tasks(tasks: Iterable[Task], now: int) -> Wire:
    found = list(tasks)
    spent = {"wallClockTime": format_duration_ticks(sum(_ran(task, now) for task in found))}
    counts = {
        "numSucceededTasks": str(sum(task.result == "success" for task in found)),
        "numFailedTasks": str(sum(task.result == "failure" for task in found)),
        "numTaskRetries": str(sum(task.retry_count for task in found)),
    }
    waited = {"waitTime": format_duration_ticks(sum(_waited(task, now) for task in found))}
    return {**PROCESSOR, **spent, **TRAFFIC, **counts, **waited}


def _of_job(world: World, job: Job, times: Wire, now: int) -> Wire:
    return _of_tasks(world.store.tasks(job.key).by_id.values(), now)


def _of_schedule(world: World, schedule: JobSchedule, times: Wire, now: int) -> Wire:
    """Of all jobs that it has made and that are still there."""
    jobs = world.store.jobs_of_schedule(schedule.key)
    return _of_tasks((task for job in jobs for task in world.store.tasks(job.key).by_id.values()), now)


def _ran(task: Task, now: int) -> int:
    """From the last start to the end, or until now."""
    return 0 if task.started is None else (task.ended or now) - task.started


def _waited(task: Task, now: int) -> int:
    return (task.started or task.ended or now) - task.created


_MEASURES: dict[str, Callable[[World, Any, Wire, int], Wire]] = {
    "pools": _of_pool,
    "jobs": _of_job,
    "jobschedules": _of_schedule,
    "tasks": _of_task,
}
