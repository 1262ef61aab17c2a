"""Folders and files that only their owner can read: what services keep and log has keys and signatures."""

import os
from pathlib import Path
from typing import BinaryIO

FOLDER_MODE = 0o700
FILE_MODE = 0o600
#: What a service makes that is started with it, is its owner's alone.
PRIVATE_UMASK = 0o077


def make_private_folder(path: Path) -> Path:
    """The folder, made if need be. One that was there is closed to others, too."""
    path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    path.chmod(FOLDER_MODE)
    return path


def open_private(path: Path) -> BinaryIO:
    """An empty file to write to, in the place of what was there. It was never open to others."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return os.fdopen(descriptor, "wb")


def write_for_owner(path: Path, text: str) -> None:
    """Replace the file in one step by one that only its owner can read."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with open_private(partial) as file:
        file.write(text.encode())
    partial.replace(path)
