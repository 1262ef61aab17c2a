"""Looks at the pool, and at what it costs, while inputs are still being uploaded."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

from azure.batch import BatchClient

from tasks.azure.clients import batch_client
from tasks.base.deadlines import glance
from tasks.base.pacing import Pace
from tasks.errors import CostLimitError, FanOutError, PoolError
from tasks.logs import run_logger
from tasks.prefect.observing import left_out_on_failure
from tasks.watch.cost_limit import WHAT_NOW, end_at_limit
from tasks.watch.pool_watch import PoolWatch, check_pool
from tasks.watch.spending import Spending

# Longer the longer it takes, so that these looks are few; but what the nodes cost is to be seen in time.
LOOK_SECONDS = 5.0
LOOK_MAX_SECONDS = 300.0
LOOK_PART = 0.25


@dataclass
class UploadWatch:
    """What is looked at from time to time, so that the pool grows with the tasks that are there already, and
    nothing more is begun when the nodes have cost as much as they may."""

    watch: PoolWatch
    spending: Spending
    pace: Pace = field(
        default_factory=lambda: Pace(LOOK_SECONDS, most_seconds=LOOK_MAX_SECONDS, part=LOOK_PART)
    )
    stopped: FanOutError | None = None
    """Why no more is to be uploaded."""

    def look(self) -> FanOutError | None:
        """Look, if it is time to; what ends the uploads, if anything does. What can't be seen is left to the
        wait for the tasks."""
        if self.stopped is None and self.pace.is_due:
            with left_out_on_failure("An early look at the pool"):
                self._look(time.monotonic())
            self.pace.note()
        return self.stopped

    def _look(self, now_seconds: float) -> None:
        with glance(), batch_client(f"Looking at the pool {self.watch.pool_id}") as client:
            try:
                view, news = check_pool(client, self.watch, now_seconds, lambda: self._count_tasks(client))
            except PoolError as error:
                self.stopped = error
                return
            for line in news:
                run_logger().warning("%s", line)
            self.spending.look(client, self.watch.pool_id, view.nodes, datetime.now(timezone.utc))
            self._look_at_cost(client)

    def _count_tasks(self, client: BatchClient) -> int:
        """How many wait or run."""
        counts = client.get_job_task_counts(self.watch.job_id).task_counts
        return counts.active + counts.running

    def _look_at_cost(self, client: BatchClient) -> None:
        now = datetime.now(timezone.utc)
        if end_at_limit(client, self.watch, self.spending, now):
            spent = self.spending.sum_up(now)
            run_logger().warning("%s: no further input is uploaded, and no Batch task begins", spent)
            self.stopped = CostLimitError(
                f"The nodes have cost as much as they may (max_cost) while inputs were uploaded: {spent}. "
                f"{WHAT_NOW}"
            )
