"""The store, the settings, the time that it is, and what is still to be done about it.

Consequences are noted here (`finished`, `prepared`: (job key, pool key, node id), `jobs_to_check`,
`schedules_to_check`, `drained`, `allocations_to_check`, `booted`, `full_disks`, `to_place`) and drawn by
`settle`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batch_emulator.autoscale import Samples
from batch_emulator.errors import BatchError
from batch_emulator.faults.injector import Injector
from batch_emulator.node.launch import Failure, Launch
from batch_emulator.resources.model import Job, JobSchedule, Node, Pool, Resource, Task, Wire, key
from batch_emulator.resources.store import Store
from batch_emulator.scheduler.usage import Usage
from batch_emulator.settings import Settings
from batch_emulator.ticks import from_seconds


@dataclass(frozen=True, slots=True)
class Timer:
    """Call `function(world, *arguments)` once `seconds` of the service have passed."""

    seconds: float
    function: Callable[..., Any]
    arguments: tuple


@dataclass(frozen=True, slots=True)
class OpenNode:
    """Make a node's folders, unless it still has those of an earlier boot."""

    pool_id: str
    node_id: str


@dataclass(frozen=True, slots=True)
class CloseNode:
    """Stop what runs on a node and remove its folder."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Start:
    """Start a launch and call `ended(world, *arguments, outcome)` when it has ended."""

    launch: Launch
    ended: Callable[..., Any]
    arguments: tuple


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop what runs in a task directory; its end is reported as usual."""

    node_id: str
    directory: str


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Remove a task's or a job's directory from a node."""

    node_id: str
    directory: str


Action = Timer | OpenNode | CloseNode | Start | Stop | RemoveDirectory


@dataclass(slots=True)
class World:
    """What a scheduler function works on. `now` is in ticks and set by the engine before each call."""

    settings: Settings
    store: Store = field(default_factory=Store)
    now: int = 0
    account_url: str = ""
    actions: list[Action] = field(default_factory=list)
    to_place: dict[str, None] = field(default_factory=dict)
    finished: list[Task] = field(default_factory=list)
    jobs_to_check: dict[str, None] = field(default_factory=dict)
    drained: list[Node] = field(default_factory=list)
    prepared: list[tuple[str, str, str]] = field(default_factory=list)
    schedules_to_check: dict[str, None] = field(default_factory=dict)
    allocations_to_check: dict[str, None] = field(default_factory=dict)
    booted: list[Node] = field(default_factory=list)
    full_disks: list[Node] = field(default_factory=list)
    samples: dict[str, Samples] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    random: random.Random = field(default_factory=random.Random)
    faults: Injector = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Injector(self.settings.faults)

    def after(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> None:
        self.actions.append(Timer(seconds, function, arguments))

    def place_on(self, pool_key: str) -> None:
        """Something changed for this pool's queue or nodes: look for placements before the command ends."""
        self.to_place[pool_key] = None

    def stamp(self, resource: Resource) -> None:
        """Give a resource a new `lastModified`, and with it a new ETag, later than the one it had."""
        resource.modified = max(self.now, resource.modified + 1)

    def seconds_since(self, ticks: int) -> float:
        return (self.now - ticks) / from_seconds(1)

    def pool(self, pool_id: str) -> Pool:
        """The pool, or PoolNotFound."""
        if found := self.store.pools.get(key(pool_id)):
            return found
        raise BatchError("PoolNotFound")

    def live_pool(self, pool_id: str) -> Pool:
        """The pool, or PoolNotFound, or PoolBeingDeleted."""
        pool = self.pool(pool_id)
        if pool.state == "deleting":
            raise BatchError("PoolBeingDeleted")
        return pool

    def node(self, pool_id: str, node_id: str) -> Node:
        """The node, or PoolNotFound or NodeNotFound."""
        self.pool(pool_id)
        if found := self.store.find_node(key(pool_id), node_id):
            return found
        raise BatchError("NodeNotFound")

    def job(self, job_id: str) -> Job:
        """The job, or JobNotFound."""
        if found := self.store.jobs.get(key(job_id)):
            return found
        raise BatchError("JobNotFound")

    def live_job(self, job_id: str) -> Job:
        """The job, or JobNotFound, or JobBeingDeleted."""
        job = self.job(job_id)
        if job.state == "deleting":
            raise BatchError("JobBeingDeleted")
        return job

    def schedule(self, schedule_id: str) -> JobSchedule:
        """The job schedule, or JobScheduleNotFound."""
        if found := self.store.schedules.get(key(schedule_id)):
            return found
        raise BatchError("JobScheduleNotFound")

    def task(self, job_id: str, task_id: str) -> Task:
        """The Batch task, or JobNotFound or TaskNotFound."""
        self.job(job_id)
        if found := self.store.tasks(key(job_id)).by_id.get(key(task_id)):
            return found
        raise BatchError("TaskNotFound")


def failure(category: str, code: str, message: str, **details: str) -> Wire:
    """A `failureInfo` as the service writes it."""
    found: Wire = {"category": category, "code": code, "message": message}
    if details:
        found["details"] = [{"name": name, "value": value} for name, value in details.items()]
    return found


def failure_info(found: Failure | None) -> Wire | None:
    """The `failureInfo` of a failed attempt; None where there is none."""
    if found is None:
        return None
    return failure(found.category, found.code, found.message, **dict(found.details))
