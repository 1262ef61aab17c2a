"""Whether a pool can still run the tasks that wait for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tasks.azure.quotas import is_about_quota
from tasks.base.printable import say_count
from tasks.watch.lease_formula import Lease

# Codes after which asking again may help; all others stand until somebody does something. In lower case, as
# documentation and service don't agree (AllocationTimedOut, AllocationTimedout).
PASSING_RESIZE_CODES = {
    "allocationfailed",
    "allocationtimedout",
    "removenodesfailed",
    "resizestopped",
    "unknown",
}
REMEDIES = {
    "AccountCoreQuotaReached": "ask for fewer or smaller nodes, or for more quota of dedicated cores",
    "AccountVMSeriesCoreQuotaReached": "take another vm_size, or ask for more quota of this VM series",
    "AccountLowPriorityCoreQuotaReached": "ask for fewer low_priority_nodes, or for more quota of them",
    "AccountSpotCoreQuotaReached": "ask for fewer low_priority_nodes, or for more quota of Spot cores",
    "UnsupportedVMSize": "take a vm_size that the account's region has",
}
PoolHealth = Literal["well", "ask again", "over quota", "lost"]


@dataclass(frozen=True)
class PoolView:
    """A pool at one moment, as far as it matters to the tasks waiting for it."""

    is_deleting: bool
    is_steady: bool
    has_autoscale: bool
    targets: tuple[int, int]
    """Dedicated and low-priority nodes asked for."""

    node_count: int
    resized_at: datetime | None
    resize_errors: tuple[tuple[str, str], ...] = ()
    """(code, message) of the last resize."""

    lost_nodes: int = 0
    """Nodes whose start task failed, or that are unusable."""

    lease: Lease | None = None
    """What the pool's own formula holds it to; None for a pool of others."""

    formula_error: str = ""
    """Why the service could not evaluate that formula."""

    formula_results: str = ""
    """What the formula gave when it was evaluated last."""

    nodes: Mapping[str, int] = field(default_factory=dict)
    """How many nodes are in which state, of the states that occur."""


def judge_pool(view: PoolView, since: datetime | None) -> tuple[PoolHealth, str]:
    """Whether tasks can run on a pool, or will: the verdict and its reason, "" where there is none.

    Lost is a pool of which nothing can be expected any more; over quota one that gets nodes only if others
    give theirs back. Nodes that are there count more than a resize that failed, and errors from before
    `since` count only where there is no node and nobody asks again: a formula does, at each of its
    evaluations.
    """
    if view.is_deleting:
        return "lost", "it is being deleted"
    if view.node_count and view.lost_nodes >= view.node_count and view.is_steady:
        only = "its only node can't run tasks"
        return "lost", only if view.node_count == 1 else f"none of its {view.node_count} nodes can run tasks"
    if not view.is_steady:
        return "well", ""
    is_ours = since is None or view.resized_at is None or view.resized_at >= since
    errors = view.resize_errors if is_ours or not (view.node_count or view.has_autoscale) else ()
    if view.node_count:
        # A pool that gives nodes back lacks none.
        lacks_nodes = view.node_count < sum(view.targets)
        return "well", (_describe_errors(errors) if lacks_nodes else "") or (
            f"{say_count(view.lost_nodes, 'node')} can't run tasks" if view.lost_nodes else ""
        )
    if view.has_autoscale and not sum(view.targets):
        return "well", view.formula_error
    if not sum(view.targets):
        return "lost", "it was resized to no nodes"
    if not errors:
        return "well", ""
    if _may_take_dedicated(view):
        return "ask again", f"{_describe_errors(errors)}. Dedicated nodes are to come in their place"
    return _judge_errors([code for code, _ in errors], view), _describe_errors(errors)


def _may_take_dedicated(view: PoolView) -> bool:
    """Whether the pool's formula asks for dedicated nodes once it sees that Spot nodes are not to be had."""
    return view.lease is not None and view.lease.node_order == "spot_or_dedicated" and not view.targets[0]


def _judge_errors(codes: Iterable[str], view: PoolView) -> PoolHealth:
    """What errors of a resize make of a pool without nodes. Of one with a fixed size nobody asks again."""
    left = [code for code in codes if code.casefold() not in PASSING_RESIZE_CODES]
    if not left:
        return "ask again"
    return "over quota" if view.has_autoscale and all(map(is_about_quota, left)) else "lost"


def describe_nodes(view: PoolView) -> str:
    """How many nodes a pool has in which state."""
    return ", ".join(f"{count} {state}" for state, count in view.nodes.items()) or "none"


def find_quota(view: PoolView) -> str | None:
    """The code of the quota that has kept nodes from a pool, if one has."""
    return next((code for code, _ in view.resize_errors if is_about_quota(code)), None)


def describe_resize_errors(view: PoolView) -> str:
    """Why the last resize did not bring all nodes that it was to bring."""
    return _describe_errors(view.resize_errors)


def _describe_errors(errors: Iterable[tuple[str, str]]) -> str:
    return "; ".join(
        f"{code}: {message}" + (f". What helps: {REMEDIES[code]}" if code in REMEDIES else "")
        for code, message in errors
    )
