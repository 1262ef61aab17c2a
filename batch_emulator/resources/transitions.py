"""Which states follow which, one table a kind: `TABLE[state][event] -> next state`.

Every state has a row; a state that nothing leaves has an empty one. An event with no entry is illegal:
`follow` raises and nothing has changed. Sources: the states of API 2025-06-01, recorded sequences.
"""

from __future__ import annotations

from collections.abc import Mapping

Table = Mapping[str, Mapping[str, str]]


class IllegalTransition(Exception):
    """An event that the table does not allow in that state: always a fault of the caller."""


TASK: Table = {
    "active": {"prepare": "preparing", "start": "running", "finish": "completed"},
    "preparing": {"start": "running", "requeue": "active", "finish": "completed"},
    "running": {"retry": "running", "requeue": "active", "finish": "completed"},
    "completed": {"reactivate": "active"},
}

# A node that is `idle` or `running` changes between the two with its occupants; everything that interrupts it
# may come from either.
_INTERRUPTED = {
    "reboot": "rebooting",
    "reimage": "reimaging",
    "deallocate": "deallocating",
    "leave": "leavingpool",
    "preempt": "preempted",
    "lose": "unknown",
    "break": "unusable",
}

NODE: Table = {
    "creating": {"boot": "starting", **_INTERRUPTED},
    "starting": {"wait": "waitingforstarttask", "ready": "idle", "disable": "offline", **_INTERRUPTED},
    "waitingforstarttask": {"ready": "idle", "fail": "starttaskfailed", "disable": "offline", **_INTERRUPTED},
    "starttaskfailed": dict(_INTERRUPTED),
    "idle": {"occupy": "running", "disable": "offline", **_INTERRUPTED},
    "running": {"drain": "idle", "disable": "offline", **_INTERRUPTED},
    "offline": {"ready": "idle", "occupy": "running", **_INTERRUPTED},
    "rebooting": {"boot": "starting", "leave": "leavingpool", "preempt": "preempted", "lose": "unknown"},
    "reimaging": {"boot": "starting", "leave": "leavingpool", "preempt": "preempted", "lose": "unknown"},
    "deallocating": {"stop": "deallocated", "leave": "leavingpool"},
    "deallocated": {"boot": "starting", "leave": "leavingpool"},
    "unknown": {"boot": "starting", **_INTERRUPTED},
    "unusable": {"boot": "starting", **_INTERRUPTED},
    "preempted": {"replace": "creating", "leave": "leavingpool"},
    "leavingpool": {},
}

ALLOCATION: Table = {
    "steady": {"resize": "resizing"},
    "resizing": {"stop": "stopping", "settle": "steady"},
    "stopping": {"settle": "steady"},
}

POOL: Table = {"active": {"delete": "deleting"}, "deleting": {}}

JOB: Table = {
    "active": {
        "disable": "disabling",
        "terminate": "terminating",
        "delete": "deleting",
        "fail": "completed",
    },
    "disabling": {
        "disable": "disabling",
        "disabled": "disabled",
        "enable": "enabling",
        "terminate": "terminating",
        "delete": "deleting",
    },
    "disabled": {
        "enable": "enabling",
        "disable": "disabling",
        "terminate": "terminating",
        "delete": "deleting",
    },
    "enabling": {
        "enabled": "active",
        "disable": "disabling",
        "terminate": "terminating",
        "delete": "deleting",
    },
    "terminating": {"complete": "completed", "delete": "deleting"},
    "completed": {"delete": "deleting"},
    "deleting": {},
}

SCHEDULE: Table = {
    "active": {"disable": "disabled", "terminate": "terminating", "delete": "deleting"},
    "disabled": {"enable": "active", "terminate": "terminating", "delete": "deleting"},
    "terminating": {"complete": "completed", "delete": "deleting"},
    "completed": {"delete": "deleting"},
    "deleting": {},
}


def follow(table: Table, state: str, event: str) -> str:
    """The state after `event`; `IllegalTransition` where the table has none."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalTransition(f"{event!r} is not possible in state {state!r}") from None


def allows(table: Table, state: str, event: str) -> bool:
    """Whether `event` is legal in `state`."""
    return event in table[state]
