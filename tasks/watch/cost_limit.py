"""What follows when the nodes of a run have cost as much as they may."""

from datetime import datetime

from azure.batch import BatchClient

from tasks.logs import run_logger
from tasks.watch.job_watch import disable_job
from tasks.watch.pool_watch import PoolWatch, begin_no_more
from tasks.watch.spending import Spending

HALF = 0.5
WHAT_NOW = "What ran was finished. Run again with the same run_key and a higher max_cost for the rest."


def end_at_limit(client: BatchClient, watch: PoolWatch, spending: Spending, now: datetime) -> bool:
    """Let no further Batch task begin, and no node be called or kept for one, if it is time for that now."""
    if not spending.is_told_half and spending.is_over(now, HALF):
        spending.is_told_half = True
        run_logger().info("Half of what the nodes may cost is spent (max_cost): %s", spending.sum_up(now))
    if spending.is_ending or not spending.is_over(now):
        return False
    disable_job(client, watch.job_id)
    begin_no_more(watch)
    spending.is_ending = True
    return True
