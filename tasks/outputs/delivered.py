"""Outputs that nodes have written to where they are to be, in blob storage: seen there, and never read."""

from collections.abc import Sequence

from prefect import task

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.azure.node_logs import TAIL_BYTES, as_readable
from tasks.azure.places import describe_change, find_at
from tasks.azure.storage_accounts import at_account
from tasks.base.deadlines import glance
from tasks.downloads import Fetched
from tasks.errors import FanOutError
from tasks.sharding import in_threads
from tasks.spec.blob_places import BlobPlace
from tasks.spec.naming import SOURCE_METADATA
from tasks.spec.output_places import OutputPlace
from tasks.spec.work import WorkItem
from tasks.step import NOT_CACHED, RETRIED, Whole, as_whole


# Not cached: one request is all that a record would save.
@task(name="see output", task_run_name="see {item.output_name}", **NOT_CACHED, **RETRIED)
def see_output(outputs: OutputPlace, item: WorkItem) -> Fetched | None:
    """See that an output is in its place; None if the work has left none."""
    return _see(outputs, item)


# Not cached: it only looks at what is there.
@task(name="see outputs", task_run_name="see shard {label}", **NOT_CACHED, **RETRIED)
def see_shard(label: str, outputs: OutputPlace, items: Sequence[WorkItem]) -> Whole[list[Fetched | None]]:
    """See that a shard of the outputs is in its place; None for work that has left none."""
    return as_whole(in_threads(lambda item: _see(outputs, item), items))


def _see(outputs: OutputPlace, item: WorkItem) -> Fetched | None:
    place = outputs.locate(item.output_name)
    blob = find_at(place)
    if blob is None or not is_output(blob, item):
        return None
    if problem := describe_change(item.blob):
        return Fetched("", "", problem)
    return Fetched(blob.content_md5.hex() if blob.content_md5 else "", blob.etag)


def is_output(blob: Blob, item: WorkItem) -> bool:
    """Whether a blob says of itself that it is this item's output."""
    return blob.metadata.get(SOURCE_METADATA) == item.source


def has_output(outputs: OutputPlace, item: WorkItem) -> bool:
    """Whether there is a blob that says of itself that it is this item's output."""
    blob = find_at(outputs.locate(item.output_name))
    return blob is not None and is_output(blob, item)


def read_log_tail(outputs: OutputPlace, blob: str) -> str:
    """The end of what a program has printed, from the blob that keeps it; "" if there is none."""
    place = BlobPlace(outputs.account, outputs.container, blob)
    try:
        with glance(), at_account(place.account):
            found = blobs.find_blob(place.container, place.name)
            if found is None or not found.size_bytes:
                return ""
            offset = max(0, found.size_bytes - TAIL_BYTES)
            return as_readable(blobs.read_blob(place.container, place.name, offset, TAIL_BYTES))
    except FanOutError:
        return ""
