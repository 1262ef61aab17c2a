"""How long it has to last what Batch tasks and nodes need: the job's limit, the pool's lease, signatures.

None may run out before what uses it may need it. Batch tasks have the run's timeout from when all are added,
and nobody knows beforehand how long the uploads before that take. So while there are uploads somebody looks
every now and then, and makes last what would not (`flows/renewing.py`): what lasts at a look does for all
that begins until the next. When the job is closed it lasts for good.
"""

from datetime import datetime, timedelta

# The service ends a job this much later than the run would, so that it does so only when the run can't.
GUARD_SECONDS = 10 * 60
# From one look to the next, or half of the run's timeout if that is less.
LOOK_SECONDS = 15 * 60


def seconds_to_look(timeout_seconds: float) -> float:
    """How long after a look at what may run out the next one is due."""
    return min(LOOK_SECONDS, timeout_seconds / 2)


def needed_until(now: datetime, timeout_seconds: float) -> datetime:
    """Until when it is needed, at most, what Batch tasks use that begin before the next look, though that may
    be late."""
    return now + timedelta(seconds=2 * LOOK_SECONDS + timeout_seconds + GUARD_SECONDS)
