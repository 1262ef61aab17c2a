"""The examples of docs/emulator.md run as they stand, and its five lines are a test of one's own project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployments import azurite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
PLUGIN = "batch_emulator.pytest_plugin"
OF_A_SUITE = re.compile(r"def test_|@pytest.fixture")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("code", [each for each in EXAMPLES if not OF_A_SUITE.search(each)])
def test_example_runs(code, capsys):
    """A block of Python runs, and prints what its comment says."""
    exec(compile(code, "docs/emulator.md", "exec"), {})
    printed = capsys.readouterr().out
    for expected in re.findall(r"print\(.*\)  # (\S+):", code):
        assert expected in printed
    assert printed


def run_tests(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """pytest in a project of its own, which has nothing but this test."""
    (folder / "test_own.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:asyncio", "-p", PLUGIN],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.soak
def test_the_tests_of_the_page_make_a_suite(tmp_path, monkeypatch):
    """With the page's `conftest.py`, which starts Azurite, they pass beside each other in a folder that knows
    nothing of this project: also the first of them after those that leave something in the account."""
    (conftest,) = [each for each in EXAMPLES if "@pytest.fixture" in each]
    (tmp_path / "conftest.py").write_text(conftest)
    first, *others = [each for each in EXAMPLES if "def test_" in each]
    (tmp_path / "test_first.py").write_text("\n".join(others))
    # What `npm install --global` puts on the PATH.
    program = tmp_path / "azurite-blob"
    program.write_text(f'#!/bin/sh\nexec {azurite.NODE} {azurite.install() / azurite.BLOB_SERVICE} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    ended = run_tests(tmp_path, first)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout


@pytest.mark.soak
def test_settings_and_faults_of_a_project_of_its_own(tmp_path):
    """`batch_settings` can be replaced, and what `batch_faults` asks for ends with its test."""
    code = """
import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from batch_emulator import Settings
from batch_emulator.faults import Faults, RequestFault

@pytest.fixture(scope="session")
def batch_settings():
    return Settings(port=0, account="mine")

def status(account):
    client = BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key), retry_total=0)
    with client, pytest.raises(HttpResponseError) as refused:
        client.get_pool("absent")
    return refused.value.status_code

def test_busy(batch_account, batch_faults):
    assert batch_account.name == "mine"
    batch_faults(Faults(requests=[RequestFault(code="ServerBusy")]))
    assert status(batch_account) == 503

def test_not_busy(batch_account):
    assert status(batch_account) == 404
"""
    ended = run_tests(tmp_path, code)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout


def test_plugin_is_found_without_being_named():
    """The package announces the plugin to pytest under the name of its module."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    announced = re.search(r'\[project.entry-points.pytest11\]\n"(.*)" = "(.*)"', pyproject)
    assert announced.groups() == (PLUGIN, PLUGIN)
