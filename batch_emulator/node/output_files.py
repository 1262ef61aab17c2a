"""Output files: what the service uploads to storage after a task's process has ended.

Source: REST `OutputFile`, `OutputFileBlobContainerDestination`; documentation "Persist task data to Azure
Storage with the Batch service API". Blob names follow from the pattern's fixed directory, as the service's
own log of uploads shows it (Azure/Batch issue 68): below it, what a wildcard matched keeps its sub-folders.
A pattern that matches nothing is no failure, with a wildcard or without.
"""

from __future__ import annotations

import asyncio
import base64
import glob
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.launch import Failure, WireObject
from batch_emulator.node.patterns import find_files
from batch_emulator.node.resource_files import blob_url
from batch_emulator.node.transfer import StorageError, TransferError, Transfers, for_each, read_slice

BLOCK_BYTES = 8 * 1024 * 1024
_WIDTH = 8
_BLOCK_WIDTH = 3
_STORAGE_VERSION = {"x-ms-version": "2021-12-02"}
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


@dataclass(frozen=True, slots=True)
class _Upload:
    pattern: str
    path: str
    container_url: str
    blob: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class _Report:
    """What happened, for the two logs that the service leaves beside stdout.txt."""

    done: list[_Upload] = field(default_factory=list)
    failed: list[tuple[_Upload, Failure]] = field(default_factory=list)


async def upload_output_files(
    transfers: Transfers,
    output_files: list[WireObject],
    task_directory: Path,
    environment: Mapping[str, str],
    exit_code: int,
) -> Failure | None:
    """Upload what matches and whose condition holds; all are tried. The first failure, if there was one."""
    wanted = [file for file in output_files if _applies(file, exit_code)]
    if not wanted:
        return None
    uploads = await _find(wanted, task_directory / "wd", environment)
    report = _Report()

    async def upload(item: _Upload) -> None:
        try:
            await _upload(transfers, item)
            report.done.append(item)
        except AttemptFailed as error:
            report.failed.append((item, error.failure))

    await for_each(upload, uploads, _WIDTH)
    _write_logs(report, task_directory)
    return report.failed[0][1] if report.failed else None


async def _find(
    output_files: list[WireObject], working_directory: Path, environment: Mapping[str, str]
) -> list[_Upload]:
    """Wildcards may have to walk through a big tree, which ends when this is cancelled. Plain names are
    looked for at once: a thread costs more than that."""
    if not any(glob.has_magic(file["filePattern"]) or "$" in file["filePattern"] for file in output_files):
        return _find_all(output_files, working_directory, environment, lambda: True)
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(
            _find_all, output_files, working_directory, environment, lambda: not given_up.is_set()
        )
    finally:
        given_up.set()


def _applies(file: WireObject, exit_code: int) -> bool:
    condition = (file.get("uploadOptions") or {}).get("uploadCondition") or "taskCompletion"
    return condition.lower() in ("taskcompletion", "tasksuccess" if exit_code == 0 else "taskfailure")


def _find_all(
    output_files: list[WireObject],
    working_directory: Path,
    environment: Mapping[str, str],
    is_wanted: Callable[[], bool],
) -> list[_Upload]:
    return [
        upload
        for file in output_files
        for upload in _find_uploads(file, working_directory, environment, is_wanted)
    ]


def _find_uploads(
    file: WireObject,
    working_directory: Path,
    environment: Mapping[str, str],
    is_wanted: Callable[[], bool],
) -> list[_Upload]:
    """The regular files that an output file's pattern matches now, in order of name, with their blobs."""
    container = file["destination"]["container"]
    headers = {header["name"]: header.get("value") or "" for header in container.get("uploadHeaders") or ()}
    root, pattern = _anchor(_expand(file["filePattern"], environment), working_directory)
    return [
        _Upload(
            file["filePattern"],
            os.path.join(root, match),
            container["containerUrl"],
            _blob_name(match, pattern, (container.get("path") or "").strip("/")),
            headers,
        )
        for match in find_files(root, pattern, is_wanted)
    ]


def _expand(pattern: str, environment: Mapping[str, str]) -> str:
    """$NAME and ${NAME} as the task saw them; what isn't set stays as it is written."""
    return _VARIABLE.sub(lambda match: environment.get(match[1].strip("{}"), match[0]), pattern)


def _anchor(pattern: str, working_directory: Path) -> tuple[str, str]:
    """A fixed directory and what the pattern is below it; the directory's own name is never a pattern."""
    root = working_directory
    task_directory = os.path.join(working_directory.parent, "")
    if pattern.startswith(task_directory):
        root, pattern = working_directory.parent, pattern.removeprefix(task_directory)
    elif pattern.startswith("/"):
        root, pattern = Path("/"), pattern.lstrip("/")
    while pattern.startswith(("./", "../")):
        dots, _, pattern = pattern.partition("/")
        root = root if dots == "." else root.parent
    return str(root), pattern


def _blob_name(match: str, pattern: str, path: str) -> str:
    if glob.has_magic(pattern):
        name = os.path.relpath(match, _fixed_directory(pattern) or ".").replace(os.sep, "/")
        return f"{path}/{name}" if path else name
    return path or os.path.basename(match)


def _fixed_directory(pattern: str) -> str:
    directory = os.path.dirname(pattern)
    while glob.has_magic(directory):
        directory = os.path.dirname(directory)
    return directory


async def _upload(transfers: Transfers, item: _Upload) -> None:
    """Raises AttemptFailed."""
    try:
        size_bytes = os.path.getsize(item.path)
        if size_bytes <= BLOCK_BYTES:
            headers = {**item.headers, "x-ms-blob-type": "BlockBlob"}
            await _put(transfers, blob_url(item.container_url, item.blob), item.path, 0, size_bytes, headers)
        else:
            await _upload_blocks(transfers, item, size_bytes)
    except (StorageError, TransferError, OSError, ValueError) as error:
        raise AttemptFailed(
            _code(error),
            FilePath=item.path,
            Container=_without_sas(item.container_url),
            Message=str(error) or type(error).__name__,
        ) from error


async def _upload_blocks(transfers: Transfers, item: _Upload, size_bytes: int) -> None:
    offsets = range(0, size_bytes, BLOCK_BYTES)

    async def put(offset: int) -> None:
        url = blob_url(item.container_url, item.blob, f"comp=block&blockid={_block_id(offset)}")
        await _put(transfers, url, item.path, offset, min(BLOCK_BYTES, size_bytes - offset), {})

    await for_each(put, offsets, _BLOCK_WIDTH)
    blocks = "".join(f"<Latest>{_block_id(offset)}</Latest>" for offset in offsets)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
    url = blob_url(item.container_url, item.blob, "comp=blocklist")

    async def commit() -> None:
        headers = {**_STORAGE_VERSION, **_list_headers(item.headers)}
        async with transfers.answer("PUT", url, headers=headers, content=body):
            pass

    await transfers.attempt(commit)


def _block_id(offset: int) -> str:
    # 18 digits: base64 without padding or signs, which would have to be quoted in a URL.
    return base64.b64encode(f"{offset:018d}".encode()).decode()


def _list_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Put Block List takes the blob's type under another name: its own Content-Type is that of the list."""
    return {
        "x-ms-blob-content-type" if name.lower() == "content-type" else name: value
        for name, value in headers.items()
    }


async def _put(
    transfers: Transfers, url: str, path: str, offset: int, size_bytes: int, headers: Mapping[str, str]
) -> None:
    sent = {**_STORAGE_VERSION, **headers, "Content-Length": str(size_bytes)}

    async def once() -> None:
        async with (
            aclosing(read_slice(path, offset, size_bytes)) as body,
            transfers.answer("PUT", url, headers=sent, content=body),
        ):
            pass

    await transfers.attempt(once)


def _code(error: Exception) -> str:
    if isinstance(error, StorageError):
        if error.status == 404:
            return "FileUploadContainerNotFound"
        if error.status in (401, 403) or error.code == "PublicAccessNotPermitted":
            return "FileUploadAccessDenied"
    return "FileUploadMiscError"


def _without_sas(url: str) -> str:
    return url.partition("?")[0]


def _write_logs(report: _Report, task_directory: Path) -> None:
    """fileuploadout.txt and fileuploaderr.txt, without the SAS that the service's own have."""
    done = [
        f"Uploaded {item.path} to {_without_sas(item.container_url)}/{item.blob}\n" for item in report.done
    ]
    failed = [
        json.dumps(
            {
                "code": failure.code,
                "pattern": item.pattern,
                "file": item.path,
                "destination": f"{_without_sas(item.container_url)}/{item.blob}",
                "details": dict(failure.details),
            }
        )
        + "\n"
        for item, failure in report.failed
    ]
    try:
        (task_directory / "fileuploadout.txt").write_text("".join(done), "utf-8", "surrogateescape")
        (task_directory / "fileuploaderr.txt").write_text("".join(failed), "utf-8", "surrogateescape")
    except OSError:
        pass
