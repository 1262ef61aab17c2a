"""This project as a git repository, from which workers fetch it."""

import shutil
import subprocess
from pathlib import Path

from tests.documentation import REPOSITORY

PUBLISHED = ("flows", "tasks", "node", "deployments")
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def commit_flows(folder: Path) -> Path:
    """The folder, made a repository with all that a worker needs, as it is now, on the branch `main`."""
    for name in PUBLISHED:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*IDENTITY, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder
