"""What follows when the nodes of a run have cost as much as they may."""

from datetime import datetime

from azure.batch import BatchClient

from tasks.watch.job_watch import disable_job
from tasks.watch.pool_watch import PoolWatch, begin_no_more
from tasks.watch.spending import Spending

WHAT_NOW = "What ran was finished. Run again with the same run_key and a higher max_cost for the rest."


def end_at_limit(client: BatchClient, watch: PoolWatch, spending: Spending, now: datetime) -> bool:
    """Let no further Batch task begin, and no node be called or kept for one, if it is time for that now."""
    if spending.is_ending or not spending.is_over(now):
        return False
    disable_job(client, watch.job_id)
    begin_no_more(watch)
    spending.is_ending = True
    return True
