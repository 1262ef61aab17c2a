"""What would run out while inputs are uploaded, made to last: see `tasks.spec.lifetimes`."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from tasks.azure.sas import is_lasting, sign_until
from tasks.base.printable import say_count
from tasks.batch_tasks import renew_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.errors import JobEndedError
from tasks.jobs import Job, extend_job
from tasks.logs import run_logger
from tasks.plans import Plan
from tasks.pools import Pool, extend_pool
from tasks.spec.bundles import Unit
from tasks.spec.lifetimes import seconds_to_look
from tasks.step import opaque


@dataclass
class Renewer:
    """Looks after job, pool and Batch tasks of an attempt until all its tasks are added."""

    plan: Plan
    task_plan: TaskPlan
    job: Job
    pool: Pool
    shared_application: str | None
    """The blob that the pool's start task brings, if any."""

    tasks_signed_until: datetime | None = None
    """When the first of the signatures ends that tasks of this attempt have; None if there are none."""

    looked_seconds: float = field(default_factory=time.monotonic)

    def note_added(self) -> None:
        """Tasks are about to be added, with signatures from now on."""
        until = sign_until(self.plan.spec.timeout_seconds)
        self.tasks_signed_until = min(self.tasks_signed_until or until, until)

    def look(self, added: Collection[Unit]) -> None:
        """If it is time, make last the job, the pool and the tasks that are added. Raises JobEndedError."""
        timeout_seconds = self.plan.spec.timeout_seconds
        if time.monotonic() - self.looked_seconds < seconds_to_look(timeout_seconds):
            return
        if not extend_job(self.job, self.plan.names, self.plan.spec):
            raise JobEndedError(f"The job {self.job.id} has ended while inputs were uploaded.")
        self._extend_pool()
        self._renew_tasks(added)
        self.looked_seconds = time.monotonic()

    def finish(self, added: Collection[Unit]) -> None:
        """See that signatures last until the job ends, which is closed next. The wait sees to the lease."""
        if self.pool.signed_until and not is_lasting(self.pool.signed_until, self.plan.spec.timeout_seconds):
            self._extend_pool()
        self._renew_tasks(added)

    def _extend_pool(self) -> None:
        plan = self.plan
        self.pool = extend_pool(self.pool, plan.names, plan.spec, self.shared_application)

    def _renew_tasks(self, added: Collection[Unit]) -> None:
        until, timeout_seconds = self.tasks_signed_until, self.plan.spec.timeout_seconds
        if until is None or is_lasting(until, timeout_seconds):
            return
        self.tasks_signed_until = None
        self.note_added()
        renewed = renew_tasks(self.job, opaque([*added]), opaque(self.task_plan))
        run_logger().info("Renewed the signatures of %s that still wait", say_count(renewed, "Batch task"))
