"""Deploying again, and schedules of one's own."""

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from deployments.local.settings import PREFECT_FILE, REPOSITORY
from tests.documentation import blocks_of
from tests.stacks import DATA, RUN_SECONDS, Stack
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

COUNT_LINES = "import sys\nprint(len(open(sys.argv[1]).readlines()), file=open(sys.argv[2], 'w'))\n"
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
    wait_until(lambda: local_stack.state_of(run["id"]) == "COMPLETED", RUN_SECONDS, "end of the run", 0.5)
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
