"""Blobs at their places, in whichever account in use that is: what there is to know, and what has changed."""

import difflib

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.azure.storage_accounts import at_account
from tasks.errors import FanOutError
from tasks.spec.blob_places import BlobPlace, InputBlob


def find_at(place: BlobPlace) -> Blob | None:
    """What there is to know of the blob at a place; None if there is none."""
    with at_account(place.account):
        return blobs.find_blob(place.container, place.name)


def describe_change(blob: InputBlob | None) -> str:
    """Why what a task made is no output of an input as it was listed; "" if it is, or the input is no blob.

    Nobody can tell a node which version of a blob to read. But a blob that has the same ETag afterwards was
    the same all the time.
    """
    if blob is None:
        return ""
    now = find_at(blob)
    if now is None:
        return f"its input {blob.url} is gone, which was there when the run began"
    if now.etag != blob.etag:
        return f"its input {blob.url} was changed after the run had begun; run again"
    return ""


def describe_no_container(place: BlobPlace) -> str:
    """That there is no such container, and which one may be meant."""
    try:
        names = [one.name for one in blobs.list_containers()]
    except FanOutError:
        # Who may read a container need not be allowed to list them all.
        names = []
    near = difflib.get_close_matches(place.container, names, n=1)
    hint = f" There is {near[0]}." if near else ""
    return f"There is no container {place.container} in the storage account {place.account}.{hint}"
