"""Output files to a real Azurite: which, under which name, and what is told of failures."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from batch_emulator.node import output_files
from batch_emulator.node.output_files import BLOCK_BYTES
from batch_emulator.node.transfer import Transfers
from tests.integration.nodes.storing import (
    NAMES,
    blobs,
    container_url,
    output,
    reply,
    sas,
    server,
    upload,
)


@pytest.fixture
def outputs(wd: Path) -> Path:
    """A task's directory after its process has written files of many names."""
    for name in ["a.txt", "b.log", ".hidden.txt", "sub/c.txt", "sub/deep/d.txt", "[x].txt", "sub/e.log"]:
        (wd / name).parent.mkdir(parents=True, exist_ok=True)
        (wd / name).write_text(name)
    for name in ["stdout.txt", "stderr.txt"]:
        (wd.parent / name).write_text(name)
    return wd


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a.txt", None, {"a.txt"}),
        ("a.txt", "to/here.txt", {"to/here.txt"}),
        ("sub/c.txt", None, {"c.txt"}),
        ("sub/c.txt", "x/c.txt", {"x/c.txt"}),
        ("../stdout.txt", None, {"stdout.txt"}),
        ("../stdout.txt", "t1/out", {"t1/out"}),
        ("../std*.txt", "t1", {"t1/stdout.txt", "t1/stderr.txt"}),
        ("../std*.txt", "t1/", {"t1/stdout.txt", "t1/stderr.txt"}),
        ("*.txt", None, {"a.txt", "[x].txt"}),
        ("*.txt", "p", {"p/a.txt", "p/[x].txt"}),
        ("?.txt", "p", {"p/a.txt"}),
        (".*.txt", "p", {"p/.hidden.txt"}),
        ("[[]x[]].txt", "p", {"p/[x].txt"}),
        ("[!a]*.log", "p", {"p/b.log"}),
        ("**/*.txt", "p", {"p/a.txt", "p/[x].txt", "p/sub/c.txt", "p/sub/deep/d.txt"}),
        ("sub/**/*.txt", "p", {"p/c.txt", "p/deep/d.txt"}),
        ("sub/*", "p", {"p/c.txt", "p/e.log"}),
        ("**", "p", {"p/a.txt", "p/b.log", "p/[x].txt", "p/sub/c.txt", "p/sub/deep/d.txt", "p/sub/e.log"}),
        ("$AZ_BATCH_TASK_DIR/std*.txt", "p", {"p/stdout.txt", "p/stderr.txt"}),
        ("${AZ_BATCH_TASK_WORKING_DIR}/a.txt", None, {"a.txt"}),
        ("$KIND.txt", "p", {"p"}),
        ("$UNSET.txt", "p", set()),
        ("absent.txt", "p", set()),
        ("absent/*.txt", "p", set()),
        ("sub", "p", set()),
    ],
)
async def test_patterns_and_blob_names(
    transfers: Transfers,
    container: ContainerClient,
    outputs: Path,
    pattern: str,
    path: str | None,
    expected: set[str],
) -> None:
    """A pattern without wildcard names one blob by `path`, one with wildcards many below it; what matches
    nothing is no failure."""
    variables = {
        "AZ_BATCH_TASK_DIR": str(outputs.parent),
        "AZ_BATCH_TASK_WORKING_DIR": str(outputs),
        "KIND": "a",
    }
    where = {} if path is None else {"path": path}
    file = output(pattern, container_url(container, "w"), **where)
    assert await upload(transfers, outputs, file, **variables) is None
    assert set(container.list_blob_names()) == expected


@pytest.mark.parametrize("name", NAMES)
async def test_upload_of_any_name(
    transfers: Transfers, container: ContainerClient, wd: Path, name: str
) -> None:
    """A file of any name becomes a blob of that name."""
    (wd / name).parent.mkdir(exist_ok=True)
    (wd / name).write_bytes(b"content")
    assert await upload(transfers, wd, output("**", container_url(container, "w"))) is None
    assert blobs(container) == {name: b"content"}


@pytest.mark.parametrize(
    ("condition", "exit_code", "expected"),
    [
        ("taskSuccess", 0, True),
        ("TaskSuccess", 1, False),
        ("taskfailure", 0, False),
        ("TASKFAILURE", -9, True),
        ("taskCompletion", 0, True),
        ("taskcompletion", 1, True),
    ],
)
async def test_upload_conditions(
    transfers: Transfers,
    container: ContainerClient,
    outputs: Path,
    condition: str,
    exit_code: int,
    expected: bool,
) -> None:
    """Files are uploaded when their condition holds, whatever its case."""
    file = output("a.txt", container_url(container, "w"), condition)
    assert await upload(transfers, outputs, file, exit_code=exit_code) is None
    assert bool(blobs(container)) is expected


@pytest.mark.parametrize("size_bytes", [0, 10, BLOCK_BYTES, BLOCK_BYTES + 1])
async def test_upload_headers(
    transfers: Transfers, container: ContainerClient, wd: Path, size_bytes: int
) -> None:
    """uploadHeaders apply to a blob of any size; the content is the file's."""
    (wd / "x").write_bytes(content := os.urandom(size_bytes))
    headers = [{"name": "Content-Type", "value": "text/css"}, {"name": "x-ms-meta-run", "value": "7"}]
    file = output("x", container_url(container, "w"), uploadHeaders=headers)
    assert await upload(transfers, wd, file) is None
    blob = container.get_blob_client("x")
    properties = blob.get_blob_properties()
    assert (properties.content_settings.content_type, properties.metadata) == ("text/css", {"run": "7"})
    assert blob.download_blob().readall() == content


async def test_upload_failures(
    transfers: Transfers, container: ContainerClient, service: BlobServiceClient, outputs: Path
) -> None:
    """The first failure is told with the documented code, and the other files are uploaded all the same."""
    absent = service.get_container_client("absent")
    missing = f"{absent.url}?{sas(absent, 'w')}"
    good = output("b.log", container_url(container, "w"))
    failure = await upload(transfers, outputs, output("a.txt", missing), good)
    assert failure is not None
    assert (failure.category, failure.code) == ("UserError", "FileUploadContainerNotFound")
    assert "sig=" not in str(failure)
    assert set(blobs(container)) == {"b.log"}
    failure = await upload(transfers, outputs, output("a.txt", container_url(container, "r")))
    assert failure is not None
    assert failure.code == "FileUploadAccessDenied"
    failure = await upload(transfers, outputs, output("a.txt", "http://127.0.0.1:1/c"))
    assert failure is not None
    assert failure.code == "FileUploadMiscError"


async def test_upload_logs(transfers: Transfers, container: ContainerClient, outputs: Path) -> None:
    """The two logs of an upload say what went where and what failed, and hold no secret."""
    good, bad = container_url(container, "w"), container_url(container, "r")
    await upload(transfers, outputs, output("a.txt", good), output("b.log", bad))
    done = (outputs.parent / "fileuploadout.txt").read_text()
    failed = (outputs.parent / "fileuploaderr.txt").read_text()
    assert f"{outputs / 'a.txt'} to {container.url}/a.txt" in done
    assert "FileUploadAccessDenied" in failed
    assert "b.log" in failed
    assert "sig=" not in done + failed


async def test_upload_is_tried_again(transfers: Transfers, wd: Path) -> None:
    """After a 503 the whole body is sent once more."""
    (wd / "x").write_bytes(b"0123456789")
    bodies = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        bodies.append(await reader.readexactly(10))
        await reply(writer, 503 if number < 3 else 201)

    async with server(handle) as url:
        assert await upload(transfers, wd, output("x", url)) is None
    assert bodies == [b"0123456789"] * 3


async def test_file_that_became_unreadable(
    transfers: Transfers, container: ContainerClient, wd: Path
) -> None:
    """A file name that is not UTF-8 can't be a blob's: FileUploadMiscError, in text that can be sent."""
    (wd / os.fsdecode(b"latin-\xe9")).write_bytes(b"")
    failure = await upload(transfers, wd, output("*", container_url(container, "w")))
    assert failure is not None
    assert failure.code == "FileUploadMiscError"
    str(failure).encode()


@pytest.mark.parametrize("path", ["../other", "a/../../b", "./a", ".."])
async def test_path_that_no_url_can_hold(transfers: Transfers, wd: Path, path: str) -> None:
    """Where the blob's name would mean another one to a reader of its URL, nothing is sent; it is said."""
    (wd / "x").write_bytes(b"")
    asked = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        asked.append(number)

    async with server(handle) as url:
        failure = await upload(transfers, wd, output("x", url, path=path))
    assert failure is not None
    assert failure.code == "FileUploadMiscError"
    assert "between slashes" in str(failure)
    assert asked == []


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "xn--a.b", "127.0.0.1:0", "a b", "[v1.x]", "é\0"])
async def test_url_that_leads_nowhere(transfers: Transfers, wd: Path, host: str) -> None:
    """Any text as the container's URL is a failure of the upload, and no error of the service."""
    (wd / "x").write_bytes(b"")
    failure = await upload(transfers, wd, output("x", f"http://{host}/c"))
    assert failure is not None
    assert failure.code == "FileUploadMiscError"


async def test_endless_search_ends_with_its_task(
    transfers: Transfers, wd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that is given up leaves no thread that searches."""
    searching, ended = threading.Event(), threading.Event()

    def search(root: str, pattern: str, is_wanted: Callable[[], bool]) -> list[str]:
        searching.set()
        while is_wanted():
            pass
        ended.set()
        return []

    monkeypatch.setattr(output_files, "find_files", search)
    uploading = asyncio.create_task(upload(transfers, wd, output("**", "http://127.0.0.1/c")))
    await asyncio.to_thread(searching.wait)
    uploading.cancel()
    await asyncio.to_thread(ended.wait)
    with pytest.raises(asyncio.CancelledError):
        await uploading
