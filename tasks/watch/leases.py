"""The leases of pools: renewed by each run that comes to a pool, or that takes longer than planned."""

from dataclasses import replace
from datetime import datetime, timezone
from typing import Literal

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError

from tasks.azure.error_codes import Code, has_code
from tasks.spec.ownership import as_batch_metadata, read_batch_ownership
from tasks.watch.lease_formula import (
    INTERVAL,
    OTHER_INTERVAL,
    Lease,
    build_formula,
    covers,
    merge_leases,
    read_formula,
)
from tasks.watch.pool_jobs import find_jobs_on

# The service changes no pool that is being resized, and none twice within 30 seconds.
LATER: tuple[Code, ...] = ("PoolBeingResized", "TooManyEnableAutoScaleRequests")
SELECT = ["id", "metadata", "enableAutoScale", "autoScaleFormula", "autoScaleEvaluationInterval"]
Renewal = Literal["lasts", "renewed", "later", "not ours"]


def renew_lease(client: BatchClient, pool_id: str, wanted: Lease, evaluate: bool = False) -> Renewal:
    """Let the pool hold the nodes of the lease at least until its end.

    A lease that does already is left alone, unless the service is to `evaluate` it at once, which asks for
    missing nodes again. "later": the service takes no change just now. "not ours": the pool has no lease.
    """
    pool = client.get_pool(pool_id, select=SELECT)
    held, owned = read_formula(pool.auto_scale_formula), read_batch_ownership(pool.metadata)
    if held is None or owned is None:
        return "not ours"
    now = datetime.now(timezone.utc)
    if covers(held, wanted, now) and not evaluate:
        return "lasts"
    lease = merge_leases(held, wanted, now)
    if not _enable_formula(client, pool, lease):
        return "later"
    # For whoever looks at the pool, and for `sweep`.
    extended = replace(owned, expires_at=lease.ends_at)
    client.update_pool(pool_id, models.BatchPoolUpdateOptions(metadata=as_batch_metadata(extended)))
    return "renewed"


def give_back(client: BatchClient, pool_id: str, job_id: str) -> Renewal:
    """Let a pool have no more nodes, as no further task of the job begins: those that run one finish it.

    "lasts": other jobs need it. Its lease is over then, and whoever comes to it gets one of its own.
    """
    if find_jobs_on(client, pool_id) - {job_id}:
        return "lasts"
    pool = client.get_pool(pool_id, select=SELECT)
    held = read_formula(pool.auto_scale_formula)
    if held is None:
        return "not ours"
    over = replace(held, ends_at=datetime.now(timezone.utc))
    return "renewed" if _enable_formula(client, pool, over) else "later"


def _enable_formula(client: BatchClient, pool: models.BatchPool, lease: Lease) -> bool:
    """Give the pool the formula of the lease, which the service evaluates at once; False if it won't now."""
    # A formula alone would wait for the next evaluation of the schedule that there is.
    interval = OTHER_INTERVAL if pool.auto_scale_evaluation_interval == INTERVAL else INTERVAL
    options = models.BatchPoolEnableAutoScaleOptions(
        auto_scale_formula=build_formula(lease), auto_scale_evaluation_interval=interval
    )
    try:
        client.enable_pool_auto_scale(pool.id, options, retry_total=0)
    except HttpResponseError as error:
        if not has_code(error, *LATER):
            raise
        return False
    return True
