"""Many small blobs, several on their way at once in one thread: what a run does for each of its files.

None stands for a blob that is to be done by itself (`tasks.azure.blobs`), as it is large, or anything else is
unusual.
"""

import hashlib
from collections.abc import Iterable, Iterator

from tasks.azure import small_blobs
from tasks.azure.blobs import Blob, describe_small
from tasks.azure.clients import blob_service
from tasks.azure.small_blobs import NewBlob


def upload_blobs(container: str, blobs: Iterable[NewBlob]) -> Iterator[str | None]:
    """Write blobs that carry their MD5s; the ETag of each, in their order."""
    with blob_service(f"Uploading to {container}") as service:
        yield from small_blobs.write_all(service, container, blobs)


def download_blobs(container: str, names: Iterable[str]) -> Iterator[tuple[Blob, bytes] | None]:
    """Blobs with their contents, in the order of their names."""
    with blob_service(f"Downloading from {container}") as service:
        for small in small_blobs.read_all(service, container, names):
            yield (describe_small(small), small.content) if small and _is_whole(small) else None


def _is_whole(small: small_blobs.SmallBlob) -> bool:
    return small.content_md5 in (None, hashlib.md5(small.content, usedforsecurity=False).digest())
