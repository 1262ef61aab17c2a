"""The local stack as a user has it: started by its command line, used through its environment variables."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from string import punctuation

import httpx
import pytest

from deployments.local.settings import REPOSITORY
from tests.stacks import DATA, RUN_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


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
