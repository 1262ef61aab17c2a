"""Signs of life of a run in a terminal, as Prefect sends them.

Prefect's own come from a thread that looks once a second whether the run has ended, and is waited for: half a
second of each run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from threading import Event, Thread
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.events import RelatedResource, emit_event
from prefect.settings import get_current_settings

from tasks.prefect.observing import left_out_on_failure

HEARTBEAT = "prefect.flow-run.heartbeat"
# The settings by which Prefect sends none.
UNSENT: dict[Any, Any] = {"flows.heartbeat_frequency": None}


@contextmanager
def heartbeats_sent(flow: Flow) -> Iterator[None]:
    """Send those of the flow's run in this block, as often as Prefect is told to; their thread ends with it.

    In the block Prefect is to send none: see UNSENT.
    """
    seconds, ended = get_current_settings().flows.heartbeat_frequency, Event()
    if seconds is None:
        yield
        return

    def begin(flow: Flow, flow_run: FlowRun, state: State) -> None:
        beat = partial(copy_context().run, _beat, flow.name, flow_run, seconds, ended)
        Thread(target=beat, name="heartbeats", daemon=True).start()

    flow.on_running_hooks.append(begin)
    try:
        yield
    finally:
        ended.set()
        flow.on_running_hooks.remove(begin)


def _beat(flow_name: str, flow_run: FlowRun, seconds: float, ended: Event) -> None:
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
        "prefect.resource.name": flow_run.name or "",
    }
    flow = RelatedResource.model_validate(
        {
            "prefect.resource.id": f"prefect.flow.{flow_run.flow_id}",
            "prefect.resource.role": "flow",
            "prefect.resource.name": flow_name,
        }
    )
    while True:
        with left_out_on_failure("A heartbeat"):
            emit_event(HEARTBEAT, resource, related=[flow])
        if ended.wait(seconds):
            return
