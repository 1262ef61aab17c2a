"""Flow runs whose process is gone though Prefect calls them running: killed where no worker would notice.

A run sends a heartbeat as it begins and every three minutes, and an event for each step. One that is killed
in its first moments has sent nothing; one that was told to send no heartbeats may be silent for as long as
its tasks take. So silence counts once there have been heartbeats, else only when the run's time is over.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from tasks.leftovers.flow_runs import is_over, list_busy_flow_runs
from tasks.spec.ownership import MARGIN
from tasks.spec.times import read_time

OUR_FLOWS = ["fan-out", "top-n-words"]
HEARTBEAT = "prefect.flow-run.heartbeat"
# Longer than the automation waits: there is no hurry, and a server that was down has heard nothing.
SILENT = timedelta(minutes=30)
# Of what only its own infrastructure could begin, or whose time nobody knows.
LONG = timedelta(days=1)


def find_silent_runs(flow_run_ids: Collection[str | None], now: datetime) -> list[FlowRun]:
    """The flow runs that have not ended but are dead, among those of our flows and those of these ids."""
    with get_client(sync_client=True) as client:
        flows = client.read_flows(flow_filter=FlowFilter(name=FlowFilterName(any_=OUR_FLOWS)))
        flow_ids = {flow.id for flow in flows}
        return [
            flow_run
            for flow_run in list_busy_flow_runs(client)
            if (flow_run.flow_id in flow_ids or str(flow_run.id) in flow_run_ids)
            and _is_dead(client, flow_run, now)
        ]


def end_silent_runs(flow_runs: Iterable[FlowRun]) -> None:
    """Let Prefect know that they have crashed."""
    state = Crashed(message="It has shown no sign of life for too long: its process is gone.")
    with get_client(sync_client=True) as client:
        for flow_run in flow_runs:
            client.set_flow_run_state(flow_run.id, state, force=True)


def _is_dead(client: SyncPrefectClient, flow_run: FlowRun, now: datetime) -> bool:
    state = flow_run.state
    if state is None or state.timestamp + SILENT > now or state.type == StateType.PAUSED:
        return False
    if _has_lost_parent(client, flow_run):
        return True
    if state.type in (StateType.PENDING, StateType.SCHEDULED):
        # What waits for a process of its own may wait for long; else its process is the one that is gone.
        waits_since = state.state_details.scheduled_time or state.timestamp
        return waits_since + (LONG if flow_run.deployment_id else SILENT) <= now
    beats = _find_events(client, flow_run.id, "resource", HEARTBEAT)
    seen = max([state.timestamp, *beats, *_find_events(client, flow_run.id, "any_resource")])
    return seen + _find_patience(flow_run, beats) <= now


def _find_patience(flow_run: FlowRun, beats: list[datetime]) -> timedelta:
    """How long it may be silent: for three heartbeats, or if there are none for the whole of its time."""
    if beats:
        return max(SILENT, 3 * (max(beats) - min(beats)))
    seconds = (flow_run.parameters or {}).get("timeout_seconds")
    return max(SILENT, timedelta(seconds=seconds) + MARGIN) if isinstance(seconds, int | float) else LONG


def _has_lost_parent(client: SyncPrefectClient, flow_run: FlowRun) -> bool:
    """Whether it was a part of a flow run that has ended; one of a deployment has a process of its own."""
    if flow_run.deployment_id is not None or flow_run.parent_task_run_id is None:
        return False
    try:
        parent_id = client.read_task_run(flow_run.parent_task_run_id).flow_run_id
        return parent_id is not None and is_over(client.read_flow_run(parent_id))
    except ObjectNotFound:
        return True


def _find_events(
    client: SyncPrefectClient, flow_run_id: UUID, role: str, name: str | None = None
) -> list[datetime]:
    """When the last two events of a flow run, or of its steps too, have occurred."""
    chosen: dict[str, Any] = {role: {"id": [f"prefect.flow-run.{flow_run_id}"]}, "order": "DESC"}
    if name is not None:
        chosen["event"] = {"name": [name]}
    found = client.request("POST", "/events/filter", json={"filter": chosen, "limit": 2}).json()
    return [read_time(event["occurred"]) for event in found["events"]]
