"""Find what runs have left behind on the accounts, whoever should have deleted it, and delete it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated, Literal

from prefect import flow
from prefect.client.schemas.objects import FlowRun
from pydantic import Field

from tasks.azure.blocks import using_accounts
from tasks.base.printable import say_count
from tasks.errors import FanOutError, OutputsLeftError, PermanentError
from tasks.leftovers.flow_runs import find_run_states
from tasks.leftovers.orphans import Resource, Rules, Verdict, delete_resource, find_resources, judge_resource
from tasks.leftovers.silent_runs import end_silent_runs, find_silent_runs
from tasks.logs import run_logger
from tasks.prefect.observing import publish_table
from tasks.spec.specs import BlockName

ARTIFACT_KEY = "sweep"
ROWS_MAX = 500


@dataclass(frozen=True)
class Swept:
    """What a sweep did with one resource."""

    verdict: Verdict
    outcome: Literal["deleted", "would be deleted", "kept", "changed meanwhile", "failed"]
    problem: str = ""


@flow(name="sweep")
def sweep(
    dry_run: bool = False,
    grace_minutes: Annotated[int, Field(ge=0, le=30 * 24 * 60)] = 60,
    include_kept: bool = False,
    accounts: BlockName | None = None,
) -> dict[str, int]:
    """Delete pools, jobs and containers that runs of this project have left behind. Returns how many met
    which end.

    A resource says in its metadata whose it is. Left behind is what belongs to a run that Prefect knows to
    have ended, or that has expired, unless the run's policy keeps it. Resources of others are never touched.
    Runs that were killed unnoticed, and that Prefect calls running for ever, are marked as crashed.

    Args:
        dry_run: Only say what would be deleted.
        grace_minutes: How long after its expiry a resource of a run that this Prefect server doesn't know is
            left alone.
        include_kept: Also delete what a run's policy keeps, and outputs that lie nowhere else and can't be
            fetched, once they have expired.
        accounts: The name of the Prefect blocks of the Batch and the storage account. Empty: the accounts of
            the environment.
    """
    rules = Rules(datetime.now(timezone.utc), timedelta(minutes=grace_minutes), include_kept)
    with using_accounts(accounts):
        found = find_resources()
        silent = _end_silent_runs(found, rules.now, dry_run)
        swept = [_delete_if_orphan(verdict, dry_run) for verdict in _judge_resources(found, silent, rules)]
    outcomes = Counter(one.outcome for one in swept)
    _publish_swept(swept, outcomes)
    if outcomes["failed"]:
        raise PermanentError(
            f"{say_count(outcomes['failed'], 'resource')} could not be deleted: see the table {ARTIFACT_KEY}."
        )
    return dict(outcomes)


def _end_silent_runs(found: list[Resource], now: datetime, dry_run: bool) -> list[FlowRun]:
    """The flow runs that are dead, though Prefect doesn't know it before this."""
    said = {one.owned.flow_run_id for one in found} | {one.owned.run_key for one in found}
    silent = find_silent_runs(said, now)
    for flow_run in silent:
        what = "would be marked" if dry_run else "is marked"
        run_logger().info(
            "The flow run %s (%s) shows no sign of life: it %s as crashed", flow_run.name, flow_run.id, what
        )
    if not dry_run:
        end_silent_runs(silent)
    return silent


def _judge_resources(found: list[Resource], silent: list[FlowRun], rules: Rules) -> list[Verdict]:
    owners = [resource.owned for resource in found]
    states = find_run_states(owners, {flow_run.id for flow_run in silent})
    return [judge_resource(resource, states[resource.owned.run_key], rules) for resource in found]


def _delete_if_orphan(verdict: Verdict, dry_run: bool) -> Swept:
    """Delete an orphan; what could not be deleted doesn't keep the others."""
    if not verdict.is_orphan:
        return Swept(verdict, "kept")
    if dry_run:
        return Swept(verdict, "would be deleted")
    try:
        is_deleted = delete_resource(verdict.resource, verdict.is_forced)
        return Swept(verdict, "deleted" if is_deleted else "changed meanwhile")
    except OutputsLeftError as error:
        return Swept(verdict, "kept", str(error))
    except FanOutError as error:
        return Swept(verdict, "failed", str(error))


def _publish_swept(swept: list[Swept], outcomes: Counter[str]) -> None:
    """Write what was done to the log and, as a table, what was found."""
    said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    run_logger().info("Resources that runs have made: %s", said or "none")
    first = sorted(swept, key=lambda one: (one.outcome == "kept", one.verdict.resource.name))
    rows = [_build_row(one) for one in first[:ROWS_MAX]]
    publish_table(rows, key=ARTIFACT_KEY, description=f"Resources that runs have made: {said or 'none'}")


def _build_row(swept: Swept) -> dict[str, str]:
    resource = swept.verdict.resource
    expires_at = resource.owned.expires_at
    return {
        "kind": resource.kind,
        "name": resource.name,
        "run key": resource.owned.run_key,
        "expires": expires_at.isoformat() if expires_at else "",
        "outcome": swept.outcome,
        "why": swept.problem or swept.verdict.reason,
    }


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(sweep))
