"""Quotas of a Batch account that are used up: who holds them, and waiting until some of it is given back.

How much an account may have only the management plane knows; what is there, and whose, the data plane does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError

from tasks.azure.azure_errors import explain
from tasks.azure.clients import only_told
from tasks.azure.error_codes import read_code
from tasks.base.deadlines import LEAST_SECONDS, current_deadline, turns
from tasks.base.printable import say_count
from tasks.errors import QuotaError
from tasks.logs import run_logger
from tasks.spec.ownership import Ownership, read_batch_ownership
from tasks.spec.vm_sizes import read_cores

Thing = TypeVar("Thing")
Kind = Literal["pool", "job"]

SHOWN = 5
POOL_SELECT = ["id", "metadata", "vmSize", "currentDedicatedNodes", "currentLowPriorityNodes"]


@dataclass(frozen=True)
class Holder:
    """A pool or job that takes a part of a quota."""

    id: str
    owned: Ownership | None
    """None for one that no run of ours made."""

    cores: int | None = None
    """Of a pool: those of its nodes; None where the name of the size doesn't say."""

    def __str__(self) -> str:
        said = [self.owned.describe()] if self.owned else []
        if self.cores:
            said.append(say_count(self.cores, "core"))
        return f"{self.id} ({', '.join(said)})" if said else self.id


def is_about_quota(code: str) -> bool:
    """Whether an error of that code is about a quota of the account: others may give back what they hold."""
    return "quota" in code.casefold()


def wait_for_quota(client: BatchClient, kind: Kind, minutes: float, create: Callable[[], Thing]) -> Thing:
    """Create a pool or a job, which may have to wait so long for others to give back a part of the quota.

    Raises QuotaError, which says who holds it, when that or the run's time is over.
    """
    limit_seconds, said = 60 * minutes, ""
    for _ in turns(limit_seconds):
        try:
            return create()
        except HttpResponseError as error:
            if not is_about_quota(read_code(error)):
                raise
            is_first, said = not said, said or _explain(client, kind, error)
        if is_first and min(limit_seconds, current_deadline().own_seconds_left) > LEAST_SECONDS:
            run_logger().warning("%s\n%s", said, describe_waiting(minutes))
    raise QuotaError(f"{said}\n{describe_remedy(kind, minutes)}")


def describe_waiting(minutes: float) -> str:
    return f"Waiting for at most {minutes:g} min until there is room (quota_minutes)."


def describe_remedy(kind: Kind, minutes: float) -> str:
    return (
        f"Delete {kind}s that nobody needs (`sweep` finds what runs have left), ask for more quota, or let "
        f"the run wait for longer than {minutes:g} min (quota_minutes)."
    )


def _explain(client: BatchClient, kind: Kind, error: HttpResponseError) -> str:
    """What the service said, and who is in the way."""
    said, holders = explain(error, "Batch", f"The account has no room for another {kind}"), []
    with only_told("who holds the quota"):
        holders = find_pools(client) if kind == "pool" else _find_jobs(client)
    return f"{said} {describe_holders(kind, holders)}"


def describe_holders(kind: Kind, holders: Iterable[Holder]) -> str:
    """Who holds a quota: those of runs of ours by name, those of others by their number."""
    holders = list(holders)
    ours = [str(holder) for holder in holders if holder.owned is not None]
    foreign = len(holders) - len(ours)
    said = []
    if ours:
        more = [f"{len(ours) - SHOWN:,} more"] if len(ours) > SHOWN else []
        said.append(f"{say_count(len(ours), kind)} of runs: {', '.join([*sorted(ours)[:SHOWN], *more])}")
    if foreign:
        said.append(f"{say_count(foreign, kind)} of others")
    return f"It is held by {'; and '.join(said)}." if said else "Nothing is known of who holds it."


def find_pools(client: BatchClient, code: str = "") -> list[Holder]:
    """The pools of the account; for a quota of cores, by the code that tells of it, those that have nodes of
    that sort."""
    pools = list(client.list_pools(select=POOL_SELECT))
    if not code:
        return [Holder(pool.id, read_batch_ownership(pool.metadata)) for pool in pools]
    counts = {pool.id: _count_nodes(pool, code) for pool in pools}
    return [
        Holder(pool.id, read_batch_ownership(pool.metadata), _count_cores(pool, counts[pool.id]))
        for pool in pools
        if counts[pool.id]
    ]


def _count_nodes(pool: models.BatchPool, code: str) -> int:
    dedicated, spot = pool.current_dedicated_nodes or 0, pool.current_low_priority_nodes or 0
    if "spot" in code.casefold() or "lowpriority" in code.casefold():
        return spot
    return dedicated if "vmseries" not in code.casefold() else dedicated + spot


def _count_cores(pool: models.BatchPool, nodes: int) -> int | None:
    cores = read_cores(pool.vm_size or "")
    return cores and nodes * cores


def _find_jobs(client: BatchClient) -> list[Holder]:
    """The jobs and job schedules that count: all that have not completed."""
    jobs = client.list_jobs(filter="state ne 'completed'", select=["id", "metadata"])
    schedules = client.list_job_schedules(filter="state ne 'completed'", select=["id", "metadata"])
    return [Holder(one.id, read_batch_ownership(one.metadata)) for one in [*jobs, *schedules]]
