"""Events as the processes of flow runs tell them."""

from __future__ import annotations

from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event

from flows.fan_out import fan_out


def tell(event: str, flow_run: FlowRun) -> None:
    """Tell an event of a flow run as its process does."""
    emit_event(
        event,
        {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": flow_run.name},
        related=[
            {
                "prefect.resource.id": f"prefect.flow.{flow_run.flow_id}",
                "prefect.resource.role": "flow",
                "prefect.resource.name": fan_out.name,
            }
        ],
    )
