"""The automations of `automations.yaml` on a real server: applied by name, and what they do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import UUID

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Failed, Running, State

from deployments.automations import NOTIFY_BLOCK, apply, main, put, strip_server_fields
from deployments.errors import AutomationError
from deployments.serve import served
from flows.cleanup import cleanup
from flows.fan_out import fan_out
from tests.flows.prefect_events import tell
from tests.prefect_servers import serve_prefect
from tests.waiting import nudged, wait_until

SECONDS = 90
NUDGE_SECONDS = 20
NAMES = {"fan-out: no heartbeat", "fan-out: over budget", "fan-out: clean up"}
NOTIFY = "fan-out: notify"


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that runs automations."""
    with serve_prefect(tmp_path_factory.mktemp("prefect-server")) as api_url:
        yield api_url


@pytest.fixture(scope="module")
def prefect(prefect_server) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def deployment(prefect) -> Iterator[UUID]:
    """The deployment `cleanup/one-run-served`, of which nobody takes the runs."""
    (entry,) = [one for one in served() if one.flow_name == cleanup.name]
    deployment_id = entry.apply()
    yield deployment_id
    prefect.delete_deployment(deployment_id)


@pytest.fixture
def applied(prefect, deployment) -> Iterator[list[str]]:
    """The lines of a first `apply`; the automations go after the test."""
    yield list(apply(prefect))
    for automation in prefect.read_automations():
        prefect.delete_automation(automation.id)


def ids_of(prefect: SyncPrefectClient) -> dict[str, UUID]:
    return {automation.name: automation.id for automation in prefect.read_automations()}


def running_flow_run(prefect: SyncPrefectClient) -> FlowRun:
    return prefect.create_flow_run(fan_out, state=Running())


def hurry(prefect: SyncPrefectClient, name: str) -> None:
    """Shorten an automation's time to the least that Prefect takes, so that a test needn't wait for hours."""
    (found,) = prefect.read_automations_by_name(name)
    trigger = found.trigger.model_copy(update={"within": timedelta(seconds=10)})
    assert put(prefect, strip_server_fields(found).model_copy(update={"trigger": trigger})) == "Updated"


def state_of(prefect: SyncPrefectClient, flow_run: FlowRun) -> str:
    return prefect.read_flow_run(flow_run.id).state_name


def cleanups_of(prefect: SyncPrefectClient, deployment: UUID) -> list[dict]:
    """The parameters of the runs of the cleanup deployment."""
    chosen = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    return [flow_run.parameters for flow_run in prefect.read_flow_runs(deployment_filter=chosen)]


def test_without_a_cleanup_deployment_it_says_so(prefect):
    """Before the flows are deployed the automations can't be applied."""
    with pytest.raises(AutomationError, match="deploy the flows first"):
        list(apply(prefect))


def test_applying_again_changes_nothing(prefect, applied):
    """The second time nothing is created or updated; what needs a block that isn't there is told."""
    ids = ids_of(prefect)
    assert ids.keys() == NAMES
    assert [line.split()[0] for line in applied] == ["Created", "Created", "Created", "Skipped"]
    again = list(apply(prefect))
    assert [line.split()[0] for line in again] == ["Unchanged", "Unchanged", "Unchanged", "Skipped"]
    assert NOTIFY_BLOCK in again[-1]
    assert ids_of(prefect) == ids


def test_what_is_different_is_updated_and_what_is_off_stays_off(prefect, applied):
    """An automation that somebody changed is what the file says again, but not switched on."""
    (automation,) = prefect.read_automations_by_name("fan-out: over budget")
    meant = strip_server_fields(automation)
    changed = {"enabled": False, "description": "something else"}
    prefect.update_automation(automation.id, meant.model_copy(update=changed))
    assert [line.split()[0] for line in apply(prefect)][1] == "Updated"
    (found,) = prefect.read_automations_by_name("fan-out: over budget")
    assert found.id == automation.id
    assert strip_server_fields(found) == meant.model_copy(update={"enabled": False})


def test_of_several_with_one_name_one_is_left(prefect, applied):
    """`prefect automation create` makes a second one of the same name; applying leaves one."""
    (first,) = prefect.read_automations_by_name("fan-out: over budget")
    wanted = strip_server_fields(first)
    prefect.create_automation(wanted)
    assert put(prefect, wanted) == "Unchanged"
    assert len(prefect.read_automations_by_name(wanted.name)) == 1


def end(prefect: SyncPrefectClient, flow_run: FlowRun, state: State) -> None:
    prefect.set_flow_run_state(flow_run.id, state, force=True)


def wait_for_cleanup(prefect: SyncPrefectClient, deployment: UUID, flow_run: FlowRun, state: State) -> None:
    """Wait for a run of the cleanup deployment for that flow run, which has ended in that state."""
    wanted = {"flow_run_id": str(flow_run.id)}
    is_there = nudged(
        lambda: wanted in cleanups_of(prefect, deployment),
        lambda: end(prefect, flow_run, state),
        NUDGE_SECONDS,
    )
    wait_until(is_there, SECONDS, "cleanup", 0.5)


FILES_FAILED = "Flow run encountered an exception: FilesFailedError: 1 of 3 files failed"


@pytest.mark.parametrize("state", [Crashed(), Failed(message=FILES_FAILED)], ids=["crashed", "failed"])
def test_behind_a_run_that_ended_badly_is_cleaned_up(prefect, applied, deployment, state):
    """The cleanup deployment is run with the flow run's id."""
    flow_run = running_flow_run(prefect)
    end(prefect, flow_run, state)
    wait_for_cleanup(prefect, deployment, flow_run, state)


def test_a_run_without_a_heartbeat_is_crashed_and_cleaned_up(prefect, applied, deployment):
    """A run whose heartbeats stop counts as crashed, with all that follows; one that sends them goes on."""
    hurry(prefect, "fan-out: no heartbeat")
    silent, mute, alive = (running_flow_run(prefect) for _ in range(3))
    tell("prefect.flow-run.heartbeat", silent)

    def has_crashed() -> bool:
        tell("prefect.flow-run.heartbeat", alive)
        return {state_of(prefect, silent), state_of(prefect, mute)} == {"Crashed"}

    def nudge() -> None:
        tell("prefect.flow-run.heartbeat", silent)
        if state_of(prefect, mute) != "Crashed":
            end(prefect, mute, Running())

    crashed = nudged(has_crashed, nudge, NUDGE_SECONDS)
    wait_until(crashed, SECONDS, "crashed run", 0.5)
    wait_for_cleanup(prefect, deployment, silent, Crashed())
    assert state_of(prefect, alive) == "Running"


# Prefect looks at its triggers now and then.
@pytest.mark.soak
def test_a_run_over_its_budget_is_cancelled(prefect, applied):
    """A run that goes on for too long is cancelled, one that has ended in time is not."""
    hurry(prefect, "fan-out: over budget")
    long, short = running_flow_run(prefect), running_flow_run(prefect)
    prefect.set_flow_run_state(short.id, Completed(), force=True)
    cancelled = nudged(
        lambda: state_of(prefect, long).startswith("Cancel"),
        lambda: end(prefect, long, Running()),
        NUDGE_SECONDS,
    )
    wait_until(cancelled, SECONDS, "cancelled run", 0.5)
    assert state_of(prefect, short) == "Completed"


class Inbox(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.posted.append(self.rfile.read(length).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Inbox) as server:
        server.posted = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_failed_run_is_told_to_whoever_has_a_block_for_it(prefect, applied, inbox):
    """With a notification block of the name, of any type, its receiver hears of the run and why it failed."""
    block = CustomWebhookNotificationBlock(
        name="inbox",
        url=f"http://127.0.0.1:{inbox.server_port}/",
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
    )
    block_id = block.save(NOTIFY_BLOCK)
    try:
        assert next(line for line in apply(prefect) if NOTIFY in line).split()[0] == "Created"
        flow_run = running_flow_run(prefect)
        prefect.set_flow_run_state(flow_run.id, Failed(message="2 of 3 files failed"), force=True)
        (message,) = wait_until(lambda: inbox.posted, SECONDS, "message")
        assert f"fan-out: {flow_run.name} is Failed" in message
        assert "2 of 3 files failed" in message
        assert str(flow_run.id) in message
    finally:
        prefect.delete_block_document(block_id)


def test_a_wrong_deployment_is_told_with_the_right_ones(prefect, deployment, capsys):
    """A name that is none is told on stderr with those there are, and the command fails."""
    assert main(["apply", "--cleanup", "cleanup/nowhere"]) == 1
    assert (
        "There is no deployment cleanup/nowhere. There is cleanup/one-run-served." in capsys.readouterr().err
    )


def test_a_server_has_to_be_named(capsys):
    """Without PREFECT_API_URL nothing is applied to a server that ends with the command."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main(["apply"]) == 1
    assert "PREFECT_API_URL" in capsys.readouterr().err
