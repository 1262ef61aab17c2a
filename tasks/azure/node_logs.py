"""The end of what programs have printed, read from their nodes or, if these are gone, from storage."""

from collections.abc import Callable, Iterator

from azure.batch import BatchClient
from azure.core.exceptions import AzureError, ResourceNotFoundError

from tasks.azure import blobs
from tasks.azure.azure_errors import redacted
from tasks.azure.clients import batch_client
from tasks.base.deadlines import glance
from tasks.base.printable import make_printable
from tasks.errors import FanOutError
from tasks.spec.naming import log_blob

TAIL_BYTES = 2000


def read_task_stderr(job_id: str, task_id: str, output_container: str) -> str:
    """The end of a failed task's standard error, from its node or, if that is gone, from storage."""
    try:
        with glance(), batch_client("Reading stderr.txt") as client:
            return _read_tail(
                lambda: client.get_task_file_properties(job_id, task_id, "stderr.txt").content_length,
                lambda part: client.download_task_file(job_id, task_id, "stderr.txt", ocp_range=part),
            )
    except FanOutError:
        return _read_stored_stderr(output_container, task_id)


def _read_stored_stderr(output_container: str, task_id: str) -> str:
    name = log_blob(task_id, "stderr.txt")
    try:
        with glance():
            blob = blobs.find_blob(output_container, name)
            if blob is None or not blob.size_bytes:
                return ""
            offset = max(0, blob.size_bytes - TAIL_BYTES)
            return as_readable(blobs.read_blob(output_container, name, offset, TAIL_BYTES))
    except FanOutError:
        return ""


def stream_task_log(job_id: str, task_id: str, path: str) -> Iterator[bytes]:
    """All that a task's program has printed to one of its streams, from its node."""
    with batch_client(f"Reading {path}") as client:
        yield from client.download_task_file(job_id, task_id, path)


def read_start_task_stderr(client: BatchClient, pool_id: str, node_id: str) -> str:
    """The end of a start task's standard error; "" if the node doesn't give it."""
    path = "startup/stderr.txt"
    try:
        with glance():
            return _read_tail(
                lambda: client.get_node_file_properties(pool_id, node_id, path).content_length,
                lambda part: client.download_node_file(pool_id, node_id, path, ocp_range=part),
            )
    except (AzureError, ResourceNotFoundError):
        return ""


def _read_tail(size_of: Callable[[], int], read: Callable[[str], Iterator[bytes]]) -> str:
    """The last 2000 bytes of a file that is read by ranges, as text."""
    size = size_of()
    if not size:
        return ""
    return as_readable(b"".join(read(f"bytes={max(0, size - TAIL_BYTES)}-{size - 1}")))


def as_readable(content: bytes) -> str:
    """What a program has printed, fit to be shown."""
    return make_printable(redacted(content.decode(errors="replace").strip()))
