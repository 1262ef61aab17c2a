"""Containers, their URLs and contents; transfers; a server that answers in place of storage."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient, generate_container_sas

from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.launch import Failure
from batch_emulator.node.output_files import upload_output_files
from batch_emulator.node.resource_files import download_resource_files
from batch_emulator.node.transfer import Transfers

NAMES = ["plain.txt", "sub folder/it's.txt", 'say "hi".txt', "a;b$(x)#?%41&=+.txt", "naïve/程序.txt", "-dash"]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


def sas(container: ContainerClient, permission: str) -> str:
    return generate_container_sas(
        container.account_name,
        container.container_name,
        account_key=container.credential.account_key,
        permission=permission,
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )


def container_url(container: ContainerClient, permission: str) -> str:
    return f"{container.url}?{sas(container, permission)}"


def blob_url(container: ContainerClient, name: str, permission: str = "r") -> str:
    return f"{container.get_blob_client(name).url}?{sas(container, permission)}"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1_000_000):
            digest.update(piece)
    return digest.hexdigest()


def blobs(container: ContainerClient) -> dict[str, bytes]:
    return {name: container.download_blob(name).readall() for name in container.list_blob_names()}


def output(pattern: str, url: str, condition: str = "taskCompletion", **container: Any) -> dict[str, Any]:
    return {
        "filePattern": pattern,
        "destination": {"container": {"containerUrl": url, **container}},
        "uploadOptions": {"uploadCondition": condition},
    }


async def download_failure(transfers: Transfers, wd: Path, **file: str) -> Failure:
    with pytest.raises(AttemptFailed) as error:
        await download_resource_files(transfers, [file], wd)
    return error.value.failure


async def upload(
    transfers: Transfers, wd: Path, *files: dict[str, Any], exit_code: int = 0, **environment: str
) -> Failure | None:
    return await upload_output_files(transfers, list(files), wd.parent, environment, exit_code)


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    """A server that reads a request's head and has `handle` do the rest, told the request's number from 1."""
    count = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        await reader.readuntil(b"\r\n\r\n")
        count += 1
        try:
            await handle(reader, writer, count)
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/a%20b/c?sig=1"


async def reply(
    writer: asyncio.StreamWriter, status: int, body: bytes = b"", length: int | None = None
) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body) if length is None else length}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    await writer.drain()
