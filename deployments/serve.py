"""The flows for those who want no worker: one process that takes their runs and executes them itself.

`python -m deployments.serve` registers the deployments of `prefect.yaml` under names of their own, like
`nightly-served`, with the same schedules and limits, and stays until Ctrl-C. The accounts are those of its
environment, or of the blocks that `--accounts` names. What somebody has set on the server since stays;
schedules go on while nobody serves, and what came due then is made up for as with a worker.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import cast

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Schedule

from deployments.files import Entry, load_flow, read_deployments
from deployments.steps import keep_changes

CONCURRENT_FLOW_RUNS = 4


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    keep_changes()
    # Each run is taken when it is due and not before: until then the last one may still end.
    serve(*served(options.accounts), limit=options.limit, pause_on_shutdown=False, prefetch_seconds=0)
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="python -m deployments.serve", description=(__doc__ or "").partition("\n")[0]
    )
    root.add_argument("--limit", type=int, default=CONCURRENT_FLOW_RUNS, help="flow runs at once")
    root.add_argument("--accounts", help="blocks of the accounts (default: the environment's accounts)")
    return root


def served(accounts: str | None = None) -> list[RunnerDeployment]:
    """The deployments, each of which runs where this process runs."""
    return [to_deployment(entry, accounts) for entry in read_deployments()]


def to_deployment(entry: Entry, accounts: str | None = None) -> RunnerDeployment:
    flow = load_flow(entry)
    limit = entry.get("concurrency_limit")
    deployment = flow.to_deployment(
        name=_served_name(entry["name"]),
        description=entry["description"],
        tags=[*entry.get("tags", []), "served"],
        parameters=_merge_parameters(entry, accounts if "accounts" in flow.parameters.properties else None),
        schedules=[_to_schedule(schedule) for schedule in entry.get("schedules", [])],
        concurrency_limit=limit and ConcurrencyLimitConfig(**limit),
    )
    # A coroutine only where a loop runs.
    return cast(RunnerDeployment, deployment)


def _served_name(name: str) -> str:
    return f"{name}-served"


def _merge_parameters(entry: Entry, accounts: str | None) -> dict[str, object]:
    return {**entry.get("parameters", {}), **({"accounts": accounts} if accounts else {})}


def _to_schedule(schedule: Entry) -> Schedule:
    return Cron(
        schedule["cron"], timezone=schedule["timezone"], active=schedule["active"], slug=schedule["slug"]
    )


if __name__ == "__main__":
    sys.exit(main())
