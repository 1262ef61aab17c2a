"""Resource files: what the service downloads into a task's working directory before the command starts.

Source: REST `ResourceFile`. Details of failures are named BlobSource and FilePath as the service names them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.launch import WireObject
from batch_emulator.node.transfer import (
    Answer,
    InvalidUrlError,
    StorageError,
    TransferError,
    Transfers,
    TransferTimeoutError,
    for_each,
)

_DEFAULT_MODE = 0o770
_WIDTH = 8
_STORAGE_VERSION = {"x-ms-version": "2021-12-02"}


@dataclass(frozen=True, slots=True)
class _Download:
    url: str
    file_path: str
    mode: int


async def download_resource_files(
    transfers: Transfers,
    resource_files: list[WireObject],
    working_directory: Path,
    node_root: Path | None = None,
) -> None:
    """Download all, each to its `filePath`. Raises AttemptFailed at the first that can't be.

    A path may be absolute, or lead out of the working directory, as on Azure; here it ends below `node_root`,
    the working directory where none is given. The blobs of a container never leave the folder that they fill.
    """
    root = node_root or working_directory

    async def download(item: _Download) -> None:
        await _download(transfers, item, _target(working_directory, root, item.file_path))

    single = [_single(file) for file in resource_files if file.get("httpUrl")]
    if single:
        await for_each(download, single, _WIDTH)
    for file in resource_files:
        if not file.get("httpUrl"):
            await _download_container(transfers, file, _folder(working_directory, root, file))


async def _download_container(transfers: Transfers, file: WireObject, folder: Path) -> None:
    async def download(item: _Download) -> None:
        await _download(transfers, item, _target(folder, folder, item.file_path))

    async for page in _pages(transfers, file):
        await for_each(download, page, _WIDTH)


def _folder(working_directory: Path, root: Path, file: WireObject) -> Path:
    """What the blobs of a container are to fill."""
    path = file.get("filePath")
    return _target(working_directory, root, path) if path else working_directory


def _single(file: WireObject) -> _Download:
    return _Download(file["httpUrl"], file["filePath"], _mode(file))


def _mode(file: WireObject) -> int:
    text = file.get("fileMode")
    return int(text, 8) & 0o7777 if text else _DEFAULT_MODE


async def _pages(transfers: Transfers, file: WireObject) -> AsyncIterator[list[_Download]]:
    """The blobs of the container that the resource file names, a page of the listing at a time."""
    container = file.get("storageContainerUrl")
    if container is None:
        raise _no_auto_storage(file["autoStorageContainerName"])
    marker = ""
    while True:
        names, marker = await _list_blobs(transfers, container, file.get("blobPrefix") or "", marker)
        yield [_in_container(container, name, file) for name in names if not name.endswith("/")]
        if not marker:
            return


def _in_container(container: str, name: str, file: WireObject) -> _Download:
    try:
        return _Download(blob_url(container, name), name, _mode(file))
    except InvalidUrlError as error:
        raise AttemptFailed("BlobDownloadMiscError", FilePath=name, Message=str(error)) from error


def _no_auto_storage(container_name: str) -> AttemptFailed:
    return AttemptFailed(
        "ResourceContainerNotFound", Container=container_name, Message="The account has no auto-storage"
    )


def blob_url(container_url: str, name: str, query: str = "") -> str:
    """The URL of a blob with the container's SAS, and `query` ("comp=block&...") after it. Raises
    InvalidUrlError for a name that no URL can hold."""
    if {".", ".."} & set(name.split("/")):
        # Whoever reads a URL takes them out of it, and so means another blob.
        raise InvalidUrlError(f"No URL can hold a blob's name with . or .. between slashes: {name}")
    base, _, sas = container_url.partition("?")
    url = f"{base.rstrip('/')}/{quote(name, safe='/~')}"
    parameters = "&".join(part for part in (sas, query) if part)
    return f"{url}?{parameters}" if parameters else url


async def _list_blobs(
    transfers: Transfers, container_url: str, prefix: str, marker: str
) -> tuple[list[str], str]:
    """One page of List Blobs: names, and the marker of the next page or an empty text."""
    base, _, sas = container_url.partition("?")
    query = f"restype=container&comp=list&prefix={quote(prefix, safe='')}&marker={quote(marker, safe='')}"
    url = f"{base}?{query}&{sas}"

    async def once() -> bytes:
        async with transfers.answer("GET", url, headers=_STORAGE_VERSION) as answer:
            return await answer.read()

    try:
        listing = ElementTree.fromstring(await transfers.attempt(once))
    except (StorageError, TransferError, ElementTree.ParseError) as error:
        raise AttemptFailed(
            _listing_code(error), BlobSource=container_url, Message=str(error) or type(error).__name__
        ) from error
    return [_blob_name(node) for node in listing.iterfind("Blobs/Blob/Name")], listing.findtext(
        "NextMarker", ""
    )


def _blob_name(node: ElementTree.Element) -> str:
    # List Blobs percent-encodes the names that XML can't hold.
    text = node.text or ""
    return unquote(text) if node.get("Encoded") == "true" else text


def _listing_code(error: Exception) -> str:
    status = error.status if isinstance(error, StorageError) else 0
    if status == 404:
        return "ResourceContainerNotFound"
    if status in (401, 403) or (status == 409 and _is_private(error)):
        return "ResourceContainerAccessDenied"
    return "ResourceContainerListMiscError"


def _download_code(error: Exception) -> str:
    if isinstance(error, TransferTimeoutError):
        return "BlobDownloadTimedOut"
    status = error.status if isinstance(error, StorageError) else 0
    if status == 404:
        return "BlobNotFound"
    if status in (401, 403) or (status == 409 and _is_private(error)):
        return "BlobAccessDenied"
    return "BlobDownloadMiscError"


def _is_private(error: Exception) -> bool:
    return getattr(error, "code", "") == "PublicAccessNotPermitted"


async def _download(transfers: Transfers, item: _Download, target: Path) -> None:
    _make_directory(target.parent)

    async def once() -> None:
        # Blobs are kept as they are stored: no encoding is asked for and none undone.
        async with transfers.answer("GET", item.url, headers={"Accept-Encoding": "identity"}) as answer:
            await _write(answer, target, item.mode)

    try:
        await transfers.attempt(once)
    except (StorageError, TransferError) as error:
        message = str(error) or type(error).__name__
        raise AttemptFailed(
            _download_code(error), BlobSource=item.url, FilePath=str(target), Message=message
        ) from error


def _target(directory: Path, root: Path, file_path: str) -> Path:
    """Where to write. Raises AttemptFailed for a path that leads out of `root`, also by a symbolic link
    that something left there."""
    inside = os.path.realpath(root)
    target = os.path.normpath(os.path.join(os.path.realpath(directory), file_path))
    parent = os.path.realpath(os.path.dirname(target)) if _is_name(file_path) else ""
    is_inside = parent == inside or parent.startswith(inside + os.sep)
    if target in (inside, os.path.realpath(directory)) or not is_inside:
        raise AttemptFailed(
            "ResourceFileCreateFailed",
            FilePath=file_path,
            Message="The path leads out of the node's folder",
        )
    return Path(target)


def _is_name(file_path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(file_path)
    except UnicodeEncodeError:
        return False


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _disk_failure("ResourceDirectoryCreateFailed", directory, error) from error


async def _write(answer: Answer, target: Path, mode: int) -> None:
    try:
        descriptor = _create(target, mode)
    except OSError as error:
        raise _disk_failure("ResourceFileCreateFailed", target, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for piece in answer.read_pieces():
                file.write(piece)
    except OSError as error:
        raise _disk_failure("ResourceFileWriteFailed", target, error) from error


def _create(target: Path, mode: int) -> int:
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, mode)
    return descriptor


def _disk_failure(code: str, path: Path, error: OSError) -> AttemptFailed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        code = "DiskFull"
    return AttemptFailed(code, FilePath=str(path), Message=error.strerror or str(error))
