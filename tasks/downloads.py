"""Outputs from blobs into local files, under the output folder and nowhere else."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any

from prefect import task
from prefect.futures import PrefectFuture

from tasks.azure import blobs, many_blobs
from tasks.azure.places import describe_change
from tasks.base.partial_files import remove_partial_files, replacing
from tasks.errors import InputError, NotFoundError, PermanentError
from tasks.prefect.caching import WhileUnchanged, build_identity, keyed_afterwards, of_inputs
from tasks.sharding import in_threads, turn
from tasks.spec.local_paths import locate_path
from tasks.spec.naming import SOURCE_METADATA
from tasks.spec.work import WorkItem
from tasks.step import RETRIED, Whole, as_whole, opaque, take_whole
from tasks.uploads import compute_md5


@dataclass(frozen=True, slots=True)
class Fetched:
    """An output on disk, whole."""

    md5: str
    """Of its content, hexadecimal."""

    etag: str
    """Of the blob that it was fetched from."""

    problem: str = ""
    """Why there is no output of this input; the rest is empty then."""


def locate_output_folder(output_dir: str) -> Path:
    """Raises InputError for no path at all, which would be the folder that one is in."""
    if not output_dir.strip():
        raise InputError(f"output_dir is empty: is a variable not set? This folder is `.` ({Path.cwd()}).")
    return locate_path(output_dir).absolute()


def prepare_output_folder(output_dir: str) -> Path:
    """The folder, made if need be. Raises InputError if nothing can be written there."""
    folder = locate_output_folder(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            remove_partial_files(folder)
            _is_inside.cache_clear()
            _find_inner.cache_clear()
            return folder
    except OSError as error:
        raise InputError(
            f"Nothing can be written to the output folder {folder}: {error.strerror}."
        ) from error


# Asked once a run, not once a file; in a tree of many folders the last are remembered.
@lru_cache(maxsize=1024)
def _is_inside(folder: str, inner: str) -> bool:
    """Whether a folder really lies in another, wherever links lead."""
    return Path(inner).resolve().is_relative_to(Path(folder).resolve())


def local_path(folder: Path, name: str) -> str:
    """Where an output lies in the folder. Raises PermanentError for a name that would lead out of it."""
    # Text, as it is asked for each file of a run, several times: pathlib takes longer than the calls to the
    # disk, and has Python remember each part of each path.
    parent, _, last = name.rpartition("/")
    if last in ("", ".", "..") or name.startswith("/") or "\0" in last or os.name == "nt":
        return _find_path(str(folder), name)
    return _find_inner(str(folder), parent) + last


@lru_cache(maxsize=1024)
def _find_inner(folder: str, parent: str) -> str:
    """Where outputs lie that have their names below another: its path, with a slash."""
    return _find_path(folder, f"{parent}/-" if parent else "-")[:-1]


def _find_path(folder: str, name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    # A drive or a share, where there are such: elsewhere `C:report.txt` is a name like any other.
    is_elsewhere = name.startswith("/") or (os.name == "nt" and PureWindowsPath(name).anchor)
    if is_elsewhere or ".." in parts or not parts or "\0" in name:
        raise PermanentError(f"The output {name!r} would be written outside of {folder}: left alone.")
    if not _is_inside(folder, f"{folder}/{'/'.join(parts[:-1])}"):
        raise PermanentError(f"The output {name!r} would follow a link out of {folder}: left alone.")
    return os.path.join(folder, *parts)


def _identify_local(container: str, item: WorkItem, folder: Path, **_: Any) -> str | None:
    """The output's blob, and the content of the file that it was fetched into, if both are there."""
    return _identify_all([_find_local(container, item, folder)], container, [item])


def _find_local(container: str, item: WorkItem, folder: Path) -> Fetched | None:
    path = local_path(folder, item.output_name)
    if not os.path.isfile(path):
        return None
    blob = blobs.find_blob(container, item.output_name)
    if blob is None or not _may_be_output(blob, item):
        return None
    return Fetched(compute_md5(path)[0].hex(), blob.etag)


def _identify_fetched(fetched: Fetched | None, container: str, item: WorkItem, **_: Any) -> str | None:
    return _identify_all([fetched], container, [item])


@task(
    name="download output",
    task_run_name="download {item.output_name}",
    cache_policy=WhileUnchanged(
        look=_identify_local,
        made=_identify_fetched,
        work=of_inputs(lambda container, item, folder: [container, item.output_name, str(folder)]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def download_output(container: str, item: WorkItem, folder: Path) -> Fetched | None:
    """Download one output, unless it is there already; None if the work has left no output."""
    return download_file(container, item, folder)


def _identify_local_shard(container: str, items: Sequence[WorkItem], folder: Path, **_: Any) -> str | None:
    """The outputs of a shard, if each is on disk as it was fetched."""
    items = [*items]
    if not all(os.path.isfile(local_path(folder, item.output_name)) for item in items):
        return None
    found = in_threads(lambda item: _find_local(container, item, folder), items)
    return _identify_all(found, container, items)


def _identify_fetched_shard(
    fetched: Whole[list[Fetched | None]], container: str, items: Sequence[WorkItem], **_: Any
) -> str | None:
    [found] = fetched
    return _identify_all(found, container, items)


def _identify_all(fetched: Sequence[Fetched | None], container: str, items: Sequence[WorkItem]) -> str | None:
    """The identity of outputs on disk; None if one of them is not there."""
    parts = [blobs.locate_container(container)]
    for one, item in zip(fetched, items, strict=True):
        if one is None or one.problem:
            return None
        parts += [item.output_name, item.source, one.etag, one.md5]
    return build_identity(*parts)


@task(
    name="download outputs",
    task_run_name="download shard {label}",
    cache_policy=WhileUnchanged(
        look=_identify_local_shard,
        made=_identify_fetched_shard,
        work=of_inputs(lambda container, folder, **_: [container, str(folder)]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def download_shard(
    label: str, container: str, items: Sequence[WorkItem], folder: Path
) -> Whole[list[Fetched | None]]:
    """Download a shard of the outputs, each unless it is there; None for work that has left no output."""
    # Here, and not by who has begun it: of downloads that wait there may be as many as files.
    items = [*items]
    fetched = _download_small(container, items, folder)
    left = [number for number in range(len(items)) if number not in fetched]
    rest = in_threads(lambda number: download_file(container, items[number], folder), left)
    fetched.update(zip(left, rest, strict=True))
    return as_whole([fetched[number] for number in range(len(items))])


def _download_small(container: str, items: Sequence[WorkItem], folder: Path) -> dict[int, Fetched | None]:
    """Download the small ones among outputs of which nothing is on disk; by their numbers. Others, and those
    of inputs that may have changed in blob storage, are left alone."""
    fetched: dict[int, Fetched | None] = {}
    paths = {number: local_path(folder, item.output_name) for number, item in enumerate(items)}
    new = [
        number for number, path in paths.items() if items[number].blob is None and not os.path.exists(path)
    ]
    found = many_blobs.download_blobs(container, (items[number].output_name for number in new))
    with turn():
        for number, small in zip(new, found, strict=True):
            if small is None:
                continue
            blob, content = small
            is_output = _may_be_output(blob, items[number])
            fetched[number] = _write_file(folder, paths[number], content, blob.etag) if is_output else None
    return fetched


def _write_file(folder: Path, path: str, content: bytes, etag: str) -> Fetched:
    with _writable(path), replacing(folder, path) as file:
        file.write(content)
    return Fetched(hashlib.md5(content, usedforsecurity=False).hexdigest(), etag)


def start_download(container: str, items: Sequence[WorkItem], folder: Path, label: str) -> PrefectFuture[Any]:
    """Start the download of a shard, or of a single output where there is no label."""
    if not label:
        return download_output.submit(container, items[0], folder)
    return download_shard.submit(label, container, opaque(items), folder)


def read_fetched(download: PrefectFuture[Any]) -> list[Fetched | None]:
    """What a download of one output, or of a shard, has returned."""
    found = download.result()
    return found[0] if isinstance(found, list) else [found]


def take_fetched(download: PrefectFuture[Any]) -> list[Fetched | None]:
    """The same, taken out once."""
    found = download.result()
    return take_whole(found) if isinstance(found, list) else [found]


def download_file(container: str, item: WorkItem, folder: Path) -> Fetched | None:
    """Stream a blob into a file that appears under its name only when it is whole, unless that has the same
    content already. None for work of which there is no blob, or one that other work has made."""
    path = local_path(folder, item.output_name)
    if problem := describe_change(item.blob):
        return Fetched("", "", problem)
    with _writable(path):
        try:
            if os.path.isfile(path) and (held := _same_content(container, item, path)):
                return held
            return _receive(container, item, folder, path)
        except NotFoundError:
            return None


@contextmanager
def _writable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PermanentError(f"The output {path} can't be written: {error.strerror}.") from error


def _same_content(container: str, item: WorkItem, path: str) -> Fetched | None:
    """The file at the path, if it has the content of the item's output."""
    blob = blobs.find_blob(container, item.output_name)
    if blob is None or blob.content_md5 is None or not _may_be_output(blob, item):
        return None
    digest = compute_md5(path)[0]
    return Fetched(digest.hex(), blob.etag) if digest == blob.content_md5 else None


def _receive(container: str, item: WorkItem, folder: Path, path: str) -> Fetched:
    """Download the item's output to `path`. Raises NotFoundError if there is none but that of other work."""
    with replacing(folder, path) as file:
        digest, etag = blobs.download_blob(
            container, item.output_name, file, lambda blob: _may_be_output(blob, item)
        )
    return Fetched(digest.hex(), etag)


def _may_be_output(blob: blobs.Blob, item: WorkItem) -> bool:
    """False for a blob that says of itself that it is the output of other work than this item's."""
    return blob.metadata.get(SOURCE_METADATA, item.source) == item.source
