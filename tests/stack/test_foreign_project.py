"""Another project, which has Prefect and nothing of ours, uses the flows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation import REPOSITORY, blocks_of
from tests.repositories import commit_flows
from tests.stacks import RUN_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PAGE = REPOSITORY / "docs" / "howto" / "library.md"
PUBLISHED = "https://github.com/ORGANISATION/REPOSITORY.git"


@pytest.fixture
def repository(tmp_path) -> Path:
    """This project as it is now, in git."""
    return commit_flows(tmp_path / "published")


@pytest.fixture
def project(tmp_path, repository) -> Path:
    """The other project: the file and the program of the page, and a text."""
    folder = tmp_path / "mine"
    (folder / "texts").mkdir(parents=True)
    (folder / "texts" / "one.txt").write_text("three words here\n")
    (file,) = [block.text for block in blocks_of(PAGE) if block.language == "yaml"]
    (folder / "fan-outs.yaml").write_text(file.replace(PUBLISHED, repository.as_uri()))
    program = [block.text for block in blocks_of(PAGE) if block.language == "python"][-1]
    for name in ("texts", "counts"):
        program = program.replace(f'"{name}"', repr(str(folder / name)))
    (folder / "night.py").write_text(program)
    return folder


@pytest.mark.soak
def test_the_flows_are_run_from_another_project(local_stack, project, tmp_path):
    """Its file is deployed, its program starts the run by name, and the worker fetches the flows from git."""
    deployed = local_stack.prefect(
        "--no-prompt", "deploy", "--all", "--prefect-file", str(project / "fan-outs.yaml")
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    made = local_stack.api("GET", "/deployments/name/fan-out/count-words-of-mine")
    try:
        assert [list(step) for step in made["pull_steps"]] == [["prefect.deployments.steps.git_clone"]]
        ended = run_alone(local_stack.variables, project)
    finally:
        local_stack.api("DELETE", f"/deployments/{made['id']}")
    assert ended.stdout.strip() == "Completed", ended.stderr
    assert (project / "counts" / "one_OUTPUT.txt").read_text().split()[0] == "3"


def run_alone(variables: dict[str, str], project: Path) -> subprocess.CompletedProcess[str]:
    """The program with the server's address and key, in a Python that fails where it imports ours."""
    without = (
        "import sys; sys.modules.update(dict.fromkeys(['flows', 'tasks', 'deployments', 'batch_emulator']))"
    )
    code = f"{without}; import runpy; runpy.run_path('night.py')"
    kept = {name: value for name, value in variables.items() if not name.startswith("AZURE_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**kept, "PATH": os.defpath, "PREFECT_LOGGING_TO_API_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
