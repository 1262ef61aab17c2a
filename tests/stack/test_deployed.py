"""The local stack as a user has it: started by its command line, used through its environment variables."""

import signal
import subprocess
import sys
import uuid
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from string import punctuation

import httpx
import psutil
import pytest

from deployments.local.settings import PREFECT_FILE, REPOSITORY
from tasks.azure.accounts import read_accounts
from tasks.azure.clients import get_batch_client, get_blob_service
from tasks.spec.naming import names_of_run
from tests.documentation import blocks_of
from tests.stacks import RUN_SECONDS, START_SECONDS, STOP_SECONDS, Stack, are_gone
from tests.waiting import nudged, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NUDGE_SECONDS = 40
DATA = REPOSITORY / "data"
COUNT_LINES = "import sys\nprint(len(open(sys.argv[1]).readlines()), file=open(sys.argv[2], 'w'))\n"


def expected_counts(path: Path, num_words: int) -> list[tuple[str, int]]:
    """The same count in the plainest Python, the tutorial's way: split on white space, strip punctuation."""
    words = (word.strip(punctuation) for word in path.read_text().split())
    return Counter(word for word in words if word).most_common(num_words)


def table(path: Path) -> list[tuple[str, int]]:
    rows = [line.split(":\t") for line in path.read_text().splitlines() if ":\t" in line]
    return [(word, int(count)) for word, count in rows]


def test_a_deployment_runs_through_the_worker(local_stack, tmp_path):
    """`prefect deployment run --watch` over the sample files succeeds, and the counts are right."""
    result = local_stack.run_deployment(
        "top-n-words/count-words", "--watch", inputs=str(DATA), output_dir=str(tmp_path), num_words=5
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("Finished in state Completed()") == 1
    tables = {path.name: table(path) for path in tmp_path.iterdir()}
    assert tables == {f"{path.stem}_OUTPUT.txt": expected_counts(path, 5) for path in sorted(DATA.iterdir())}


@pytest.mark.soak
def test_a_failed_run_fails_the_command(local_stack, tmp_path):
    """Over an empty folder: exit code 1, and the log says what is missing, without a traceback."""
    result = local_stack.run_deployment("top-n-words/count-words", "--watch", inputs=str(tmp_path))
    assert result.returncode == 1
    assert str(tmp_path) in result.stdout.replace("\n", "")
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.soak
@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"num_words": 0}, "'num_words'. Failure reason: 0 is less than the minimum"),
        ({"words": 3}, "'words'"),
    ],
)
def test_an_invalid_value_is_refused_before_a_run_starts(local_stack, parameters, refusal):
    """`prefect deployment run` names the parameter and ends with exit code 1; there is no flow run."""
    runs_of_it = {
        "flows": {"name": {"any_": ["top-n-words"]}},
        "deployments": {"name": {"any_": ["count-words"]}},
    }
    before = local_stack.api("POST", "/flow_runs/count", runs_of_it)
    result = local_stack.run_deployment("top-n-words/count-words", **parameters)
    assert result.returncode == 1
    assert refusal in " ".join((result.stdout + result.stderr).split())
    assert local_stack.api("POST", "/flow_runs/count", runs_of_it) == before


DEPLOY = ("--no-prompt", "deploy", "--prefect-file", str(PREFECT_FILE))
WAYS = [
    pytest.param(("--all",), id="all"),
    pytest.param(("-n", "nightly"), id="name"),
    pytest.param(("-n", "*/nightly"), id="pattern"),
]


@pytest.mark.soak
@pytest.mark.parametrize("which", WAYS)
def test_deploying_again_changes_nothing(local_stack, which):
    """What somebody has set stays: schedules, resumed or new ones, parameters, a limit, a pause."""
    before = local_stack.api("GET", "/deployments/name/top-n-words/nightly")
    path = f"/deployments/{before['id']}"
    try:
        set_by_hand(local_stack, before)
        kept = deployments_of(local_stack)
        result = local_stack.prefect(*DEPLOY, *which)
        assert result.returncode == 0, result.stdout + result.stderr
        assert deployments_of(local_stack) == kept
        assert [one["active"] for one in kept[before["id"]]["schedules"]] == [True, True]
    finally:
        local_stack.api("DELETE", path)
        assert local_stack.prefect(*DEPLOY, "--all").returncode == 0


def deployments_of(stack: Stack) -> dict[str, dict]:
    """All deployments by their ids, without what each question of the worker changes."""
    found = stack.api("POST", "/deployments/filter", {})
    return {one["id"]: {**one, "last_polled": None, "status": None} for one in found}


def set_by_hand(stack: Stack, deployment: dict) -> None:
    """Change all that the dashboard lets one change of a deployment."""
    path = f"/deployments/{deployment['id']}"
    stack.api("PATCH", f"{path}/schedules/{deployment['schedules'][0]['id']}", {"active": True})
    own = {"schedule": {"cron": "0 7 * * *", "timezone": "Europe/Berlin"}, "active": True}
    stack.api("POST", f"{path}/schedules", [own])
    parameters = {**deployment["parameters"], "num_words": 7, "output_dir": "elsewhere"}
    stack.api("PATCH", path, {"parameters": parameters, "concurrency_limit": 2, "tags": ["mine"]})
    stack.api("POST", f"{path}/pause_deployment")


@pytest.mark.soak
def test_a_change_of_the_file_is_deployed(local_stack, tmp_path):
    """What the file says otherwise than before comes, beside what somebody has set meanwhile."""
    file = tmp_path / "prefect.yaml"
    file.write_text((REPOSITORY / PREFECT_FILE).read_text().replace("name: nightly", "name: changing"))
    deploy = ("--no-prompt", "deploy", "--prefect-file", str(file), "-n", "changing")
    assert local_stack.prefect(*deploy).returncode == 0
    made = local_stack.api("GET", "/deployments/name/top-n-words/changing")
    try:
        set_by_hand(local_stack, made)
        file.write_text(
            file.read_text().replace("output/nightly", "output/changed").replace("0 2 *", "30 1 *")
        )
        assert local_stack.prefect(*deploy).returncode == 0
        after = local_stack.api("GET", "/deployments/name/top-n-words/changing")
    finally:
        local_stack.api("DELETE", f"/deployments/{made['id']}")
    assert after["parameters"] == {"output_dir": "output/changed", "num_words": 7}
    assert after["paused"]
    crons = {(one["schedule"]["cron"], one["active"]) for one in after["schedules"]}
    assert crons == {("30 1 * * *", True), ("0 7 * * *", True)}


@pytest.mark.soak
def test_a_stack_that_starts_again_leaves_a_schedule_on(tmp_path):
    """Each start of the stack deploys; what was resumed in the session before is still so."""
    location = ("--location", str(tmp_path / "location"))
    with Stack(tmp_path, *location) as stack:
        stack.wait_until_ready()
        before = stack.api("GET", "/deployments/name/top-n-words/nightly")
        set_by_hand(stack, before)
        kept = deployments_of(stack)
    with Stack(tmp_path, *location) as stack:
        stack.wait_until_ready()
        assert deployments_of(stack) == kept


@pytest.mark.soak
def test_a_night_of_one_s_own(local_stack, tmp_path):
    """The how-to page's file is deployed as it says: its schedule is on, and its run counts the lines."""
    (page,) = [one.text for one in blocks_of(REPOSITORY / "docs/howto/schedule.md") if one.language == "yaml"]
    (tmp_path / "count_lines.py").write_text(COUNT_LINES)
    page = page.replace("count_lines.py", str(tmp_path / "count_lines.py"))
    (tmp_path / "nights.yaml").write_text(
        page.replace("output_dir: lines", f"output_dir: {tmp_path / 'lines'}")
    )
    deployed = local_stack.prefect(*DEPLOY[:-1], str(tmp_path / "nights.yaml"), "--all")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    made = local_stack.api("GET", "/deployments/name/fan-out/count-lines")
    try:
        assert [(one["slug"], one["active"]) for one in made["schedules"]] == [("nightly", True)]
        result = local_stack.run_deployment("fan-out/count-lines", "--watch")
        assert result.returncode == 0, result.stdout + result.stderr
    finally:
        local_stack.api("DELETE", f"/deployments/{made['id']}")
    lines = len((DATA / "taskdata1.txt").read_text().splitlines())
    assert (tmp_path / "lines" / "taskdata1_OUTPUT.txt").read_text() == f"{lines}\n"


@pytest.mark.soak
def test_a_run_asks_for_its_place_when_it_is_due(local_stack, tmp_path):
    """Not before, when the night that has the place could still end in time."""
    deployment = local_stack.api("GET", "/deployments/name/top-n-words/nightly")
    due = datetime.now(timezone.utc) + timedelta(seconds=8)
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
    parameters = {"inputs": str(DATA), "output_dir": str(tmp_path)}
    body = {"state": state, "parameters": parameters}
    run = local_stack.api("POST", f"/deployments/{deployment['id']}/create_flow_run", body)
    wait_until(lambda: state_of(local_stack, run["id"]) == "COMPLETED", RUN_SECONDS, "end of the run", 0.5)
    states = local_stack.api("GET", f"/flow_run_states/?flow_run_id={run['id']}")
    begun = min(one["timestamp"] for one in states if one["type"] != "SCHEDULED")
    assert datetime.fromisoformat(begun.replace("Z", "+00:00")) >= due


@pytest.mark.soak
def test_a_schedule_fires(local_stack, tmp_path):
    """A schedule that is made active starts runs by itself, which the worker brings to their end."""
    deployment = local_stack.api("GET", "/deployments/name/top-n-words/nightly")
    schedule = {
        # Short, as the server passes over times that were near when it came to look.
        "schedule": {"interval": 15},
        "active": True,
        "slug": f"test-{uuid.uuid4().hex[:6]}",
        "parameters": {"inputs": str(DATA), "output_dir": str(tmp_path)},
    }
    (made,) = local_stack.api("POST", f"/deployments/{deployment['id']}/schedules", [schedule])
    try:
        wait_until(
            lambda: any(one["auto_scheduled"] for one in runs(local_stack, deployment["id"], "COMPLETED")),
            RUN_SECONDS,
            "completed scheduled run",
            0.5,
        )
    finally:
        local_stack.api("DELETE", f"/deployments/{deployment['id']}/schedules/{made['id']}")
    assert (tmp_path / "taskdata1_OUTPUT.txt").exists()


def runs(stack: Stack, deployment_id: str, state: str) -> list[dict]:
    chosen = {"deployment_id": {"any_": [deployment_id]}, "state": {"type": {"any_": [state]}}}
    return stack.api("POST", "/flow_runs/filter", {"flow_runs": chosen})


def test_the_inactive_schedule_makes_no_runs(local_stack):
    """As deployed, the cron schedule is there and switched off."""
    deployment = local_stack.api("GET", "/deployments/name/top-n-words/nightly")
    crons = [one for one in deployment["schedules"] if one["schedule"].get("cron") == "0 2 * * *"]
    assert [one["active"] for one in crons] == [False]


def test_the_dashboard_is_served(local_stack):
    """The UI's page comes from the address that was printed."""
    address = local_stack.variables["PREFECT_API_URL"].removesuffix("/api")
    assert address in local_stack.log.read_text()
    page = httpx.get(address, follow_redirects=True, trust_env=False, headers={"Accept": "text/html"})
    assert "<title>Prefect" in page.text


@pytest.mark.soak
def test_a_demo_uses_the_open_stack(local_stack, tmp_path):
    """`demo` starts nothing when a stack is open, runs the deployment there and shows the tables."""
    argv = [sys.executable, "-m", "deployments.local", "demo", "--env-file", str(local_stack.env_file)]
    argv += ["--inputs", str(DATA), "--output", str(tmp_path / "out"), "--num-words", "2"]
    result = subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, timeout=RUN_SECONDS)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Starting" not in result.stdout
    assert "taskdata3_OUTPUT.txt\nWord" in result.stdout
    assert "Files: 3, 3 succeeded" in result.stdout


def test_the_dashboard_has_the_accounts_and_the_automations(local_stack):
    """The stack's own accounts are blocks named `local`, without their keys; the automations are on."""
    documents = local_stack.api("POST", "/block_documents/filter", {})
    named = {one["block_type"]["slug"] for one in documents if one["name"] == "local"}
    assert named == {"azure-batch-account", "azure-storage-account"}
    assert local_stack.variables["AZURE_BATCH_ACCESS_KEY"] not in str(documents)
    automations = local_stack.api("POST", "/automations/filter", {})
    assert {one["name"] for one in automations if one["enabled"]} == {
        "fan-out: no heartbeat",
        "fan-out: over budget",
        "fan-out: clean up",
    }


def start_long_run(stack: Stack, key: str, delay_seconds: int, output_dir: Path) -> dict:
    """A flow run of the worker's whose Batch tasks run."""
    result = stack.run_deployment(
        "top-n-words/count-words",
        inputs=str(DATA),
        output_dir=str(output_dir),
        delay_seconds=delay_seconds,
        run_key=key,
        accounts="local",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: stack.processes(f"--delay {delay_seconds}"), RUN_SECONDS, "running Batch task", 0.5)
    (flow_run,) = [one for one in flow_runs(stack) if one["parameters"].get("run_key") == key]
    return flow_run


@pytest.mark.soak
def test_a_run_is_cancelled_from_the_command_line(local_stack, tmp_path):
    """`prefect flow-run cancel` in mid-run: the Batch tasks stop, and what the run made is deleted."""
    key = f"cancelled-{uuid.uuid4().hex[:8]}"
    flow_run = start_long_run(local_stack, key, 302, tmp_path)
    result = local_stack.prefect("flow-run", "cancel", flow_run["id"])
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(lambda: not local_stack.processes("--delay 302"), RUN_SECONDS, "end of the Batch tasks", 0.5)
    wait_until(lambda: not remains_of(local_stack, key), RUN_SECONDS, "end of all that the run made", 0.5)
    wait_until(
        lambda: state_of(local_stack, flow_run["id"]) == "CANCELLED", RUN_SECONDS, "cancelled run", 0.5
    )


@pytest.mark.soak
def test_behind_a_killed_run_the_automation_cleans_up(local_stack, tmp_path):
    """The process of a run is killed: its hook and `cleanup`, one after the other, leave nothing."""
    key = f"killed-{uuid.uuid4().hex[:8]}"
    flow_run = start_long_run(local_stack, key, 301, tmp_path)
    for process in processes_of(local_stack, flow_run["id"]):
        process.send_signal(signal.SIGKILL)
    cleaned = nudged(
        lambda: "COMPLETED" in cleanups_of(local_stack, flow_run["id"]),
        lambda: crash_again(local_stack, flow_run["id"]),
        NUDGE_SECONDS,
    )
    wait_until(cleaned, RUN_SECONDS, "cleanup", 0.5)
    wait_until(lambda: not remains_of(local_stack, key), RUN_SECONDS, "end of all that the run made", 0.5)
    assert state_of(local_stack, flow_run["id"]) == "CRASHED"


def flow_runs(stack: Stack) -> list[dict]:
    return stack.api("POST", "/flow_runs/filter", {})


def crash_again(stack: Stack, flow_run_id: str) -> None:
    """Let the server see the crash once more, if it has seen it at all."""
    if state_of(stack, flow_run_id) == "CRASHED":
        state = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
        stack.api("POST", f"/flow_runs/{flow_run_id}/set_state", state)


def state_of(stack: Stack, flow_run_id: str) -> str:
    return stack.api("GET", f"/flow_runs/{flow_run_id}")["state_type"]


def cleanups_of(stack: Stack, flow_run_id: str) -> list[str]:
    """The states of the runs of `cleanup` for a flow run."""
    parameters = {"flow_run_id": flow_run_id}
    return [one["state_type"] for one in flow_runs(stack) if one["parameters"] == parameters]


def processes_of(stack: Stack, flow_run_id: str) -> list[psutil.Process]:
    """The processes that execute a flow run, by the variable that Prefect gives them."""
    return [one for one in stack.processes() if variable(one, "PREFECT__FLOW_RUN_ID") == flow_run_id]


def variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except psutil.Error:
        return None


def remains_of(stack: Stack, run_key: str) -> list[str]:
    """The ids of what a run has left on the stack's accounts."""
    accounts = read_accounts(stack.variables)
    names = names_of_run(run_key)
    batch, blobs = get_batch_client(accounts), get_blob_service(accounts)
    pools = [pool.id for pool in batch.list_pools() if pool.id == names.pool_id]
    jobs = [job.id for job in batch.list_jobs() if job.id == names.job_id]
    containers = [one for one in names.containers if blobs.get_container_client(one).exists()]
    return [*pools, *jobs, *containers]


@pytest.mark.soak
def test_sigterm_in_the_middle_of_a_run(tmp_path):
    """The run deletes what it made before the stack ends; neither its processes nor the keys stay."""
    with Stack(tmp_path, "--location", str(tmp_path / "location")) as stack:
        stack.wait_until_ready()
        result = stack.run_deployment(
            "top-n-words/count-words", inputs=str(DATA), output_dir=str(tmp_path), delay_seconds=300
        )
        assert result.returncode == 0, result.stdout + result.stderr
        wait_until(lambda: stack.processes("--delay 300"), RUN_SECONDS, "running Batch task", 0.5)
        processes = stack.processes()
        assert stack.stop(signal.SIGTERM) == 0
    assert are_gone(processes)
    assert not stack.env_file.exists()
    worker_log = tmp_path / "location" / "logs" / "prefect-worker.log"
    assert "Deleted the pool" in worker_log.read_text()


@pytest.mark.soak
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_signal_while_starting(tmp_path, number, exit_code):
    """A stack that is interrupted or killed before it is ready leaves no process either."""
    with Stack(tmp_path) as stack:
        # Three services, each under its guard.
        wait_until(lambda: len(stack.processes()) >= 6, START_SECONDS, "start of all services")
        processes = stack.processes()
        assert stack.stop(number) == exit_code
    wait_until(lambda: are_gone(processes), STOP_SECONDS, "end of all processes")
    assert not stack.env_file.exists()


@pytest.mark.soak
def test_a_part_that_dies_ends_the_stack(tmp_path):
    """When a part ends by itself, the stack names it, stops the others and ends with exit code 1."""
    with Stack(tmp_path) as stack:
        # Its guard, then the service itself.
        wait_until(lambda: len(stack.processes("-m batch_emulator")) == 2, START_SECONDS, "Batch service")
        processes = stack.processes()
        stack.processes("-m batch_emulator")[1].kill()
        assert stack.process.wait(STOP_SECONDS) == 1
    assert "Azure Batch (local) ended with exit code 137" in stack.log.read_text()
    assert are_gone(processes)
