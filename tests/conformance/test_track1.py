"""The clients before the current one, each in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from deployments.azurite import cache_folder

#: They speak API versions 2024-02-01.19.0 and 2022-10-01.16.0.
CLIENTS = ["azure-batch==14.2.0", "azure-batch==13.0.0"]
SCENARIO = Path(__file__).with_name("track1_scenario.py")

# Each is an installation.
pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


@pytest.fixture(params=CLIENTS)
def old_python(request) -> Path:
    """A Python that has an old client: made once, in the project's cache folder."""
    client = request.param
    folder = cache_folder() / client.replace("==", "-")
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", client]
        installed = subprocess.run(pip, capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"pip cannot install {client}: {installed.stderr[-300:]}")
        complete.touch()
    return python


def test_a_program_of_the_old_client_runs_unchanged(target, old_python: Path) -> None:
    """Pool, nodes, job, task collection, counts, files, deletions and errors, as the old client sees them."""
    name = f"track1-{uuid.uuid4().hex[:8]}"
    arguments = [target.endpoint, target.name, target.key, name, str(target.node_seconds)]
    run = subprocess.run([old_python, SCENARIO, *arguments], capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "pool": {
            "exists": True,
            "absent": False,
            "listed": [name, "active", None],
            "resizeTimeout": True,
            "fill": "spread",
            "metadata": [["a", "b"]],
            "image": "latest",
        },
        "nodes": ["idle", 0, True, True],
        "job": {
            "added": [["t1", "success"], ["t1b", "success"], ["t2", "success"]],
            "counts": [0, 3, 2, 1],
            "failed": [3, "failure", "FailureExitCode"],
            "output": "one\n",
            "part": "ne",
            "length": "4",
            "files": ["certs", "stderr.txt", "stdout.txt", "wd"],
            "left": ["t1", "t2"],
            "reason": "AllTasksCompleted",
        },
        "error": ["MissingRequiredProperty", "PropertyName", 400],
    }
