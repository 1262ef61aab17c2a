"""What `./run prefect ... --watch` shows."""

import io
from datetime import datetime, timezone
from uuid import UUID

import pytest
from prefect.cli.flow_runs_watching import FlowRunFormatter
from prefect.client.schemas.objects import Log
from prefect.events import Event, Resource
from rich.console import Console

from deployments.quiet_prefect import WithoutEvents

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_of_a_run_that_is_watched_each_line_of_its_log_is_shown_and_no_event(is_terminal):
    """Written by Prefect itself, in colours or without, also where an event takes several lines."""
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{UUID(int=1)}",
        "prefect.resource.name": "a b " * 40,
    }
    event = Event(event="prefect.flow-run.Running", occurred=NOON, resource=Resource.model_validate(resource))
    log = Log(name="flow", level=20, message="● 3 of 3\ncompleted", timestamp=NOON, flow_run_id=UUID(int=1))
    shown = io.StringIO()
    console = Console(file=WithoutEvents(shown), force_terminal=is_terminal, width=80)
    formatter = FlowRunFormatter()
    for item in (event, log, event):
        console.print(formatter.format(item))
    assert "Running" not in shown.getvalue()
    assert "a b" not in shown.getvalue()
    assert shown.getvalue().count("\n") == 2
    assert "▪" in shown.getvalue().splitlines()[0]
    assert "completed" in shown.getvalue().splitlines()[1]
