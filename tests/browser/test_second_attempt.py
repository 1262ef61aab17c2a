"""A second attempt of a run in the dashboard: what Prefect's cache has answered is shown as that."""

import re
import subprocess
import sys

import pytest

from deployments.local.settings import REPOSITORY
from tests.flows.services import write_files
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

START_SECONDS = 240
KEEP_ALL = {"containers": "never", "job": "never", "pool": "never"}
CACHED = [
    "create containers",
    "upload application app.sh",
    "create pool",
    "upload one.txt",
    "upload two.txt",
    "create job",
    "add tasks",
    "close job",
]


@pytest.fixture
def parameters(tmp_path):
    """Of a run whose Batch tasks don't end while a file is there."""
    inputs = write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})
    program = tmp_path / "app.sh"
    program.write_text(f'while [ -e {tmp_path}/hold ]; do sleep 0.1; done\ncp "$1" "$2"\n')
    (tmp_path / "hold").touch()
    return {
        "inputs": str(inputs),
        "application": str(program),
        "command": "sh {application} {input} {output}",
        "output_dir": str(tmp_path / "out"),
        "run_key": "second-attempt",
        "cleanup": KEEP_ALL,
    }


def count_waits(dashboard) -> int:
    """How many runs have come to waiting for their Batch tasks."""
    return dashboard.api("POST", "/task_runs/count", {"task_runs": {"name": {"any_": ["wait for tasks"]}}})


def state_of(dashboard, run_id: str) -> str:
    return dashboard.api("GET", f"/flow_runs/{run_id}")["state_name"]


def wait_for_wait(dashboard, before: int, what: str) -> None:
    """Wait until one more run than before, of whichever test, waits for its Batch tasks."""
    wait_until(lambda: count_waits(dashboard) > before, START_SECONDS, what)


def die_waiting(dashboard, parameters) -> None:
    """A run whose process is killed while it waits, with all that would clean up behind it."""
    before = count_waits(dashboard)
    call = f"from flows.fan_out import fan_out; fan_out(**{parameters!r})"
    with subprocess.Popen(
        [sys.executable, "-c", call],
        cwd=REPOSITORY,
        env={**dashboard.variables, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for_wait(dashboard, before, "waiting run")
        finally:
            process.kill()


def test_a_second_attempt_shows_what_it_found_done(dashboard, page, keep_screenshot, parameters, tmp_path):
    """Containers, uploads, pool, job and tasks of a run whose driver died are `Cached` in the next one."""
    die_waiting(dashboard, parameters)
    before = count_waits(dashboard)
    run_id = dashboard.start("fan-out/run-program", parameters)
    wait_for_wait(dashboard, before, "second attempt that waits")
    (tmp_path / "hold").unlink()
    wait_until(lambda: state_of(dashboard, run_id) == "Completed", START_SECONDS, "end of the attempt")
    page.set_default_timeout(1000 * START_SECONDS)
    dashboard.open_run(page, run_id)
    page.get_by_role("tablist").get_by_text("Task Runs", exact=True).click()
    page.get_by_role("link", name="create containers").scroll_into_view_if_needed()
    keep_screenshot("second-attempt-steps")
    shown = page.get_by_role("tabpanel", name="Task Runs").inner_text()
    for name in CACHED:
        assert re.search(rf"^{re.escape(name)}\s+Cached$", shown, re.MULTILINE), shown
