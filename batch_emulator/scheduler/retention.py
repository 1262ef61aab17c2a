"""How long the directories of tasks stay on their nodes after these have ended: `retentionTime`."""

from __future__ import annotations

import functools

from batch_emulator.durations import UNLIMITED, parse_duration_ticks
from batch_emulator.resources.model import Node, Preparation, Task, Wire
from batch_emulator.scheduler.launches import task_directory
from batch_emulator.scheduler.world import RemoveDirectory, World
from batch_emulator.ticks import TICKS_PER_SECOND

_parse = functools.lru_cache(maxsize=256)(parse_duration_ticks)
_DEFAULT = "P7D"


def limit_task(world: World, task: Task) -> None:
    """A Batch task has completed: its directory goes when its retention time is over.

    There is one timer for each retention time that tasks have, not one for each task.
    """
    time = _time(task)
    if task.ended is None or task.node_id is None:
        return
    for node_id in task.node_ids:
        if world.store.find_node(task.pool_key, node_id):
            world.store.retained.keep_on(node_id, task.job_key)
    if time != UNLIMITED and world.store.retained.add(time, task, task.ended):
        _set_alarm(world, time, task.ended)


def forget_task(world: World, task: Task) -> None:
    """A task is about to be deleted, or to run again: its data is no longer waited for."""
    time, end = _time(task), task.ended
    if task.state == "completed" and end is not None and _is_waited_for(world, time, end):
        _let_go(world, task)


def _is_waited_for(world: World, time: str, end: int) -> bool:
    return time == UNLIMITED or world.store.retained.has(time, end)


def _let_go(world: World, task: Task) -> None:
    for node_id in task.node_ids:
        world.store.retained.let_go(node_id, task.job_key)


def resume(world: World, last: int) -> None:
    """After a restart: go on with the tasks whose retention time was not over at `last` (ticks)."""
    jobs = world.store.jobs
    tasks = [task for job_key in jobs for task in world.store.tasks(job_key).by_id.values()]
    ended = [(task.ended, task) for task in tasks if task.state == "completed" and task.ended is not None]
    for end, task in sorted(ended, key=lambda each: each[0]):
        if _time(task) == UNLIMITED or end + _parse(_time(task)) > last:
            limit_task(world, task)


def _set_alarm(world: World, time: str, end: int) -> None:
    number = world.store.retained.alarms[time] = world.store.next_number()
    seconds = max(0, end + _parse(time) - world.now) / TICKS_PER_SECOND
    world.after(seconds, _expire_tasks, time, number)


def _time(task: Task) -> str:
    return task.spec.get("constraints", {}).get("retentionTime", _DEFAULT)


def _expire_tasks(world: World, time: str, number: int) -> None:
    if world.store.retained.alarms.get(time) != number:
        return
    for end, job_key, task_key in world.store.retained.pop_until(time, world.now - _parse(time)):
        _remove_task_directory(world, end, job_key, task_key)
    first = world.store.retained.first_end(time)
    if first is not None:
        _set_alarm(world, time, first)


def _remove_task_directory(world: World, end: int, job_key: str, task_key: str) -> None:
    """Unless the task is gone, or has run again since that end."""
    task = world.store.find_task(job_key, task_key)
    if task is None or task.state != "completed" or task.ended != end:
        return
    _let_go(world, task)
    for node_id in task.node_ids:
        if world.store.find_node(task.pool_key, node_id):
            world.actions.append(RemoveDirectory(node_id, task_directory(world.store.jobs[job_key], task)))


def is_kept(world: World, node: Node) -> bool:
    """Whether a completed task has data on the node whose retention time is not over."""
    return world.store.retained.is_on(node.id)


def limit_directory(world: World, found: Preparation, directory: str, limits: Wire) -> None:
    """The same for a job's preparation or release task; `limits` has its `retentionTime`."""
    if limits["retentionTime"] != UNLIMITED:
        seconds = _parse(limits["retentionTime"]) / TICKS_PER_SECOND
        number = found.preparation.number
        world.after(seconds, _expire_directory, found.job_key, found.node_id, number, directory)


def _expire_directory(world: World, job_key: str, node_id: str, number: int, directory: str) -> None:
    """Remove a directory, unless the job's tasks have run there again since."""
    found = world.store.preparations(job_key).get(node_id)
    if found is not None and found.preparation.number == number:
        world.actions.append(RemoveDirectory(node_id, directory))
