"""Looking at the pool while waiting, so that a run whose nodes can't work fails soon and says why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import islice

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceNotFoundError

from tasks.azure.azure_errors import redacted
from tasks.azure.clients import only_told
from tasks.azure.node_logs import read_start_task_stderr
from tasks.azure.quotas import describe_holders, describe_remedy, describe_waiting, find_pools
from tasks.azure.states import read_state
from tasks.base.printable import say_count
from tasks.errors import PoolError
from tasks.logs import run_logger
from tasks.report.events import emit_pool_event
from tasks.watch.health import PoolHealth, PoolView, find_quota, judge_pool
from tasks.watch.lease_formula import Lease, call_nodes, read_formula
from tasks.watch.leases import give_back, renew_lease

POOL_SELECT = [
    "id",
    "state",
    "allocationState",
    "allocationStateTransitionTime",
    "resizeErrors",
    "currentDedicatedNodes",
    "currentLowPriorityNodes",
    "targetDedicatedNodes",
    "targetLowPriorityNodes",
    "enableAutoScale",
    "autoScaleFormula",
    "autoScaleRun",
]
# A resize takes minutes; asked more often it would only be refused.
RENEW_AGAIN_SECONDS = 60
# The service takes no change of a pool that is being resized, or was changed just now.
RENEW_LATER_SECONDS = 10
NODES_SHOWN = 3
NODE_STATES = (
    "idle",
    "running",
    "creating",
    "starting",
    "waiting_for_start_task",
    "start_task_failed",
    "rebooting",
    "reimaging",
    "upgrading_os",
    "preempted",
    "unusable",
    "unknown",
    "offline",
    "leaving_pool",
    "deallocating",
    "deallocated",
)


@dataclass
class QuotaWait:
    """What is remembered of one time that a quota left the pool without nodes."""

    began_seconds: float
    holders: str = ""
    """Who held the quota then."""

    refused_at: datetime | None = None
    """When nodes were refused though nobody else held any of the quota, as far as could be seen later."""


@dataclass
class PoolWatch:
    """What one wait remembers of its looks at the pool."""

    pool_id: str
    wanted: Lease | None
    """What the run wants of the pool; None for a pool of others, which has no lease of ours."""

    since: datetime | None
    """When the run came to the pool, by the service's clock: errors from before are not its own. None for a
    pool that the run made."""

    until: datetime
    """When the wait ends at the latest."""

    quota_seconds: float = 0.0
    """How long the pool may wait without nodes for others to give back a part of a quota."""

    job_id: str = ""
    """Whose tasks wait for it."""

    gives_back: bool = False
    """Whether its nodes are to go as they finish what they run, since no more begins."""

    told: set[str] = field(default_factory=set)
    next_renewal_at: float = 0.0
    quota_wait: QuotaWait | None = None
    """None while no quota leaves the pool without nodes."""


def _look_at_pool(client: BatchClient, pool_id: str) -> PoolView:
    """The pool now, in two small calls. Raises PoolError if it is gone."""
    try:
        pool = client.get_pool(pool_id, select=POOL_SELECT)
        counts = next(iter(client.list_pool_node_counts(filter=f"poolId eq '{pool_id}'")), None)
    except ResourceNotFoundError as error:
        raise PoolError(f"The pool {pool_id} was deleted while its tasks were waiting.") from error
    parts = [part for part in (counts.dedicated, counts.low_priority) if part] if counts else []
    return PoolView(
        is_deleting=pool.state == models.BatchPoolState.DELETING,
        is_steady=pool.allocation_state == models.AllocationState.STEADY,
        has_autoscale=bool(pool.enable_auto_scale),
        targets=(pool.target_dedicated_nodes or 0, pool.target_low_priority_nodes or 0),
        node_count=(pool.current_dedicated_nodes or 0) + (pool.current_low_priority_nodes or 0),
        resized_at=pool.allocation_state_transition_time,
        resize_errors=tuple(_describe_error(error) for error in pool.resize_errors or []),
        lost_nodes=sum(map(_count_lost, parts)),
        lease=read_formula(pool.auto_scale_formula),
        formula_error=_describe_formula_error(pool.auto_scale_run),
        formula_results=(pool.auto_scale_run.results or "") if pool.auto_scale_run else "",
        nodes=_count_states(parts),
    )


def _count_states(parts: Iterable[models.BatchNodeCounts]) -> dict[str, int]:
    """How many nodes are in which state, dedicated and Spot together; states of none are left out."""
    parts = list(parts)
    sums = {state: sum(getattr(part, state, None) or 0 for part in parts) for state in NODE_STATES}
    return {state.replace("_", " "): count for state, count in sums.items() if count}


def _describe_error(error: models.ResizeError | models.AutoScaleRunError) -> tuple[str, str]:
    values = [f"{item.name}: {item.value}" for item in error.error_values or []]
    # It is part of a sentence of ours.
    message = (error.message or "").rstrip(". ")
    return error.code or "", redacted("; ".join([message, *values]))


def _describe_formula_error(run: models.AutoScaleRun | None) -> str:
    """Why the service could not evaluate the pool's formula; "" if it could."""
    return ": ".join(_describe_error(run.error)) if run and run.error else ""


def _count_lost(counts: models.BatchNodeCounts) -> int:
    return (counts.start_task_failed or 0) + (counts.unusable or 0)


def check_pool(
    client: BatchClient, watch: PoolWatch, now_seconds: float, count_tasks: Callable[[], int] = lambda: 0
) -> tuple[PoolView, list[str]]:
    """The pool, and what there is to tell of it that wasn't told before. Raises PoolError if it is lost.

    Nodes for the tasks that wait or run are asked for, if the pool is to have fewer; these are counted only
    if it may have more.
    """
    view = _look_at_pool(client, watch.pool_id)
    verdict, reason = judge_pool(view, watch.since)
    if verdict == "over quota":
        verdict, reason = _judge_quota(client, watch, view, reason, now_seconds)
    elif view.node_count:
        watch.quota_wait = None
    news = []
    if view.lost_nodes and (verdict == "lost" or "lost nodes" not in watch.told):
        with only_told("the nodes that can't run tasks"):
            news = _report_lost_nodes(client, watch.pool_id)
    are_lost_told = bool(news)
    if verdict == "lost":
        emit_pool_event(watch.pool_id, "lost", reason)
        raise PoolError("\n".join([f"The pool {watch.pool_id} can't run the tasks: {reason}.", *news]))
    if watch.gives_back and now_seconds >= watch.next_renewal_at:
        _give_back(client, watch, now_seconds)
    tasks = count_tasks() if _may_lack(view, watch) else 0
    lacks = _count_lacking(view, watch, tasks)
    if now_seconds >= watch.next_renewal_at and (lacks or _has_to_renew(verdict, view.lease, watch)):
        asked = _renew(client, watch, now_seconds, verdict == "ask again", lacks and tasks)
        reason = reason.rstrip(".") + asked
    if reason and (said := reason.rstrip(".")) not in watch.told:
        news.insert(0, f"The pool {watch.pool_id}: {reason}{_tell_holders(client, watch, view)}")
        watch.told.add(said)
    # Told is what comes to whoever asks: what fails on the way there is told at the next look.
    if are_lost_told:
        watch.told.add("lost nodes")
    return view, news


def _judge_quota(
    client: BatchClient, watch: PoolWatch, view: PoolView, reason: str, now_seconds: float
) -> tuple[PoolHealth, str]:
    """Whether to ask again for nodes that a quota has kept from the pool.

    Once if nobody else has any: they may have been given back meanwhile, or the account has too few.
    """
    wait = watch.quota_wait = watch.quota_wait or QuotaWait(now_seconds)
    is_over = now_seconds - wait.began_seconds >= watch.quota_seconds
    if is_over or not wait.holders:
        wait.holders = _find_holders(client, watch, view)
    minutes = watch.quota_seconds / 60
    if wait.holders and is_over:
        return "lost", f"{reason}. {wait.holders} {describe_remedy('pool', minutes)}".rstrip(".")
    if wait.holders:
        return "ask again", f"{reason}. {wait.holders} {describe_waiting(minutes)}"
    wait.refused_at = wait.refused_at or view.resized_at
    is_lost = is_over or view.resized_at != wait.refused_at
    return "lost" if is_lost else "ask again", f"{reason}. No other pool has any of it"


def _tell_holders(client: BatchClient, watch: PoolWatch, view: PoolView) -> str:
    """Of a pool that has nodes, but not all, who holds the quota of the others, as a further sentence."""
    held = ""
    if view.node_count and find_quota(view):
        with only_told("who holds the quota"):
            held = _find_holders(client, watch, view)
    return f". {held}" if held else ""


def _find_holders(client: BatchClient, watch: PoolWatch, view: PoolView) -> str:
    """Which other pools hold the quota that keeps nodes from this one, in words; "" if none do."""
    holders = find_pools(client, find_quota(view) or "")
    others = [holder for holder in holders if holder.id != watch.pool_id]
    return describe_holders("pool", others) if others else ""


def _has_to_renew(verdict: PoolHealth, held: Lease | None, watch: PoolWatch) -> bool:
    """Whether the pool would give this run too few nodes, or not until its end."""
    if watch.wanted is None or held is None:
        return False
    return (
        verdict == "ask again"
        or held.ends_at < watch.until
        or held.dedicated_nodes < watch.wanted.dedicated_nodes
        or held.low_priority_nodes < watch.wanted.low_priority_nodes
    )


def _count_lacking(view: PoolView, watch: PoolWatch, tasks: int) -> int:
    """How many nodes the pool would need beyond those that it is to have, seen by its formula in minutes."""
    return max(0, watch.wanted.count_needed(tasks) - sum(view.targets)) if watch.wanted else 0


def _may_lack(view: PoolView, watch: PoolWatch) -> bool:
    """Whether the pool may have more nodes. The service takes no change of one that is being resized."""
    if watch.wanted is None or view.lease is None:
        return False
    return view.is_steady and watch.wanted.most_nodes > sum(view.targets)


def _renew(client: BatchClient, watch: PoolWatch, now_seconds: float, ask_again: bool, tasks: int) -> str:
    """Renew the pool's lease, at which the service asks for missing nodes, and for those that so many tasks
    need, at once; what to say of it."""
    if watch.wanted is None:
        return ""
    wanted = replace(watch.wanted, ends_at=max(watch.wanted.ends_at, watch.until))
    if tasks:
        wanted = call_nodes(wanted, wanted.count_needed(tasks), datetime.now(timezone.utc))
    renewal = renew_lease(client, watch.pool_id, wanted, evaluate=ask_again)
    pause_seconds = RENEW_LATER_SECONDS if renewal == "later" else RENEW_AGAIN_SECONDS
    watch.next_renewal_at = now_seconds + pause_seconds
    if tasks and renewal == "renewed":
        nodes, waiting = say_count(wanted.called_nodes, "node"), say_count(tasks, "Batch task")
        run_logger().info("The pool %s is to have %s for %s", watch.pool_id, nodes, waiting)
    return ". Asking for the nodes again" if ask_again and renewal == "renewed" else ""


def begin_no_more(watch: PoolWatch) -> None:
    """From now on the run asks for no nodes, and gives back those of a pool of its own."""
    watch.wanted, watch.gives_back, watch.next_renewal_at = None, watch.since is None, 0.0


def _give_back(client: BatchClient, watch: PoolWatch, now_seconds: float) -> None:
    """Ask for it once more, if the service takes no change just now."""
    watch.gives_back = give_back(client, watch.pool_id, watch.job_id) == "later"
    watch.next_renewal_at = now_seconds + RENEW_LATER_SECONDS


def _report_lost_nodes(client: BatchClient, pool_id: str) -> list[str]:
    """A few lines for each of the first nodes that can't run tasks: why, and the end of its stderr."""
    nodes = client.list_nodes(
        pool_id,
        filter="state eq 'starttaskfailed' or state eq 'unusable'",
        select=["id", "state", "startTaskInfo", "errors"],
        max_results=NODES_SHOWN,
    )
    return [_report_lost_node(client, pool_id, node) for node in islice(nodes, NODES_SHOWN)]


def _report_lost_node(client: BatchClient, pool_id: str, node: models.BatchNode) -> str:
    if node.state != models.BatchNodeState.START_TASK_FAILED:
        errors = "; ".join(f"{error.code}: {error.message}" for error in node.errors or [])
        return redacted(f"Node {node.id} is {read_state(node.state)}: {errors or 'no reason given'}")
    ran = node.start_task_info
    failure = ran.failure_info if ran else None
    why = f"{failure.code}: {failure.message}" if failure else ""
    printed = read_start_task_stderr(client, pool_id, node.id)
    exit_code = f"exit code {ran.exit_code}" if ran and ran.exit_code is not None else "no exit code"
    report = redacted(f"Node {node.id}: the start task failed, {exit_code}. {why}".rstrip())
    return report + (f"\nThe end of its stderr:\n{printed}" if printed else "\nIts stderr is empty.")
