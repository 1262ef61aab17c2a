"""What a run's nodes have cost in its earlier attempts, kept in Prefect's result storage."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from typing import Any

from tasks.azure.accounts import current_accounts
from tasks.logs import run_logger
from tasks.plans import Plan
from tasks.prefect.observing import left_out_on_failure
from tasks.reuse.output_records import find_result_store
from tasks.spec.prices import NodeHours
from tasks.spec.recipe import digest_json
from tasks.spec.spent import SizeSpent
from tasks.watch.lease_formula import NEVER
from tasks.watch.spending import Spending, Tally


def begin_spending(plan: Plan, now: datetime, is_repeated: bool) -> Spending:
    """What the run has spent when this attempt begins: nothing, or what earlier ones have noted.

    Nodes of a pool of its own count since their allocation, whoever watched; those of a named one only while
    an attempt is under way.
    """
    is_own, key = plan.spec.pool.pool_id is None, plan.names.key
    # A run whose key nobody has given, and of whose cost nobody asked, leaves no record.
    note = partial(write_tally, key) if plan.prices is not None or is_repeated else None
    spending = Spending(now, plan.prices, plan.spec.max_cost, plan.spec.pool.vm_size, note)
    tally = read_tally(key) if is_repeated else None
    if tally is not None and tally.is_open:
        spending.go_on_with(tally if is_own else tally.close())
    if is_own and is_repeated and (tally is None or tally.is_open):
        spending.since = NEVER if tally is None else tally.noted_at
    return spending


@contextmanager
def noted(spending: Spending, is_repeatable: bool) -> Iterator[None]:
    """Note at the end of the block what an attempt has spent; nothing is carried on from a run that
    completes. `is_repeatable`: whether other runs may have its key."""
    try:
        yield
    except BaseException:
        spending.note_now(datetime.now(timezone.utc))
        raise
    if is_repeatable or spending.is_noted or spending.earlier.total or spending.others:
        spending.note_end(datetime.now(timezone.utc))


def read_tally(run_key: str) -> Tally | None:
    """What the attempt before has noted; None if there is nothing, or it can't be read."""
    try:
        return _load(find_result_store().read(_storage_key(run_key)).result)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        # Prefect raises ValueError for a file that isn't there, or isn't a result; the others are of a result
        # that isn't ours.
        return None
    except Exception as error:
        run_logger().warning("What earlier attempts have cost can't be read, and is not counted: %s", error)
        return None


def write_tally(run_key: str, tally: Tally) -> None:
    """Keep it for the next attempt. A failure is logged only."""
    with left_out_on_failure("What the next attempt is to know of this one's cost"):
        find_result_store().write(_dump(tally), _storage_key(run_key))


def _dump(tally: Tally) -> dict[str, Any]:
    return {
        "noted_at": tally.noted_at.isoformat(),
        "ended_seconds": [tally.ended_seconds[True], tally.ended_seconds[False]],
        "alive": {id: [is_dedicated, at.isoformat()] for id, (is_dedicated, at) in tally.alive.items()},
        "vm_size": tally.vm_size,
        "cost": tally.cost,
        "currency": tally.currency,
        "others": [[one.vm_size, one.hours.dedicated, one.hours.spot, one.cost] for one in tally.others],
    }


def _load(kept: Mapping[str, Any]) -> Tally:
    dedicated, spot = map(float, kept["ended_seconds"])
    alive = {id: (bool(one), datetime.fromisoformat(at)) for id, (one, at) in kept["alive"].items()}
    return Tally(
        noted_at=datetime.fromisoformat(kept["noted_at"]),
        ended_seconds={True: dedicated, False: spot},
        alive=alive,
        vm_size=kept["vm_size"],
        cost=kept["cost"],
        currency=kept["currency"],
        others=tuple(
            SizeSpent(size, NodeHours(one, other), cost) for size, one, other, cost in kept["others"]
        ),
    )


def _storage_key(run_key: str) -> str:
    return f"fan-out-spent-{digest_json([current_accounts().batch_endpoint, run_key])[:32]}"
