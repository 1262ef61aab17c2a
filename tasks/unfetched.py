"""Outputs that lie in a run's container alone: fetched before that is deleted, or kept with it.

Whoever deletes the containers of a run (itself, a hook, `cleanup`, `sweep`) may know nothing of it but what
its output container says: which folder its outputs go to, on which machine, and whether the run has seen
them all there.
"""

import platform
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from tasks.azure import blobs
from tasks.downloads import local_path
from tasks.errors import NotFoundError, OutputsLeftError, PermanentError
from tasks.logs import run_logger
from tasks.partial_files import replacing
from tasks.printable import say_count
from tasks.sharding import in_threads
from tasks.spec.naming import RECIPE_METADATA, SOURCE_METADATA
from tasks.spec.ownership import read_ownership
from tasks.uploads import compute_md5

# In an output container's metadata. A value is a header, which is ASCII: it is quoted like a part of a URL.
FOLDER, HOST, FETCHED = "output_folder", "output_host", "all_fetched"


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


def note_recipe(container: str, recipe: str) -> None:
    """Let a container say what this attempt makes outputs by: what others made there is not taken for it."""
    found = blobs.find_container(container)
    if found is not None and found.metadata.get(RECIPE_METADATA) != recipe:
        blobs.set_container_metadata(container, {**found.metadata, RECIPE_METADATA: recipe})


def is_marked(metadata: Mapping[str, str]) -> bool:
    return FETCHED in metadata


def secure_outputs(container: blobs.Container) -> None:
    """See that no output lies in a container alone, by fetching those that do.

    Raises OutputsLeftError if some can't be fetched, TemporaryError if storage doesn't answer now.
    """
    if is_marked(container.metadata):
        return
    left = _fetch_missing(container, _list_outputs(container.name))
    if left:
        raise OutputsLeftError(_explain(container, left))


def _list_outputs(container: str) -> dict[str, blobs.Blob]:
    """The outputs in a container, by name; none if it is gone."""
    try:
        return {name: blob for name, blob in blobs.list_blobs(container) if SOURCE_METADATA in blob.metadata}
    except NotFoundError:
        return {}


def _fetch_missing(container: blobs.Container, outputs: Mapping[str, blobs.Blob]) -> dict[str, str]:
    """Fetch the outputs that don't lie in their folder; of those that can't be, the reason."""
    folder = unquote(container.metadata.get(FOLDER, ""))
    if not folder:
        return dict.fromkeys(outputs, "it does not say where its outputs go")
    reasons = in_threads(lambda name: _secure(container, Path(folder), name, outputs[name]), outputs)
    return {name: reason for name, reason in zip(outputs, reasons, strict=True) if reason}


def _secure(container: blobs.Container, folder: Path, name: str, blob: blobs.Blob) -> str:
    """See that an output lies in its folder; why it doesn't, or "".

    A folder of another machine may have the same path: there nothing is written, but what lies there counts.
    """
    host = unquote(container.metadata.get(HOST, ""))
    recipe = container.metadata.get(RECIPE_METADATA)
    try:
        path = local_path(folder, name)
        if _is_fetched(blob, path):
            return ""
        if recipe and blob.metadata.get(RECIPE_METADATA, recipe) != recipe:
            return "it was made by another command, program or setting than the last attempt's"
        if host != platform.node():
            return f"its folder {folder} is on the machine {host}"
        # It may be the output of a later run.
        if path.is_file() and path.stat().st_mtime > blob.modified_at.timestamp():
            return f"{path} was written later, and has another content"
        _fetch(container.name, name, blob, folder, path)
    except (PermanentError, OSError) as error:
        return f"it can't be fetched to {folder}: {error}"
    return ""


def _is_fetched(blob: blobs.Blob, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != blob.size_bytes:
        return False
    return blob.content_md5 in (None, compute_md5(path)[0])


def _fetch(container: str, name: str, blob: blobs.Blob, folder: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(folder, path) as file:
        blobs.download_blob(container, name, file, lambda found: found.etag == blob.etag)
    run_logger().info("Fetched %s, which lay in the container %s alone", path, container)


def _explain(container: blobs.Container, left: Mapping[str, str]) -> str:
    """What lies where, why, until when, and what to do."""
    first, reason = next(iter(left.items()))
    owned = read_ownership(container.metadata)
    key = owned.run_key if owned else ""
    until = f", from {owned.expires_at:%Y-%m-%d %H:%M} UTC on" if owned and owned.expires_at else ""
    return (
        f"{say_count(len(left), 'output')} in the container {container.name} alone. The first is {first!r}: "
        f"{reason}. "
        f"It is kept: run again with run_key={key!r} to fetch them. Only a sweep with include_kept "
        f"deletes them{until}."
    )
