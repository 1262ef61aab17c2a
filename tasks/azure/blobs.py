"""Blobs and their containers: all that a run asks of its storage account, but for the signatures in `sas`.

The one place that knows the storage client: plain data goes in and comes out, its errors are ours. Each
function speaks to the accounts in use.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobProperties, ContentSettings, StorageStreamDownloader

from tasks.azure import small_blobs
from tasks.azure.clients import blob_service
from tasks.azure.error_codes import Code, has_code
from tasks.azure.small_blobs import NewBlob, SmallBlob
from tasks.base.deadlines import leave_time
from tasks.errors import NotFoundError, TemporaryError

# Blobs up to this size may be sent at once, from memory.
SMALL_BYTES = small_blobs.SIZE_MAX_BYTES
# What the service answers where there is no container to delete, or another one than was meant.
UNDELETED: tuple[Code, ...] = ("ContainerNotFound", "ContainerBeingDeleted", "ConditionNotMet")


@dataclass(frozen=True)
class Container:
    """A blob container."""

    name: str
    modified_at: datetime
    metadata: dict[str, str]


@dataclass(frozen=True)
class Blob:
    """A blob, without its content."""

    size_bytes: int
    content_md5: bytes | None
    """None for a blob that was written without one."""

    etag: str
    """Another one after each change, and for each blob that there ever was under its name."""

    modified_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)
    is_archived: bool = False
    """Whether it can't be read before it is brought to another tier."""


def locate_account() -> str:
    """The URL of the storage account, with no slash at its end."""
    with blob_service("Locating the storage account") as service:
        return service.url.rstrip("/")


def locate_container(name: str) -> str:
    """The URL of a container, whether there is one or not: no two accounts have the same."""
    with blob_service(f"Locating the container {name}") as service:
        # Asked for each file of a run, and a client of the container takes a millisecond to make.
        return f"{service.url.rstrip('/')}/{quote(name)}"


def create_container(name: str, metadata: dict[str, str] | None = None) -> bool:
    """Create a container; False if there is one of that name, whose metadata stays."""
    with blob_service(f"Creating the container {name}") as service:
        try:
            service.create_container(name, metadata=metadata)
        except ResourceExistsError as error:
            if not has_code(error, "ContainerAlreadyExists"):
                raise
            return False
    return True


def find_container(name: str) -> Container | None:
    """The container of that name; None if there is none, or it is being deleted."""
    with blob_service(f"Looking for the container {name}") as service:
        try:
            found = service.get_container_client(name).get_container_properties()
        except ResourceNotFoundError:
            return None
        except ResourceExistsError as error:
            if not has_code(error, "ContainerBeingDeleted"):
                raise
            return None
    return Container(found.name, found.last_modified, dict(found.metadata or {}))


def list_containers() -> Iterator[Container]:
    """All containers of the account."""
    with blob_service("Listing containers") as service:
        for found in service.list_containers(include_metadata=True):
            yield Container(found.name, found.last_modified, dict(found.metadata or {}))


def set_container_metadata(name: str, metadata: dict[str, str]) -> None:
    with blob_service(f"Changing the metadata of the container {name}") as service:
        service.get_container_client(name).set_container_metadata(metadata)


def delete_container(name: str, unmodified_since: datetime | None = None) -> bool:
    """Delete a container with all in it; False if there is none, or it was changed since that time."""
    options: dict[str, Any] = {"if_unmodified_since": unmodified_since} if unmodified_since else {}
    with blob_service(f"Deleting the container {name}") as service:
        try:
            service.delete_container(name, **options)
        except HttpResponseError as error:
            if not has_code(error, *UNDELETED):
                raise
            return False
    return True


def find_blob(container: str, name: str) -> Blob | None:
    """What there is to know of a blob; None if there is none."""
    with blob_service(f"Looking for the blob {name}") as service:
        answer = small_blobs.look(service, container, name)
        if answer is not None:
            return None if answer.status == 404 else _read_headers(answer.headers)
        try:
            found = service.get_blob_client(container, name).get_blob_properties()
        except ResourceNotFoundError:
            return None
    return _read_blob_properties(found)


def _read_headers(headers: dict[str, str]) -> Blob:
    md5, etag, modified_at, metadata = small_blobs.read_properties(headers)
    is_archived = headers.get("x-ms-access-tier") == "Archive"
    return Blob(int(headers["content-length"]), md5, etag, modified_at, metadata, is_archived)


def list_blobs(container: str, prefix: str = "") -> Iterator[tuple[str, Blob]]:
    """The blobs of a container with their names, all that begin so, 5,000 with each request."""
    with blob_service(f"Listing the blobs in {container}") as service:
        client = service.get_container_client(container)
        for found in client.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
            yield found.name, _read_blob_properties(found)


def _read_blob_properties(found: BlobProperties) -> Blob:
    digest = found.content_settings.content_md5
    # A listing has the ETag without its quotes.
    etag, metadata = found.etag.strip('"'), dict(found.metadata or {})
    is_archived = str(found.blob_tier) == "Archive"
    md5 = bytes(digest) if digest else None
    return Blob(found.size, md5, etag, found.last_modified, metadata, is_archived)


def upload_blob(
    container: str,
    name: str,
    path: str | Path,
    size_bytes: int,
    content_md5: bytes,
    content: bytes | None = None,
) -> str:
    """Stream a file into a blob that carries its MD5, in the place of one that is there; the blob's ETag.
    `content` is that of a small file, if it has been read.

    Raises OSError for a file that can't be read, TemporaryError for one whose content is another by now: then
    there is no such blob, as the last of it is not sent.
    """
    if content is not None:
        with blob_service(f"Uploading {name}") as service:
            etag = small_blobs.write(service, container, NewBlob(name, content, content_md5))
        if etag is not None:
            return etag
    settings = ContentSettings(content_type="application/octet-stream", content_md5=bytearray(content_md5))
    with blob_service(f"Uploading {name}") as service, open(path, "rb") as file:
        stream = _CheckedReader(file, size_bytes, content_md5)
        blob, data = service.get_blob_client(container, name), cast(BinaryIO, stream)
        answer = blob.upload_blob(data, length=size_bytes, overwrite=True, content_settings=settings)
    return answer["etag"].strip('"')


def _changing(path: str | Path) -> TemporaryError:
    return TemporaryError(f"The file {path} changes while it is uploaded.")


class _CheckedReader:
    """The first so many bytes of a file, read once from its start; the last are withheld if the MD5 of all is
    another.

    The storage client reads what it sends before it sends it, and makes a blob of blocks with a request after
    the last block. So no blob ever has other content than its MD5 says.
    """

    def __init__(self, file: BinaryIO, size_bytes: int, content_md5: bytes):
        self._file, self._left, self._expected = file, size_bytes, content_md5
        self._digest = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._file.read(wanted)
        self._digest.update(block)
        self._left -= len(block)
        is_last = self._left == 0 or len(block) < wanted
        if is_last and self._digest.digest() != self._expected:
            raise _changing(self._file.name)
        return block


def write_blob(container: str, name: str, content: bytes) -> None:
    """Write a small blob, in the place of one that is there."""
    with blob_service(f"Writing the blob {name}") as service:
        service.get_blob_client(container, name).upload_blob(content, overwrite=True)


def try_to_write(container: str, name: str) -> None:
    """Ask for a blob to be written on a condition that it never meets: nothing is, but where that is not
    allowed, or there is no such container, the error says so."""
    with blob_service(f"Seeing whether blobs may be written to {container}") as service:
        try:
            service.get_blob_client(container, name).upload_blob(
                b"", overwrite=True, etag='"0x0"', match_condition=MatchConditions.IfNotModified
            )
        except HttpResponseError as error:
            # 412, by whatever code. Azurite answers like that too.
            if error.status_code != 412:
                raise


def download_blob(
    container: str, name: str, file: BinaryIO, is_wanted: Callable[[Blob], bool] = lambda _: True
) -> tuple[bytes, str]:
    """Stream a blob into a file; the MD5 of its content, and its ETag.

    Raises NotFoundError if there is no such blob, or it is not wanted, TemporaryError if what came is not as
    long as the blob or not what its MD5 says, OSError if the file can't be written.
    """
    with blob_service(f"Downloading {name}") as service:
        small = small_blobs.read(service, container, name)
    if small is not None:
        return _receive(name, describe_small(small), [small.content], file, is_wanted), small.etag
    with blob_service(f"Downloading {name}") as service:
        download = service.get_blob_client(container, name).download_blob()
        blob = _read_blob_properties(download.properties)
        return _receive(name, blob, _read_blocks(download), file, is_wanted), blob.etag


def _read_blocks(download: StorageStreamDownloader[bytes]) -> Iterator[bytes]:
    """A blob's content as it comes: each block leaves time for the next one."""
    for block in download.chunks():
        leave_time()
        yield block


def describe_small(small: SmallBlob) -> Blob:
    return Blob(
        size_bytes=len(small.content),
        content_md5=small.content_md5,
        etag=small.etag,
        modified_at=small.modified_at,
        metadata=small.metadata,
    )


def _receive(
    name: str, blob: Blob, blocks: Iterable[bytes], file: BinaryIO, is_wanted: Callable[[Blob], bool]
) -> bytes:
    """Write a blob's content into a file; its MD5, compared with what the blob says."""
    if not is_wanted(blob):
        raise NotFoundError(f"The blob {name} is another than the one that is wanted.")
    digest, size_bytes = hashlib.md5(usedforsecurity=False), 0
    for block in blocks:
        digest.update(block)
        size_bytes += len(block)
        file.write(block)
    if size_bytes != blob.size_bytes or blob.content_md5 not in (None, digest.digest()):
        raise TemporaryError(f"The content of {name} was changed on its way here.")
    return digest.digest()


def read_blob(container: str, name: str, offset: int = 0, length: int | None = None) -> bytes:
    """The content of a small blob, or a part of one; the part must not be empty. Raises NotFoundError."""
    with blob_service(f"Reading the blob {name}") as service:
        return b"".join(_read_blocks(service.get_blob_client(container, name).download_blob(offset, length)))
