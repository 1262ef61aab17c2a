"""Transfers that meet faults, limits and big files."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import psutil
import pytest
from azure.storage.blob import ContainerClient

from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.output_files import BLOCK_BYTES
from batch_emulator.node.resource_files import download_resource_files
from batch_emulator.node.transfer import Transfers
from tests.integration.nodes.storing import (
    blob_url,
    container_url,
    download_failure,
    output,
    reply,
    server,
    sha256,
    tree,
    upload,
)

BIG_BYTES = 100_000_000


async def test_passing_faults_are_tried_again(transfers: Transfers, wd: Path) -> None:
    """A 503 and a connection that breaks in the middle are tried again, and nothing is written twice."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        if number == 1:
            await reply(writer, 503)
        else:
            await reply(writer, 200, b"whole" if number == 3 else b"wh", length=5)

    async with server(handle) as url:
        await download_resource_files(transfers, [{"httpUrl": url, "filePath": "x"}], wd)
    assert tree(wd) == {"x": b"whole"}


@pytest.mark.parametrize(
    ("status", "tries", "code"),
    [
        (500, 3, "BlobDownloadMiscError"),
        (429, 3, "BlobDownloadMiscError"),
        (400, 1, "BlobDownloadMiscError"),
        (404, 1, "BlobNotFound"),
        (401, 1, "BlobAccessDenied"),
    ],
)
async def test_lasting_faults_have_their_code(
    transfers: Transfers, wd: Path, status: int, tries: int, code: str
) -> None:
    """An answer that stays bad becomes the failure of its status, after as many tries as it deserves."""
    seen = []

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        seen.append(number)
        await reply(writer, status)

    async with server(handle) as url:
        failure = await download_failure(transfers, wd, httpUrl=url, filePath="x")
    assert (failure.code, len(seen)) == (code, tries)


@pytest.mark.parametrize(
    "said",
    ["", "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nonly"],
)
async def test_silence_is_a_timeout(wd: Path, said: str) -> None:
    """Storage that says nothing for too long, also in the midst of a file, is BlobDownloadTimedOut, a
    ServerError."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(said.encode())
        await reader.read()

    transfers = Transfers(timeout_seconds=0.1, retry_delays_seconds=(0.01,))
    async with server(handle) as url:
        failure = await download_failure(transfers, wd, httpUrl=url, filePath="x")
        await transfers.close()
    assert (failure.category, failure.code) == ("ServerError", "BlobDownloadTimedOut")


async def test_storage_that_takes_nothing_is_a_failure(wd: Path) -> None:
    """Of a file that is too large for what lies between two sockets."""

    async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter, number: int) -> None:
        while not reader.at_eof():
            await asyncio.sleep(0.01)

    (wd / "large").write_bytes(bytes(BLOCK_BYTES))
    transfers = Transfers(
        timeout_seconds=0.1, retry_delays_seconds=(), slowest_bytes_per_second=10 * BLOCK_BYTES
    )
    async with server(handle) as url:
        failure = await asyncio.wait_for(upload(transfers, wd, output("large", url)), 30)
        await transfers.close()
    assert failure is not None
    assert failure.code == "FileUploadMiscError"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "ftp://127.0.0.1/x", "no url", "http://[/", ""])
async def test_useless_urls(transfers: Transfers, wd: Path, url: str) -> None:
    """A URL where nothing answers, or that is none, fails the attempt instead of breaking it."""
    with pytest.raises(AttemptFailed) as error:
        await download_resource_files(transfers, [{"storageContainerUrl": url or "x"}], wd)
    assert error.value.failure.code == "ResourceContainerListMiscError"
    if url:
        assert (
            await download_failure(transfers, wd, httpUrl=url, filePath="x")
        ).code == "BlobDownloadMiscError"


async def test_no_more_requests_than_the_limit(wd: Path) -> None:
    """However many files there are, only `limit` requests are under way at once."""
    under_way, most = 0, 0

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(10):
            await asyncio.sleep(0)
        under_way -= 1
        await reply(writer, 200)

    transfers = Transfers(limit=3)
    async with server(handle) as url:
        files = [{"httpUrl": url, "filePath": str(number)} for number in range(30)]
        await asyncio.gather(
            *(download_resource_files(transfers, files, wd / str(task)) for task in range(4))
        )
        await transfers.close()
    assert len(tree(wd)) == 120
    assert most == 3


@pytest.mark.soak
async def test_big_files_cost_no_memory(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """100 MB go to storage and come back unchanged while memory grows by a small part of that."""
    digest = hashlib.sha256()
    with open(wd / "big", "wb") as file:
        for _ in range(BIG_BYTES // 1_000_000):
            file.write(piece := os.urandom(1_000_000))
            digest.update(piece)
    peak, before = 0, psutil.Process().memory_info().rss

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, psutil.Process().memory_info().rss)
            await asyncio.sleep(0.005)

    watching = asyncio.ensure_future(watch())
    assert await upload(transfers, wd, output("big", container_url(container, "w"))) is None
    url = blob_url(container, "big")
    await download_resource_files(transfers, [{"httpUrl": url, "filePath": "back"}], wd)
    watching.cancel()
    assert sha256(wd / "back") == digest.hexdigest()
    assert peak - before < BIG_BYTES / 3
