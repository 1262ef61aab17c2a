"""The lease of a pool, which the service itself enforces: the formula by which the pool sizes itself.

A pool that a run makes has as many nodes as its Batch tasks need, and none once its lease has ended. Nobody
has to be alive for that: the service evaluates the formula every five minutes. Source: documentation page
"Create a formula to automatically scale compute nodes in a Batch pool".
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from tasks.spec.specs import NodeOrder, PoolSpec

# The shortest that the service allows (REST operation Pool Add, autoScaleEvaluationInterval).
INTERVAL = timedelta(minutes=5)
# A new interval, and nothing else, begins a new schedule, whose first evaluation is at once.
OTHER_INTERVAL = timedelta(minutes=5, seconds=1)
# Of the samples of the idle time so many percent must be there before a pool gives nodes back. The last
# minute's take as long to get there, and others may be lost.
SAMPLES_PERCENT = 50
# How long the word of a run counts for tasks that no sample shows yet: samples come a minute late, and
# the formula is evaluated after five and ten minutes.
CALL = timedelta(minutes=10)
NEVER = datetime(2000, 1, 1, tzinfo=timezone.utc)
TIME = "%Y-%m-%dT%H:%M:%SZ"
NODES = """\
leased = time() < time("{ends_at}");
called = time() < time("{called_until}") ? {called_nodes} : 0;
idle = TimeInterval_Minute * {idle_minutes};
seen = $PendingTasks.GetSamplePercent(idle);
pending = seen > 0 ? max($PendingTasks.GetSample(idle)) : 0;
busy = pending > 0 ? {busy_nodes} : 0;
kept = seen < {percent} ? $TargetDedicatedNodes + $TargetLowPriorityNodes : 0;
nodes = leased ? max(called, kept, busy, ceil(pending / {tasks_per_node})) : 0;
"""
ORDERS: Mapping[NodeOrder, str] = {
    "dedicated_first": """\
dedicated = min({dedicated_nodes}, nodes);
spot = min({low_priority_nodes}, nodes - dedicated);
""",
    "spot_first": """\
spot = min({low_priority_nodes}, nodes);
dedicated = min({dedicated_nodes}, nodes - spot);
""",
    # The Spot nodes that were asked for at the last evaluation, or before, and that are not there by now.
    "spot_or_dedicated": """\
spot = min({low_priority_nodes}, nodes);
known = $PreemptedNodeCount.GetSamplePercent(TimeInterval_Minute * 3);
taken = known > 0 ? max($PreemptedNodeCount.GetSample(TimeInterval_Minute * 3)) : 0;
there = $CurrentLowPriorityNodes - taken;
dedicated = $TargetLowPriorityNodes > there ? max(0, min({dedicated_nodes}, spot - there)) : 0;
""",
}
# Nodes that go finish what they run.
TARGETS = """\
$TargetDedicatedNodes = dedicated;
$TargetLowPriorityNodes = spot;
$NodeDeallocationOption = taskcompletion;
"""
TIMES, COUNTS = (
    ("ends_at", "called_until"),
    ("called_nodes", "idle_minutes", "busy_nodes", "tasks_per_node", "dedicated_nodes", "low_priority_nodes"),
)


@dataclass(frozen=True)
class Lease:
    """How many nodes a pool may have, and how long."""

    dedicated_nodes: int
    low_priority_nodes: int
    ends_at: datetime
    """From then on it has no nodes, whatever waits for them; what runs then may end."""

    idle_minutes: int
    """Nodes that were not needed for so long are given back, all of them if there was no Batch task. It may
    take half as long, as not all samples of that time need be there, and up to five minutes more."""

    tasks_per_node: int = 1
    """How many Batch tasks a node runs at once."""

    busy_nodes: int = 0
    """So many it has for a single task already."""

    node_order: NodeOrder = "dedicated_first"
    called_nodes: int = 0
    """So many it has until the next, though no sample shows tasks for them: those are to come, or have just
    come."""

    called_until: datetime = NEVER

    @property
    def most_nodes(self) -> int:
        """How many nodes it has at the most, dedicated and Spot together."""
        if self.node_order == "spot_or_dedicated":
            return self.low_priority_nodes
        return self.dedicated_nodes + self.low_priority_nodes

    def count_needed(self, tasks: int) -> int:
        """How many nodes so many tasks keep busy, of those that the pool may have."""
        least = self.busy_nodes if tasks else 0
        return min(self.most_nodes, max(least, math.ceil(tasks / self.tasks_per_node)))


def build_lease(spec: PoolSpec, ends_at: datetime | None, required_slots: int = 1) -> Lease:
    """The lease of a pool for tasks that take so many slots each."""
    if ends_at is None:
        raise ValueError("A lease needs an end.")
    lease = Lease(
        dedicated_nodes=spec.dedicated_nodes,
        low_priority_nodes=spec.low_priority_nodes,
        ends_at=ends_at,
        idle_minutes=spec.idle_minutes,
        tasks_per_node=spec.tasks_per_node(required_slots),
        node_order=spec.node_order,
    )
    return replace(lease, busy_nodes=lease.most_nodes if spec.allow_idle_nodes else 0)


def call_nodes(lease: Lease, nodes: int, now: datetime) -> Lease:
    """The lease with nodes for tasks that the service is not known to have seen."""
    return replace(lease, called_nodes=min(nodes, lease.most_nodes), called_until=now + CALL)


def build_formula(lease: Lease) -> str:
    """The formula that keeps to the lease."""
    times = {name: _write_time(getattr(lease, name)) for name in TIMES}
    counts = {name: getattr(lease, name) for name in COUNTS}
    return _template(lease.node_order).format(percent=SAMPLES_PERCENT, **times, **counts)


def _template(order: NodeOrder) -> str:
    return NODES + ORDERS[order] + TARGETS


def _write_time(time: datetime) -> str:
    return time.astimezone(timezone.utc).strftime(TIME)


def _read_time(text: str) -> datetime:
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc)


def _as_pattern(order: NodeOrder) -> re.Pattern[str]:
    pattern = re.escape(_template(order).rstrip()).replace(r"\{percent\}", r"\d+")
    for name, values in [*((name, r'[^"]+') for name in TIMES), *((name, r"\d+") for name in COUNTS)]:
        pattern = pattern.replace(rf"\{{{name}\}}", f"(?P<{name}>{values})")
    return re.compile(pattern)


WRITTEN: Mapping[NodeOrder, re.Pattern[str]] = {order: _as_pattern(order) for order in ORDERS}


def read_formula(formula: str | None) -> Lease | None:
    """The lease that a formula keeps to; None for a formula that `build_formula` hasn't written."""
    text = (formula or "").strip()
    for order, pattern in WRITTEN.items():
        if found := pattern.fullmatch(text):
            return _read_lease(order, found)
    return None


def _read_lease(order: NodeOrder, found: re.Match[str]) -> Lease:
    return Lease(
        dedicated_nodes=int(found["dedicated_nodes"]),
        low_priority_nodes=int(found["low_priority_nodes"]),
        ends_at=_read_time(found["ends_at"]),
        idle_minutes=int(found["idle_minutes"]),
        tasks_per_node=int(found["tasks_per_node"]),
        busy_nodes=int(found["busy_nodes"]),
        node_order=order,
        called_nodes=int(found["called_nodes"]),
        called_until=_read_time(found["called_until"]),
    )


def covers(held: Lease, wanted: Lease, now: datetime) -> bool:
    """Whether a pool's lease gives already what is wanted of it."""
    return merge_leases(held, wanted, now) == held


def merge_leases(held: Lease, wanted: Lease, now: datetime) -> Lease:
    """The lease of a pool that another run, whose lease still lasts, may need too: each gets what it asked
    for, or more. Of a lease that is over nothing remains."""
    if held.ends_at <= now:
        return wanted
    calls = [one for one in (held, wanted) if one.called_until > now] or [held]
    return replace(
        wanted,
        dedicated_nodes=max(held.dedicated_nodes, wanted.dedicated_nodes),
        low_priority_nodes=max(held.low_priority_nodes, wanted.low_priority_nodes),
        ends_at=max(held.ends_at, wanted.ends_at),
        idle_minutes=max(held.idle_minutes, wanted.idle_minutes),
        tasks_per_node=min(held.tasks_per_node, wanted.tasks_per_node),
        busy_nodes=max(held.busy_nodes, wanted.busy_nodes),
        called_nodes=max(one.called_nodes for one in calls),
        called_until=max(one.called_until for one in calls),
    )
