"""What the service knows of each resource. Plain data; the client's own JSON stays as `spec`, normalised.

All times are ticks (`ticks`). Ids compare without case: `key()` is what everything is filed under.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from batch_emulator.resources.runs import Instance, Run
from batch_emulator.resources.transitions import (
    AllocationState,
    CertificateState,
    Interruption,
    JobState,
    NodeState,
    PoolState,
    ScheduleState,
    TaskState,
)

Wire = dict[str, Any]

Deallocation = Literal["requeue", "terminate", "taskcompletion", "retaineddata"]
"""What becomes of the tasks of a node that leaves or goes down: `nodeDeallocationOption` and its like."""

DisableTasks = Literal["requeue", "terminate", "wait"]
"""What becomes of the running tasks of a job that is disabled."""

Background = Literal["preparation", "release"]
"""Which of a job's own tasks is under way on a node, in no slot."""


def key(resource_id: str) -> str:
    """The form of an id under which it is filed: ids keep their case but compare without it."""
    return resource_id.lower()


@dataclass(slots=True)
class Pool:
    """A pool. `spec` is the body of Add Pool without the targets, which change by themselves."""

    id: str
    spec: Wire
    created: int
    modified: int
    state_since: int
    allocation_since: int
    target_dedicated: int = 0
    target_spot: int = 0
    state: PoolState = "active"
    allocation_state: AllocationState = "steady"
    node_deallocation: Deallocation = "requeue"
    resize_number: int = 0
    resize_errors: list[Wire] = field(default_factory=list)
    auto_scale_run: Wire | None = None
    auto_scale_number: int = 0
    auto_scale_enabled: int | None = None
    node_number: int = 0

    @property
    def slots_per_node(self) -> int:
        return self.spec.get("taskSlotsPerNode", 1)


@dataclass(slots=True)
class Node:
    """A compute node. `occupants` maps the task directories that hold slots to (slots, job key, task key).

    `start_task_spec` is the start task that it runs, or ran, since it booted: a new one of its pool is the
    node's after the next boot. `disk_number` counts the disks that it has had: a reimage brings a new one.
    The node agent was installed at `agent_installed`, on the disk `agent_disk_number`.
    `awaits_retention`: what is `pending` waits until the data of tasks need not be kept any more.
    `background` maps the keys of the jobs whose preparation or release task is under way here, in no slot,
    to which of the two it is. `is_resuming`: it starts after it was deallocated.
    """

    id: str
    pool_key: str
    number: int
    dedicated: bool
    slots: int
    allocated: int
    state_since: int
    state: NodeState = "creating"
    scheduling: Literal["enabled", "disabled"] = "enabled"
    booted: int | None = None
    boot_number: int = 0
    occupants: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    start_task: Run | None = None
    start_task_spec: Wire | None = None
    tasks_run: int = 0
    tasks_succeeded: int = 0
    recent_tasks: list[tuple[str, str]] = field(default_factory=list)
    errors: list[Wire] = field(default_factory=list)
    users: dict[str, Wire] = field(default_factory=dict)
    leaving: Deallocation | None = None
    pending: Interruption | None = None
    awaits_retention: bool = False
    disk_number: int = 0
    agent_installed: int | None = None
    agent_disk_number: int | None = None
    background: dict[str, Background] = field(default_factory=dict)
    is_resuming: bool = False

    @property
    def shown_scheduling(self) -> Literal["enabled", "disabled"]:
        """As the service tells it: a node that is deallocated takes no tasks, until it is up again."""
        is_down = self.is_resuming or self.state in ("deallocating", "deallocated")
        return "disabled" if is_down else self.scheduling

    @property
    def address(self) -> str:
        """An IP address at which what listens on all addresses of this machine can be reached."""
        host = self.number - 1
        return f"127.0.{host // 250}.{host % 250 + 4}"

    @property
    def slots_used(self) -> int:
        return sum([slots for slots, _, _ in self.occupants.values()])


@dataclass(slots=True)
class Job:
    """A job. `pool_key` is the pool that runs it, also when that does not exist (yet).

    `may_settle`: it has been in its transitional state for as long as it has to be at least.
    `background` maps the ids of the nodes where its preparation or release task is under way to which of the
    two it is. `unfit_nodes` maps the ids of those where its preparation task has failed to the disk then.
    """

    id: str
    spec: Wire
    created: int
    modified: int
    state_since: int
    pool_id: str
    number: int
    state: JobState = "active"
    previous_state: JobState | None = None
    previous_state_since: int | None = None
    started: int | None = None
    ended: int | None = None
    terminate_reason: str | None = None
    disable_tasks: DisableTasks | None = None
    schedule_key: str | None = None
    scheduling_error: Wire | None = None
    may_settle: bool = False
    background: dict[str, Background] = field(default_factory=dict)
    unfit_nodes: dict[str, int] = field(default_factory=dict)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key = key(self.id)

    @property
    def pool_key(self) -> str:
        return key(self.pool_id)


@dataclass(slots=True)
class Task:
    """A Batch task. `attempt` counts launches, so that an outcome of an earlier one is known as such.

    `is_manager`: the job manager task. `awaits`: the position, among all that it depends on, of what it waits
    for now. `failed_at`: `start` or `upload` where that is what failed. `ready`:
    active, and waiting for no other task. `key` is made once because a job may have a million tasks.

    `instances` are those of a multi-instance task, while it runs and after.
    """

    job_key: str
    id: str
    spec: Wire
    number: int
    created: int
    modified: int
    state_since: int
    state: TaskState = "active"
    previous_state: TaskState | None = None
    previous_state_since: int | None = None
    slots: int = 1
    attempt: int = 0
    pool_id: str | None = None
    node_id: str | None = None
    started: int | None = None
    ended: int | None = None
    exit_code: int | None = None
    failure: Wire | None = None
    result: Literal["success", "failure"] | None = None
    retry_count: int = 0
    last_retry: int | None = None
    requeue_count: int = 0
    last_requeue: int | None = None
    is_manager: bool = False
    awaits: int | None = None
    instances: list[Instance] | None = None
    failed_at: Literal["start", "upload"] | None = None
    ready: bool = False
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        filed_under = key(self.id)
        self.key = self.id if filed_under == self.id else filed_under

    @property
    def pool_key(self) -> str | None:
        return None if self.pool_id is None else key(self.pool_id)

    @property
    def is_multi_instance(self) -> bool:
        return "multiInstanceSettings" in self.spec

    @property
    def node_ids(self) -> list[str]:
        """The nodes that run it, or have run it last."""
        if self.instances is not None:
            return [each.node_id for each in self.instances]
        return [self.node_id] if self.node_id else []


@dataclass(slots=True)
class Certificate:
    """A certificate of the account, without its key. `error` says why its deletion failed."""

    thumbprint: str
    algorithm: str
    public_data: str | None
    created: int
    state_since: int
    state: CertificateState = "active"
    previous_state: CertificateState | None = None
    previous_state_since: int | None = None
    error: Wire | None = None

    @property
    def key(self) -> str:
        return certificate_key(self.algorithm, self.thumbprint)


def certificate_key(algorithm: str, thumbprint: str) -> str:
    """What it is filed under, and called in errors."""
    return f"{algorithm}-{thumbprint}".lower()


@dataclass(slots=True)
class JobSchedule:
    """A job schedule. `due` is when its next job is to be made, `last_due` when the last one was.

    `pool_id` is that of its auto pool, if it has one for all its jobs. `alarm` numbers its timers: only the
    newest counts.
    """

    id: str
    spec: Wire
    created: int
    modified: int
    state_since: int
    state: ScheduleState = "active"
    previous_state: ScheduleState | None = None
    previous_state_since: int | None = None
    due: int | None = None
    last_due: int | None = None
    job_count: int = 0
    recent_job_id: str | None = None
    ended: int | None = None
    pool_id: str | None = None
    alarm: int = 0
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key = key(self.id)


@dataclass(slots=True)
class Preparation:
    """What became of a job's preparation and release tasks on one node; outlives the node.

    `release` is None until that task has begun. `boot_number` and `disk_number` are the node's at the
    beginning of the preparation task.
    """

    job_key: str
    pool_id: str
    node_id: str
    boot_number: int
    disk_number: int
    preparation: Run
    release: Run | None = None


Resource = Pool | Job | JobSchedule | Task
"""What has an ETag."""
