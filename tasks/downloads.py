"""Outputs from blobs into local files, under the output folder and nowhere else."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO
from uuid import uuid4

from prefect import task
from prefect.states import State

from tasks.azure import blobs
from tasks.errors import InputError, NotFoundError, PermanentError
from tasks.sharding import in_threads
from tasks.step import NOT_CACHED, RETRIED, outcome
from tasks.uploads import compute_md5, has_content


def prepare_output_folder(output_dir: str) -> Path:
    """The folder, made if need be. Raises InputError if nothing can be written there."""
    folder = Path(output_dir).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(
            f"Nothing can be written to the output folder {folder}: {error.strerror}."
        ) from error


def local_path(folder: Path, name: str) -> Path:
    """Where an output lies in the folder. Raises PermanentError for a name that would lead out of it."""
    parts = PurePosixPath(name).parts
    is_odd = ".." in parts or PureWindowsPath(name).anchor or not parts or "\0" in name
    if is_odd or PurePosixPath(name).is_absolute():
        raise PermanentError(f"The output {name!r} would be written outside of {folder}: left alone.")
    path = folder.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise PermanentError(f"The output {name!r} would follow a link out of {folder}: left alone.")
    return path


@task(name="download output", task_run_name="download {name}", **NOT_CACHED, **RETRIED)
def download_output(container: str, name: str, folder: Path) -> State[str | None]:
    """Download one output, unless it is there already; its path, or None if there is no such blob."""
    return outcome(*download_file(container, name, folder))


@task(name="download outputs", task_run_name="download shard {label}", **NOT_CACHED, **RETRIED)
def download_shard(label: str, container: str, names: list[str], folder: Path) -> State[list[str | None]]:
    """Download a shard of the outputs, each unless it is there; their paths, None for a blob that isn't."""
    found = in_threads(lambda name: download_file(container, name, folder), names)
    return outcome([path for path, _ in found], all(was_there for _, was_there in found))


def download_file(container: str, name: str, folder: Path) -> tuple[str | None, bool]:
    """Stream a blob into a file that appears under its name only when it is whole; the file's path, None if
    there is no such blob, and whether the same content was there already."""
    path = local_path(folder, name)
    if path.is_file() and has_content(container, name, compute_md5(path)[0]):
        return str(path), True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(path) as file:
            blobs.download_blob(container, name, file)
    except NotFoundError:
        return None, False
    except OSError as error:
        raise PermanentError(f"The output {path} can't be written: {error.strerror}.") from error
    return str(path), False


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes `path`'s place at the end, or vanishes if the block fails."""
    temporary = path.with_name(f".download-{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
