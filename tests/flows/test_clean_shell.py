"""The commands of the pages, typed into a terminal like any, in a fresh clone."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documentation import REPOSITORY, commands_of, pages
from tests.stacks import RUN_SECONDS, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# What stays until Ctrl-C, waits for a worker on Azure, or measures for minutes and hours.
ENDLESS = ("deployments.serve", "/count-words-azure", "python -m bench")
# What a reader has to fill in.
PLACEHOLDER = re.compile(r"\.\.\.|\b[A-Z_]+_ID\b|ORGANISATION")
# The page says to write these before.
OWN_FILES = ("nights.yaml", "count-lines", "../mine/")
COMMANDS = [
    (str(page.relative_to(REPOSITORY)), command)
    # On a server of its own, as a reader's would be: last.
    for page in sorted(pages(), key=lambda page: page.stem == "azure-account")
    for command in commands_of(page)
    if command.startswith("./run ") and not PLACEHOLDER.search(command)
    if not any(word in command for word in (*ENDLESS, *OWN_FILES))
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What a user has after `git clone` and `make setup`: this tree's files, and the environment."""
    folder = tmp_path_factory.mktemp("clone") / "prefect-azure-batch"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    venv = folder / ".venv"
    venv.mkdir()
    (venv / ".installed").touch()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (venv / name).symlink_to(Path(sys.prefix, name))
    return folder


@pytest.fixture(scope="module")
def open_stack(clone) -> Iterator[Stack]:
    """`make up` in another terminal."""
    (clone / ".local").mkdir()
    with Stack(clone / ".local", "--location", str(clone / ".local" / "stack")) as stack:
        stack.wait_until_ready()
        yield stack


def shell(clone: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Typed into a shell that has a home and a path, and nothing of ours."""
    home = clone.parent / "home"
    home.mkdir(exist_ok=True)
    bare = {
        "HOME": str(home),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    return subprocess.run(
        ["sh", "-c", command], cwd=clone, env=bare, capture_output=True, text=True, timeout=RUN_SECONDS
    )


@pytest.mark.soak
def test_without_a_stack_one_is_told_how_to_get_one(clone):
    """No account, no stack: the variables and both ways to them in two lines, and no server is started."""
    ended = shell(clone, "./run python -m flows.fan_out data --command 'wc -w {input}'")
    assert ended.returncode == 1
    assert "AZURE_BATCH_ENDPOINT" in ended.stderr
    assert "make up" in ended.stderr
    assert "Starting temporary server" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.soak
def test_every_command_of_the_pages_works(clone, open_stack):
    """One after the other, as a reader would type them while the stack is open."""
    assert len(COMMANDS) > 10
    failed = {}
    for page, command in COMMANDS:
        ended = shell(clone, command)
        if ended.returncode != 0:
            failed[page, command] = f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    assert failed == {}


@pytest.mark.soak
def test_run_is_found_from_any_folder(clone):
    """`./run` by its path in another folder: the command runs there, with this project's environment."""
    told = "import flows, os, sys; print(flows.__file__, os.getcwd())"
    script = shlex.quote(str(clone / "run"))
    ended = shell(clone, f"cd .. && {script} python -c {shlex.quote(told)}")
    assert ended.stdout.split() == [str(clone / "flows" / "__init__.py"), str(clone.parent)], ended.stderr


def bare_clone(folder: Path) -> Path:
    """No more than what `./run` needs to run a command."""
    root = folder / "clone"
    (root / ".local").mkdir(parents=True)
    (root / "deployments").mkdir()
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / ".installed").touch()
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name in ("run", "deployments/setup.sh"):
        shutil.copy2(REPOSITORY / name, root / name)
    return root


NO_SERVER = "true"
QUIET = "python {root}/deployments/quiet_prefect.py"


@pytest.mark.parametrize(
    ("setting", "arguments", "started"),
    [
        (NO_SERVER, "deployment run 'a/b' --watch", QUIET),
        (NO_SERVER, "deployment run 'a/b' --watch --param x=1", QUIET),
        (NO_SERVER, "flow-run watch 1", QUIET),
        (NO_SERVER, "deployment run 'a/b' --param x=--watcher", "prefect"),
        ("export PREFECT_API_URL=http://127.0.0.1:1/api", "flow-run watch 1", QUIET),
        (
            "mkdir -p ~/.prefect; echo PREFECT_API_URL=1 > ~/.prefect/profiles.toml",
            "deployment ls",
            "prefect",
        ),
        ("echo export PREFECT_API_URL=stack > .local/stack.env", "deployment ls", "prefect"),
    ],
)
def test_run_leads_to_prefect(tmp_path, setting, arguments, started):
    """With the arguments as they are and its exit code; without events where a run is watched. Where no
    server is named it says how to get one, and goes on, as Prefect may know of one from elsewhere."""
    root = bare_clone(tmp_path)
    for name in ("python", "prefect"):
        (root / ".venv" / "bin" / name).unlink(missing_ok=True)
        (root / ".venv" / "bin" / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit 3\n')
        (root / ".venv" / "bin" / name).chmod(0o755)
    ended = shell(root, f"{setting}; ./run prefect {arguments}")
    expected = f"{started.format(root=root)} {arguments.replace(chr(39), '')}\n"
    assert (ended.stdout, ended.returncode) == (expected, 3)
    assert ("make up" in ended.stderr) == (setting == NO_SERVER)


@pytest.mark.parametrize("named", ["", "AZURE_BATCH_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT", "PREFECT_API_URL"])
def test_run_mixes_no_account_of_the_caller_with_the_open_stack(tmp_path, named):
    """A variable that names an account or a server keeps all of the stack's away, and that is said."""
    root = bare_clone(tmp_path)
    (root / ".local" / "stack.env").write_text(
        "export AZURE_BATCH_ENDPOINT=stack\nexport AZURE_BATCH_ACCESS_KEY=stack\n"
    )
    ended = shell(root, f"{f'export {named}=mine;' if named else ''} ./run env")
    assert ("stack" in ended.stdout) == (not named)
    assert (f"{named} is set" in ended.stderr) == bool(named)
