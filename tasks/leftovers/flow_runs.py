"""What the Prefect API knows of flow runs, for those that clean up behind them."""

import time
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timezone
from itertools import chain
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound

from tasks.errors import InputError, PermanentError
from tasks.spec.ownership import Ownership

RunState = Literal["going on", "succeeded", "failed", "unknown"]

# The server's own limit of one answer.
PAGE = 200
POLL_SECONDS = 2.0
LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)
BUSY_STATES = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]


def wait_for_end(flow_run_id: UUID, timeout_seconds: float) -> FlowRun:
    """The flow run, which has ended, or does so in this time if it is being cancelled.

    Raises InputError if there is no such flow run, PermanentError if it goes on.
    """
    deadline = time.monotonic() + timeout_seconds
    with get_client(sync_client=True) as client:
        while not is_over(flow_run := _read_flow_run(client, flow_run_id)):
            if flow_run.state_type != StateType.CANCELLING or time.monotonic() >= deadline:
                raise PermanentError(
                    f"The flow run {flow_run.name} is {flow_run.state_name}, so what it has made is in use. "
                    f"Wait for its end, or cancel it: prefect flow-run cancel {flow_run_id}. Whether it was "
                    f"killed, the flow sweep finds out."
                )
            time.sleep(POLL_SECONDS)
    return flow_run


def _read_flow_run(client: SyncPrefectClient, flow_run_id: UUID) -> FlowRun:
    try:
        return client.read_flow_run(flow_run_id)
    except ObjectNotFound as error:
        raise InputError(f"Prefect knows no flow run {flow_run_id}.") from error


def is_over(flow_run: FlowRun) -> bool:
    return flow_run.state is not None and flow_run.state.is_final()


def read_run_key(flow_run: FlowRun) -> str:
    """The run key of a flow run: the one that it was given, else its id."""
    return (flow_run.parameters or {}).get("run_key") or str(flow_run.id)


def find_users(run_key: str) -> list[FlowRun]:
    """The flow runs with this key that go on."""
    with get_client(sync_client=True) as client:
        return [flow_run for flow_run in list_busy_flow_runs(client) if read_run_key(flow_run) == run_key]


def find_subflows_cut_short(flow_run_id: UUID) -> list[FlowRun]:
    """The subflow runs that had not ended when their parent's process did, and whose keys nobody else uses.

    Those of deployments run elsewhere, and go on.
    """
    children = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        left = [
            child
            for child in _read_pages(client, children)
            if not is_over(child) and child.deployment_id is None and child.state is not None
        ]
    return [child for child in left if {user.id for user in find_users(read_run_key(child))} <= {child.id}]


def find_run_states(
    owners: Iterable[Ownership], dead_ids: Collection[UUID] = frozenset()
) -> dict[str, RunState]:
    """How the run of each key stands that these owners name: as the last of its flow runs does.

    Unknown is a key of which a flow run isn't known here: it was deleted, or another Prefect server has it.
    Dead are flow runs that Prefect calls running by mistake.
    """
    ids_by_key = _collect_ids(owners)
    with get_client(sync_client=True) as client:
        alive = [flow_run for flow_run in list_busy_flow_runs(client) if flow_run.id not in dead_ids]
        busy = {read_run_key(flow_run) for flow_run in alive}
        known = {found.id: found for found in _list_flow_runs(client, chain(*ids_by_key.values()))}
    states: dict[str, RunState] = {}
    for key, ids in ids_by_key.items():
        found = [known[id] for id in ids if id in known]
        state = "going on" if key in busy else _find_state(found, dead_ids)
        # One that is not known here may go on.
        states[key] = state if state == "going on" or len(found) == len(ids) else "unknown"
    return states


def _collect_ids(owners: Iterable[Ownership]) -> dict[str, set[UUID]]:
    """The ids of the flow runs of each run key: the key, if it is one, and those that resources say."""
    ids: dict[str, set[UUID]] = {}
    for owned in owners:
        said = [_parse_id(owned.run_key), _parse_id(owned.flow_run_id or "")]
        ids.setdefault(owned.run_key, set()).update(id for id in said if id is not None)
    return ids


def _find_state(flow_runs: list[FlowRun], dead_ids: Collection[UUID]) -> RunState:
    if any(not is_over(flow_run) and flow_run.id not in dead_ids for flow_run in flow_runs):
        return "going on"
    last = max(flow_runs, key=lambda one: one.start_time or one.created or LONG_AGO, default=None)
    if last is None:
        return "unknown"
    return "succeeded" if last.state is not None and last.state.is_completed() else "failed"


def list_busy_flow_runs(client: SyncPrefectClient) -> Iterator[FlowRun]:
    """The flow runs that have begun and not ended; one that is only scheduled has made nothing yet."""
    begun = FlowRunFilterState(type=FlowRunFilterStateType(any_=BUSY_STATES))
    repeated = FlowRunFilterState(name=FlowRunFilterStateName(any_=["AwaitingRetry"]))
    for state in (begun, repeated):
        yield from _read_pages(client, FlowRunFilter(state=state))


def _read_pages(client: SyncPrefectClient, chosen: FlowRunFilter) -> Iterator[FlowRun]:
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=chosen, limit=PAGE, offset=offset):
        yield from page
        offset += len(page)


def _list_flow_runs(client: SyncPrefectClient, flow_run_ids: Iterable[UUID]) -> Iterator[FlowRun]:
    ids = list(flow_run_ids)
    for start in range(0, len(ids), PAGE):
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=ids[start : start + PAGE]))
        yield from client.read_flow_runs(flow_run_filter=chosen, limit=PAGE)


def _parse_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
