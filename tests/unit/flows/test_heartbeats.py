"""Signs of life of a run in a terminal."""

from queue import Queue
from threading import Event, Thread
from threading import enumerate as list_threads
from typing import Any
from uuid import uuid4

import pytest
from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings, temporary_settings

from flows.command_line import server_settings
from flows.heartbeats import HEARTBEAT, _beat, heartbeats_sent
from tasks.leftovers import silent_runs

# With a server that is named, which is not asked.
EVERY_MINUTE: dict[Any, Any] = {"flows.heartbeat_frequency": 60, "api.url": "http://127.0.0.1:1/api"}
NEVER: dict[Any, Any] = {"flows.heartbeat_frequency": None}


def _name_flow() -> None:
    """A flow that is called by nobody."""


@pytest.fixture
def sent(monkeypatch) -> Queue:
    events: Queue = Queue()
    monkeypatch.setattr("flows.heartbeats.emit_event", lambda *args, **names: events.put((args, names)))
    return events


def test_a_run_in_a_terminal_sends_heartbeats_until_it_ends(sent):
    """One as it begins, of the run and its flow; Prefect sends none, and the thread ends with the run."""
    flow, flow_run = Flow(_name_flow, name="counted"), FlowRun(id=uuid4(), flow_id=uuid4(), name="first")
    with temporary_settings(EVERY_MINUTE), heartbeats_sent(flow), server_settings():
        assert get_current_settings().flows.heartbeat_frequency is None
        threads = set(list_threads())
        for hook in flow.on_running_hooks:
            hook(flow, flow_run, None)
        (event, resource), related = sent.get(timeout=10)
        beating = {one for one in set(list_threads()) - threads if one.name == "heartbeats"}
    assert len(beating) == 1
    for thread in beating:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert event == HEARTBEAT == silent_runs.HEARTBEAT
    assert resource["prefect.resource.id"] == f"prefect.flow-run.{flow_run.id}"
    assert related["related"][0].id == f"prefect.flow.{flow_run.flow_id}"
    assert sent.empty()
    assert not flow.on_running_hooks


def test_heartbeats_go_on(sent):
    """One follows the other until the run has ended; that the server has them, test_events.py sees."""
    ended, flow_run = Event(), FlowRun(id=uuid4(), flow_id=uuid4(), name="first")
    beating = Thread(target=_beat, args=("counted", flow_run, 0.01, ended))
    beating.start()
    try:
        beats = [sent.get(timeout=10)[0] for _ in range(3)]
    finally:
        ended.set()
        beating.join(timeout=10)
    assert not beating.is_alive()
    assert beats == [beats[0]] * 3


def test_who_wants_no_heartbeats_gets_none(sent):
    """Prefect's own setting decides."""
    flow = Flow(_name_flow, name="silent")
    with temporary_settings(NEVER), heartbeats_sent(flow):
        assert not flow.on_running_hooks
