"""Outputs, and logs of failed files, that lie in a container alone: fetched before it goes, or kept in it.

Whoever deletes the containers of a run (itself, a hook, `cleanup`, `sweep`) may know nothing of it but what
its output container says: which folder its outputs go to, on which machine, and whether the run has seen
them all there.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from prefect.runtime import flow_run

from tasks.azure import blobs
from tasks.azure.places import describe_change
from tasks.azure.storage_accounts import find_other_accounts
from tasks.base.partial_files import replacing
from tasks.base.printable import say_count
from tasks.downloads import local_path
from tasks.errors import NotFoundError, OutputsLeftError, PermanentError
from tasks.logs import run_logger
from tasks.sharding import in_threads
from tasks.spec.blob_places import InputBlob, read_place
from tasks.spec.naming import (
    INPUT_ETAG_METADATA,
    INPUT_METADATA,
    INPUT_URL_METADATA,
    LOGS_FOLDER,
    RECIPE_METADATA,
    SOURCE_METADATA,
    name_log,
)
from tasks.spec.ownership import FLOW_RUN_ID, read_ownership
from tasks.uploads import compute_md5

# In an output container's metadata. A value is a header, which is ASCII: it is quoted like a part of a URL.
FOLDER, HOST, FETCHED = "output_folder", "output_host", "all_fetched"


@dataclass(frozen=True)
class Held:
    """A blob that a Batch task has made."""

    name: str
    blob: blobs.Blob

    @property
    def is_log(self) -> bool:
        return INPUT_METADATA in self.blob.metadata


def describe_destination(folder: Path | None) -> dict[str, str]:
    """What an output container says of where its outputs go."""
    if folder is None:
        return {}
    return {FOLDER: quote(str(folder)), HOST: quote(platform.node())}


def mark_fetched(container: str) -> None:
    """Let a container say that all its outputs have been fetched: whoever deletes it need not look."""
    found = blobs.find_container(container)
    if found is not None and read_ownership(found.metadata) is not None:
        blobs.set_container_metadata(container, {**found.metadata, FETCHED: "true"})


def note_attempt(container: str, recipe: str) -> None:
    """Let a container say which flow run works on the run now, and what it makes outputs by: what others made
    there is not taken for it."""
    told = {RECIPE_METADATA: recipe, **({FLOW_RUN_ID: flow_run.id} if flow_run.id else {})}
    found = blobs.find_container(container)
    if found is not None and not told.items() <= found.metadata.items():
        blobs.set_container_metadata(container, {**found.metadata, **told})


def is_marked(metadata: Mapping[str, str]) -> bool:
    return FETCHED in metadata


def secure_outputs(container: blobs.Container) -> None:
    """See that no output lies in a container alone, by fetching those that do.

    Raises OutputsLeftError if some can't be fetched, TemporaryError if storage doesn't answer now.
    """
    if is_marked(container.metadata):
        return
    left = _fetch_missing(container, _list_held(container))
    if left:
        raise OutputsLeftError(_explain(container, left))


def _list_held(container: blobs.Container) -> dict[str, Held]:
    """The outputs and logs in a container, by their places below the output folder; none if it is gone."""
    owned, held = read_ownership(container.metadata), {}
    try:
        for name, blob in blobs.list_blobs(container.name):
            place = _find_place(owned.run_key if owned else "", name, blob)
            # Logs of several attempts have one place.
            if place and (place not in held or held[place].blob.modified_at < blob.modified_at):
                held[place] = Held(name, blob)
    except NotFoundError:
        return {}
    return held


def _find_place(run_key: str, name: str, blob: blobs.Blob) -> str | None:
    """Where a blob is to lie; None for one that no Batch task has made."""
    if INPUT_METADATA in blob.metadata:
        return name_log(run_key, unquote(blob.metadata[INPUT_METADATA]), name.rpartition("/")[2])
    return name if SOURCE_METADATA in blob.metadata else None


def _fetch_missing(container: blobs.Container, held: Mapping[str, Held]) -> dict[str, str]:
    """Fetch what doesn't lie in its folder; of what can't be, the reason."""
    folder = unquote(container.metadata.get(FOLDER, ""))
    if not folder:
        return dict.fromkeys(held, "it does not say where its outputs go")
    fetched: list[Path] = []
    reasons = in_threads(lambda place: _secure(container, Path(folder), place, held[place], fetched), held)
    if fetched:
        # A run that is cancelled may have hundreds of them.
        said = "Fetched %s that lay in the container %s alone, %s first"
        run_logger().info(said, say_count(len(fetched), "file"), container.name, fetched[0])
    return {place: reason for place, reason in zip(held, reasons, strict=True) if reason}


def _secure(container: blobs.Container, folder: Path, place: str, held: Held, fetched: list[Path]) -> str:
    """See that an output, or a log, lies in its folder; why it doesn't, or "". What it fetches it notes.

    A folder of another machine may have the same path: there nothing is written, but what lies there counts.
    """
    host = unquote(container.metadata.get(HOST, ""))
    recipe = None if held.is_log else container.metadata.get(RECIPE_METADATA)
    try:
        path = Path(local_path(folder, place))
        if _is_fetched(container.name, held, path) or _has_changed_input(held):
            return ""
        if recipe and held.blob.metadata.get(RECIPE_METADATA, recipe) != recipe:
            return "it was made by another command, program or setting than the last attempt's"
        if host != platform.node():
            return f"its folder {folder} is on the machine {host}"
        # It may be the output of a later run, or the log of a later attempt.
        if path.is_file() and path.stat().st_mtime > held.blob.modified_at.timestamp():
            return "" if held.is_log else f"{path} was written later, and has another content"
        _fetch(container.name, held, folder, path)
        fetched.append(path)
    except (PermanentError, OSError) as error:
        return f"it can't be fetched to {folder}: {error}"
    return ""


def _has_changed_input(held: Held) -> bool:
    """Whether an output was made of a blob that has changed since it was listed: nobody knows of what it is
    the output. Raises PermanentError where the blob's account can't be asked."""
    url = held.blob.metadata.get(INPUT_URL_METADATA)
    if url is None:
        return False
    place = read_place(url, blobs.locate_account(), find_other_accounts())
    etag = held.blob.metadata.get(INPUT_ETAG_METADATA, "")
    return bool(
        describe_change(InputBlob(place.account, place.container, place.name, etag=etag, size_bytes=0))
    )


def _is_fetched(container: str, held: Held, path: Path) -> bool:
    """Whether the file has the blob's content, and not only its size."""
    if not path.is_file() or path.stat().st_size != held.blob.size_bytes:
        return False
    expected = held.blob.content_md5 or _read_md5(container, held)
    return compute_md5(path)[0] == expected


def _read_md5(container: str, held: Held) -> bytes:
    """Of a blob that doesn't say it, as one that was sent in blocks mostly doesn't."""
    with open(os.devnull, "wb") as nowhere:
        return blobs.download_blob(container, held.name, nowhere, lambda found: found.etag == held.blob.etag)[
            0
        ]


def _fetch(container: str, held: Held, folder: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder, path) as file:
        blobs.download_blob(container, held.name, file, lambda found: found.etag == held.blob.etag)


def _explain(container: blobs.Container, left: Mapping[str, str]) -> str:
    """What lies where, why, until when, and what to do."""
    first, reason = next(iter(left.items()))
    has_logs = any(place.startswith(f"{LOGS_FOLDER}/") for place in left)
    what = "output or log" if has_logs else "output"
    owned = read_ownership(container.metadata)
    key = owned.run_key if owned else ""
    until = f", from {owned.expires_at:%Y-%m-%d %H:%M} UTC on" if owned and owned.expires_at else ""
    return (
        f"{say_count(len(left), what)} in the container {container.name} alone. The first is {first!r}: "
        f"{reason}. "
        f"It is kept: run again with run_key={key!r} to fetch them. Only a sweep with include_kept "
        f"deletes them{until}."
    )
