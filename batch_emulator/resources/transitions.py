"""Which states follow which: for each kind of resource its states, its events, and why they go that way.

A table is `TABLE[state][event] -> next state`. Every state has a row; a state that nothing leaves has an
empty one. An event with no entry is illegal: `follow` raises and nothing has changed. Sources: the states of
API 2025-06-01, recorded sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

# A Batch task
#
# A task goes straight from `active` to `running` when a node has its slots, unless the job has a
# preparation task that must run on that node first: then it holds its slots in `preparing`. Both can be
# taken back (`requeue`: the node is gone, or the job was disabled), and then the task is `active` as if it
# had never been placed. A retry stays in `running`: clients see no gap between the tries, only
# `retryCount`. A task completes from any state, because a user, a job's end or its own exit may end it;
# `finish` from `active` is a task that was ended before it ran. `completed` would be final, did the service
# not have Reactivate Task.

TaskState = Literal["active", "preparing", "running", "completed"]
TaskEvent = Literal["prepare", "start", "retry", "requeue", "finish", "reactivate"]

TASK: Mapping[TaskState, Mapping[TaskEvent, TaskState]] = {
    "active": {"prepare": "preparing", "start": "running", "finish": "completed"},
    "preparing": {"start": "running", "requeue": "active", "finish": "completed"},
    "running": {"retry": "running", "requeue": "active", "finish": "completed"},
    "completed": {"reactivate": "active"},
}

# A node
#
# A node comes up through `creating` (no machine yet) and `starting` (the machine is there, its agent is
# not). Whether it then waits for the start task is the pool's `waitForSuccess`; one whose start task failed
# stays in `starttaskfailed` until somebody reboots, reimages or removes it. `idle` and `running` say
# nothing but whether it has occupants, so `occupy` and `drain` change between the two; `offline` is a node
# whose scheduling is disabled, and it may still have occupants.
#
# What interrupts a node may come at any time when there is a machine, hence the shared row. While a machine
# is rebooting or being reimaged it can only come up, leave, be preempted or be lost: a second reboot is
# refused by the service, and what is down cannot break. `unknown` (contact lost) and `unusable` may come
# back by themselves (`boot`) or be acted upon as if up. A preempted Spot node keeps its id: `replace` gives
# it another machine, which begins at `creating`. `leavingpool` is the end: then there is no node.

NodeState = Literal[
    "creating",
    "starting",
    "waitingforstarttask",
    "starttaskfailed",
    "idle",
    "running",
    "offline",
    "rebooting",
    "reimaging",
    "deallocating",
    "deallocated",
    "unknown",
    "unusable",
    "preempted",
    "leavingpool",
]
Interruption = Literal["reboot", "reimage", "deallocate", "leave"]
"""What a user, or a resize, does to a node."""
FaultEvent = Literal["preempt", "lose", "break"]
"""What befalls a node: the events of `faults.rules.NodeFault`."""
NodeEvent = (
    Interruption
    | FaultEvent
    | Literal["boot", "wait", "ready", "fail", "occupy", "drain", "disable", "stop", "replace"]
)

_INTERRUPTED: Mapping[NodeEvent, NodeState] = {
    "reboot": "rebooting",
    "reimage": "reimaging",
    "deallocate": "deallocating",
    "leave": "leavingpool",
    "preempt": "preempted",
    "lose": "unknown",
    "break": "unusable",
}
_GOING_DOWN: Mapping[NodeEvent, NodeState] = {
    "boot": "starting",
    "leave": "leavingpool",
    "preempt": "preempted",
    "lose": "unknown",
}

NODE: Mapping[NodeState, Mapping[NodeEvent, NodeState]] = {
    "creating": {"boot": "starting", **_INTERRUPTED},
    "starting": {"wait": "waitingforstarttask", "ready": "idle", "disable": "offline", **_INTERRUPTED},
    "waitingforstarttask": {"ready": "idle", "fail": "starttaskfailed", "disable": "offline", **_INTERRUPTED},
    "starttaskfailed": _INTERRUPTED,
    "idle": {"occupy": "running", "disable": "offline", **_INTERRUPTED},
    "running": {"drain": "idle", "disable": "offline", **_INTERRUPTED},
    "offline": {"ready": "idle", "occupy": "running", **_INTERRUPTED},
    "rebooting": _GOING_DOWN,
    "reimaging": _GOING_DOWN,
    "deallocating": {"stop": "deallocated", "leave": "leavingpool"},
    "deallocated": {"boot": "starting", "leave": "leavingpool"},
    "unknown": {"boot": "starting", **_INTERRUPTED},
    "unusable": {"boot": "starting", **_INTERRUPTED},
    "preempted": {"replace": "creating", "leave": "leavingpool"},
    "leavingpool": {},
}

# A pool's allocation
#
# A resize ends by itself (`settle`: its nodes are there, or are known not to come) or by Stop Pool Resize,
# after which the service takes a moment in `stopping`. There is no way from one resize straight to the
# next: a second one is refused with PoolBeingResized. Only autoscale may change the targets of a resize
# under way, and that is no transition.

AllocationState = Literal["steady", "resizing", "stopping"]
AllocationEvent = Literal["resize", "stop", "settle"]

ALLOCATION: Mapping[AllocationState, Mapping[AllocationEvent, AllocationState]] = {
    "steady": {"resize": "resizing"},
    "resizing": {"stop": "stopping", "settle": "steady"},
    "stopping": {"settle": "steady"},
}

# A pool
#
# It is there or it goes. A pool in `deleting` waits for its nodes to leave, and cannot be had back.

PoolState = Literal["active", "deleting"]
PoolEvent = Literal["delete"]

POOL: Mapping[PoolState, Mapping[PoolEvent, PoolState]] = {"active": {"delete": "deleting"}, "deleting": {}}

# A job
#
# Operations on a job take time, because something must stop first, hence the states in -ing; the job leaves
# them by itself (`disabled`, `enabled`, `complete`) when nothing runs any more; `enabling`, where nothing has
# to stop, in the same moment, as recorded. A job that is being
# disabled may already be enabled again, or disabled in another way: as recorded, nobody waits for the end
# of the first. Termination wins over both and is final: no way leads back to `active`, so a job terminates
# once and runs its release tasks once. `fail` is a new job whose auto pool cannot be made: it has run
# nothing, and so has nothing to stop. Deletion comes from everywhere and is the end: then there is no job.

JobState = Literal["active", "disabling", "disabled", "enabling", "terminating", "completed", "deleting"]
JobEvent = Literal["disable", "disabled", "enable", "enabled", "terminate", "complete", "fail", "delete"]

_ENDED: Mapping[JobEvent, JobState] = {"terminate": "terminating", "delete": "deleting"}

JOB: Mapping[JobState, Mapping[JobEvent, JobState]] = {
    "active": {"disable": "disabling", "fail": "completed", **_ENDED},
    "disabling": {"disable": "disabling", "disabled": "disabled", "enable": "enabling", **_ENDED},
    "disabled": {"disable": "disabling", "enable": "enabling", **_ENDED},
    "enabling": {"disable": "disabling", "enabled": "active", **_ENDED},
    "terminating": {"complete": "completed", "delete": "deleting"},
    "completed": {"delete": "deleting"},
    "deleting": {},
}

# A job schedule
#
# Disabling one only keeps it from making jobs: nothing has to stop, so there is nothing between `active`
# and `disabled`. Its end and its deletion wait for its last job, in `terminating` and `deleting`.

ScheduleState = Literal["active", "disabled", "terminating", "completed", "deleting"]
ScheduleEvent = Literal["disable", "enable", "terminate", "complete", "delete"]

SCHEDULE: Mapping[ScheduleState, Mapping[ScheduleEvent, ScheduleState]] = {
    "active": {"disable": "disabled", "terminate": "terminating", "delete": "deleting"},
    "disabled": {"enable": "active", "terminate": "terminating", "delete": "deleting"},
    "terminating": {"complete": "completed", "delete": "deleting"},
    "completed": {"delete": "deleting"},
    "deleting": {},
}

#: States of jobs and job schedules that lead to another one by themselves. As recorded, none of them is ever
#: told as the previous state; that one is left does not count as a change of the job, nor does its deletion.
PASSING = frozenset({"disabling", "enabling", "terminating", "deleting"})

# A certificate
#
# Of the API versions before 2025-06-01. One that a pool still names can't be deleted: that shows later, and
# then it is tried again, or taken back. `deleting` is the end as well: then there is none.

CertificateState = Literal["active", "deleting", "deletefailed"]
CertificateEvent = Literal["delete", "fail", "cancel"]

CERTIFICATE: Mapping[CertificateState, Mapping[CertificateEvent, CertificateState]] = {
    "active": {"delete": "deleting"},
    "deleting": {"fail": "deletefailed"},
    "deletefailed": {"delete": "deleting", "cancel": "active"},
}

S = TypeVar("S", bound=str)
E = TypeVar("E", bound=str)


class IllegalTransition(Exception):
    """An event that the table does not allow in that state: always a fault of the caller."""


def follow(table: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    """The state after `event`; `IllegalTransition` where the table has none."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalTransition(f"{event!r} is not possible in state {state!r}") from None


def allows(table: Mapping[S, Mapping[E, S]], state: S, event: E) -> bool:
    """Whether `event` is legal in `state`."""
    return event in table[state]
