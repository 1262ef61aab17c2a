"""Outputs from blobs into local files, under the output folder and nowhere else."""

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from prefect import task
from prefect.client.schemas.objects import State

from tasks.azure import blobs
from tasks.errors import InputError, NotFoundError, PermanentError
from tasks.partial_files import remove_partial_files, replacing
from tasks.sharding import in_threads
from tasks.spec.naming import SOURCE_METADATA
from tasks.spec.work import WorkItem
from tasks.step import NOT_CACHED, RETRIED, outcome
from tasks.uploads import compute_md5


@dataclass(frozen=True)
class Fetched:
    """An output on disk, whole."""

    path: str
    md5: str
    """Of its content, hexadecimal."""


def prepare_output_folder(output_dir: str) -> Path:
    """The folder, made if need be. Raises InputError if nothing can be written there."""
    folder = Path(output_dir).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            remove_partial_files(folder)
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


@task(name="download output", task_run_name="download {item.output_name}", **NOT_CACHED, **RETRIED)
def download_output(container: str, item: WorkItem, folder: Path) -> State[Fetched | None]:
    """Download one output, unless it is there already; None if the work has left no output."""
    return outcome(*download_file(container, item, folder))


@task(name="download outputs", task_run_name="download shard {label}", **NOT_CACHED, **RETRIED)
def download_shard(
    label: str, container: str, items: list[WorkItem], folder: Path
) -> State[list[Fetched | None]]:
    """Download a shard of the outputs, each unless it is there; None for work that has left no output."""
    found = in_threads(lambda item: download_file(container, item, folder), items)
    return outcome([fetched for fetched, _ in found], all(was_there for _, was_there in found))


def download_file(container: str, item: WorkItem, folder: Path) -> tuple[Fetched | None, bool]:
    """Stream a blob into a file that appears under its name only when it is whole, and whether the same
    content was there already. None for work of which there is no blob, or one that other work has made."""
    path = local_path(folder, item.output_name)
    try:
        if path.is_file() and (held := _same_content(container, item, path)):
            return held, True
        path.parent.mkdir(parents=True, exist_ok=True)
        return _receive(container, item, folder, path), False
    except NotFoundError:
        return None, False
    except OSError as error:
        raise PermanentError(f"The output {path} can't be written: {error.strerror}.") from error


def _same_content(container: str, item: WorkItem, path: Path) -> Fetched | None:
    """The file at the path, if it has the content of the item's output."""
    blob = blobs.find_blob(container, item.output_name)
    if blob is None or blob.content_md5 is None or not _may_be_output(blob, item):
        return None
    digest = compute_md5(path)[0]
    return Fetched(str(path), digest.hex()) if digest == blob.content_md5 else None


def _receive(container: str, item: WorkItem, folder: Path, path: Path) -> Fetched:
    """Download the item's output to `path`. Raises NotFoundError if there is none but that of other work."""
    with replacing(folder, path) as file:
        digest = blobs.download_blob(
            container, item.output_name, file, lambda blob: _may_be_output(blob, item)
        )
    return Fetched(str(path), digest.hex())


def _may_be_output(blob: blobs.Blob, item: WorkItem) -> bool:
    """False for a blob that says of itself that it is the output of other work than this item's."""
    return blob.metadata.get(SOURCE_METADATA, item.source) == item.source


def has_output(container: str, item: WorkItem) -> bool:
    """Whether there is a blob that says of itself that it is this item's output."""
    blob = blobs.find_blob(container, item.output_name)
    return blob is not None and blob.metadata.get(SOURCE_METADATA) == item.source


def find_unfetched(container: str, folder: Path) -> list[str]:
    """The names of the outputs in the container that do not lie in the folder, whole."""
    return [
        name
        for name, blob in blobs.list_blobs(container)
        if SOURCE_METADATA in blob.metadata and not _is_fetched(blob, local_path(folder, name))
    ]


def _is_fetched(blob: blobs.Blob, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != blob.size_bytes:
        return False
    return blob.content_md5 in (None, compute_md5(path)[0])
