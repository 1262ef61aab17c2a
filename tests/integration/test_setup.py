"""What `make setup` says where it can't do its work."""

import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployments.local.settings import REPOSITORY
from deployments.locks import locked
from deployments.processes import free_port

SETUP = REPOSITORY / "deployments" / "setup.sh"
needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")


def copy_project(folder: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder)
    packages = folder / "batch_emulator"
    shutil.copytree(REPOSITORY / "batch_emulator", packages, ignore=shutil.ignore_patterns("__pycache__"))


@needs_uv
def test_an_index_that_cannot_be_reached_is_said_in_our_words(tmp_path):
    """After what uv says of it: where to look, and a failure of the target."""
    copy_project(tmp_path)
    index = f"http://127.0.0.1:{free_port()}/simple"
    variables = {**os.environ, "UV_DEFAULT_INDEX": index, "UV_CACHE_DIR": str(tmp_path / "cache")}
    script = ["sh", str(SETUP), "flows"]
    variables |= {"PYTHON": sys.executable, "UV_HTTP_RETRIES": "0", "TMPDIR": str(tmp_path)}
    ended = subprocess.run(script, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert ended.stdout.startswith("Python packages for flows, into .venv")
    assert "Mostly the package index can't be reached" in ended.stderr


UV = ("Resolved 127 packages in 2s", ["Resolved 127 packages in 2s"])
INSTALLER = """#!/bin/sh
case $2 in install | pip) printf '{}\\n'; read -r line < gate ;; esac
exit 0
"""
PIP = (
    r"Collecting one\n" * 25 + "Installing collected packages",
    ["  25 packages found", "  installing them"],
)


@pytest.mark.parametrize(("installer", "said"), [("uv", UV), ("pip", PIP)])
def test_what_an_installer_does_is_shown_while_it_does_it(tmp_path, installer, said):
    """Each line as it comes: this one goes on only after its lines were read."""
    words, shown = said
    for folder in ("bin", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    os.mkfifo(tmp_path / "gate")
    for name in {"uv": ("bin/uv", ".venv/bin/python"), "pip": (".venv/bin/python",)}[installer]:
        (tmp_path / name).write_text(INSTALLER.format(words))
        (tmp_path / name).chmod(0o755)
    variables = {"PYTHON": sys.executable, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    script = ["sh", str(SETUP), "flows"]
    with (
        subprocess.Popen(script, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True) as setup,
        open(os.open(tmp_path / "gate", os.O_RDWR), "wb", buffering=0) as gate,
    ):
        assert setup.stdout is not None
        assert [setup.stdout.readline().rstrip("\n") for _ in ["", *shown]][1:] == shown
        gate.write(b"go on\n")
        assert setup.wait(60) == 0


def test_a_python_that_is_too_old_is_told(tmp_path):
    """Before anything is made."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    script = ["sh", str(SETUP), "flows"]
    variables = {**os.environ, "PYTHON": str(old)}
    ended = subprocess.run(script, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "Python 3.10 or newer is needed" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["python3"]


def is_whole(folder: Path) -> bool:
    return subprocess.run(["sh", str(SETUP), "is-whole"], cwd=folder, timeout=60, check=False).returncode == 0


def test_an_environment_is_of_use_where_it_was_made(tmp_path):
    """Not in a folder that was moved, whose scripts lead nowhere, nor without its interpreter."""
    folder = tmp_path / "a'b ü"
    (folder / ".venv" / "bin").mkdir(parents=True)
    assert not is_whole(folder)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    assert is_whole(folder)
    (folder / ".venv" / ".place").write_text(f"{folder.resolve()}\n")
    assert is_whole(folder)
    moved = folder.rename(tmp_path / "moved")
    assert not is_whole(moved)
    (moved / ".venv" / "bin" / "python").unlink()
    (moved / ".venv" / "bin" / "python").symlink_to(tmp_path / "gone")
    (moved / ".venv" / ".place").unlink()
    assert not is_whole(moved)


def test_a_second_setup_waits_for_the_first(tmp_path):
    """It says so, and where the first has done its work there is nothing left to do."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".local").mkdir()
    script = ["sh", str(SETUP), "flows"]
    variables = {**os.environ, "PYTHON": sys.executable}
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        first.enter_context(locked(tmp_path / ".local" / "setup.lock"))
        second = stack.enter_context(
            subprocess.Popen(script, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True)
        )
        assert second.stdout is not None
        assert "waiting for its end" in second.stdout.readline()
        (tmp_path / ".venv" / ".done-flows").touch()
        first.close()
        assert second.stdout.read() == ""
    assert second.returncode == 0


def test_a_setup_that_hangs_is_not_waited_for_for_ever(tmp_path):
    """The second says who has the lock, and fails."""
    (tmp_path / ".local").mkdir()
    script = ["sh", str(SETUP), "flows"]
    variables = {**os.environ, "PYTHON": sys.executable, "SETUP_LOCK_SECONDS": "0"}
    with locked(tmp_path / ".local" / "setup.lock"):
        ended = subprocess.run(
            script, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60
        )
    assert ended.returncode == 1
    assert "Another setup holds .local/setup.lock" in ended.stderr


@needs_uv
def test_what_is_built_is_the_local_batch_service_alone(tmp_path):
    """No `flows` or `tasks` is in the wheel, to stand before a user's own; nor does it ask for Prefect."""
    copy_project(tmp_path)
    build = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(tmp_path / "dist"), str(tmp_path)]
    # uv leaves its locks in the temporary folder.
    subprocess.run(build, check=True, timeout=120, env={**os.environ, "TMPDIR": str(tmp_path)})
    (wheel,) = (tmp_path / "dist").glob("azure_batch_emulator-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        needed = archive.read(metadata).decode().splitlines()
    assert {top for top in tops if not top.endswith(".dist-info")} == {"batch_emulator"}
    always = [line for line in needed if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert always
    assert not [line for line in always if "prefect" in line or "azure" in line]
