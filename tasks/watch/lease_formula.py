"""The lease of a pool, which the service itself enforces: the formula by which the pool sizes itself.

A pool that a run makes holds its nodes until its lease ends, and only while it has Batch tasks. Nobody has to
be alive for that: the service evaluates the formula every five minutes. Source: documentation page "Create a
formula to automatically scale compute nodes in a Batch pool".
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from tasks.spec.specs import PoolSpec

# The shortest that the service allows (REST operation Pool Add, autoScaleEvaluationInterval).
INTERVAL = timedelta(minutes=5)
# Of the samples of the idle time so many percent must be there before a pool counts as idle.
SAMPLES_PERCENT = 70
TIME = "%Y-%m-%dT%H:%M:%SZ"
# At the end of a lease its tasks go back to the queue: a later run that renews it can still finish them.
FORMULA = """\
leased = time() < time("{ends_at}");
idle = TimeInterval_Minute * {idle_minutes};
seen = $PendingTasks.GetSamplePercent(idle);
pending = (seen < {percent}) ? 1 : max($PendingTasks.GetSample(idle));
held = (leased && (pending > 0)) ? 1 : 0;
$TargetDedicatedNodes = {dedicated_nodes} * held;
$TargetLowPriorityNodes = {low_priority_nodes} * held;
$NodeDeallocationOption = requeue;
"""
WRITTEN = re.compile(
    re.escape(FORMULA.rstrip())
    .replace(r"\{ends_at\}", r"(?P<ends_at>[^\"]+)")
    .replace(r"\{idle_minutes\}", r"(?P<idle_minutes>\d+)")
    .replace(r"\{percent\}", r"\d+")
    .replace(r"\{dedicated_nodes\}", r"(?P<dedicated_nodes>\d+)")
    .replace(r"\{low_priority_nodes\}", r"(?P<low_priority_nodes>\d+)")
)


@dataclass(frozen=True)
class Lease:
    """How many nodes a pool holds, and how long."""

    dedicated_nodes: int
    low_priority_nodes: int
    ends_at: datetime
    """From then on it has no nodes, whatever waits for them."""

    idle_minutes: int
    """After so long without a Batch task it has none until tasks come. It may take a third less, as not all
    samples of that time need be there, and up to five minutes more."""


def build_lease(spec: PoolSpec, ends_at: datetime | None) -> Lease:
    if ends_at is None:
        raise ValueError("A lease needs an end.")
    return Lease(spec.dedicated_nodes, spec.low_priority_nodes, ends_at, spec.idle_minutes)


def build_formula(lease: Lease) -> str:
    """The formula that keeps to the lease."""
    return FORMULA.format(
        ends_at=lease.ends_at.astimezone(timezone.utc).strftime(TIME),
        idle_minutes=lease.idle_minutes,
        percent=SAMPLES_PERCENT,
        dedicated_nodes=lease.dedicated_nodes,
        low_priority_nodes=lease.low_priority_nodes,
    )


def read_formula(formula: str | None) -> Lease | None:
    """The lease that a formula keeps to; None for a formula that `build_formula` hasn't written."""
    found = WRITTEN.fullmatch((formula or "").strip())
    if found is None:
        return None
    return Lease(
        dedicated_nodes=int(found["dedicated_nodes"]),
        low_priority_nodes=int(found["low_priority_nodes"]),
        ends_at=datetime.strptime(found["ends_at"], TIME).replace(tzinfo=timezone.utc),
        idle_minutes=int(found["idle_minutes"]),
    )


def covers(held: Lease, wanted: Lease, now: datetime) -> bool:
    """Whether a pool's lease gives already what is wanted of it."""
    return merge_leases(held, wanted, now) == held


def merge_leases(held: Lease, wanted: Lease, now: datetime) -> Lease:
    """The lease of a pool that another run, whose lease still lasts, may need too: each gets what it asked
    for, or more. Of a lease that is over nothing remains."""
    if held.ends_at <= now:
        return wanted
    return replace(
        wanted,
        dedicated_nodes=max(held.dedicated_nodes, wanted.dedicated_nodes),
        low_priority_nodes=max(held.low_priority_nodes, wanted.low_priority_nodes),
        ends_at=max(held.ends_at, wanted.ends_at),
        idle_minutes=max(held.idle_minutes, wanted.idle_minutes),
    )
