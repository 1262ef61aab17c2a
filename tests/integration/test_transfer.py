"""Resource files and output files, between a real Azurite and folders; a server of ours makes the faults."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings, generate_container_sas

from batch_emulator.failures import AttemptFailed
from batch_emulator.launch import Failure
from batch_emulator.output_files import BLOCK_BYTES, upload_output_files
from batch_emulator.resource_files import download_resource_files
from batch_emulator.transfer import Transfers
from deployments.azurite import BlobStorage

NAMES = ["plain.txt", "sub folder/it's.txt", 'say "hi".txt', "a;b$(x)#?%41&=+.txt", "naïve/程序.txt", "-dash"]
BIG_BYTES = 100_000_000


@pytest.fixture(scope="module")
def service(storage: BlobStorage) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(storage.connection_string) as service:
        yield service


@pytest.fixture
def container(service: BlobServiceClient) -> Iterator[ContainerClient]:
    """A container of the test's own."""
    with service.create_container(f"t{uuid.uuid4().hex}") as container:
        yield container
        container.delete_container()


@pytest.fixture
async def transfers() -> AsyncIterator[Transfers]:
    transfers = Transfers(retry_delays_seconds=(0.01, 0.01))
    yield transfers
    await transfers.close()


@pytest.fixture
def wd(tmp_path: Path) -> Path:
    """The working directory of a task whose path looks like a pattern."""
    wd = tmp_path / "nodes [a-z]*" / "task" / "wd"
    wd.mkdir(parents=True)
    return wd


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


def blobs(container: ContainerClient) -> dict[str, bytes]:
    return {name: container.download_blob(name).readall() for name in container.list_blob_names()}


async def download_failure(transfers: Transfers, wd: Path, **file: str) -> Failure:
    with pytest.raises(AttemptFailed) as error:
        await download_resource_files(transfers, [file], wd)
    return error.value.failure


def output(pattern: str, url: str, condition: str = "taskCompletion", **container: Any) -> dict[str, Any]:
    return {
        "filePattern": pattern,
        "destination": {"container": {"containerUrl": url, **container}},
        "uploadOptions": {"uploadCondition": condition},
    }


async def upload(
    transfers: Transfers, wd: Path, *files: dict[str, Any], exit_code: int = 0, **environment: str
) -> Failure | None:
    return await upload_output_files(transfers, list(files), wd.parent, environment, exit_code)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


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


@pytest.mark.parametrize("name", NAMES)
async def test_download_of_a_blob(
    transfers: Transfers, container: ContainerClient, wd: Path, name: str
) -> None:
    """A blob of any name comes from its SAS URL to a path of any name, mode 0770 if none is asked for."""
    container.upload_blob(name, b"content")
    await download_resource_files(
        transfers, [{"httpUrl": blob_url(container, name), "filePath": f"to/{name}"}], wd
    )
    assert tree(wd) == {f"to/{name}": b"content"}
    assert (wd / "to" / name).stat().st_mode & 0o7777 == 0o770


async def test_download_with_a_mode(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """fileMode is octal and not narrowed by the emulator's umask."""
    container.upload_blob("x", b"")
    url = blob_url(container, "x")
    await download_resource_files(
        transfers,
        [
            {"httpUrl": url, "filePath": "a", "fileMode": "0666"},
            {"httpUrl": url, "filePath": "b", "fileMode": "755"},
        ],
        wd,
    )
    assert [(wd / name).stat().st_mode & 0o7777 for name in "ab"] == [0o666, 0o755]


async def test_download_keeps_an_encoding(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """A blob with a Content-Encoding arrives as it is stored."""
    container.upload_blob(
        "x.gz", b"not really gzip", content_settings=ContentSettings(content_encoding="gzip")
    )
    await download_resource_files(transfers, [{"httpUrl": blob_url(container, "x.gz"), "filePath": "x"}], wd)
    assert tree(wd) == {"x": b"not really gzip"}


async def test_missing_and_forbidden_blobs(
    transfers: Transfers, container: ContainerClient, wd: Path
) -> None:
    """A blob that isn't there or may not be read fails the attempt, with URL and path as the service does."""
    container.upload_blob("x", b"x")
    missing = blob_url(container, "absent")
    failure = await download_failure(transfers, wd, httpUrl=missing, filePath="in.txt")
    assert (failure.category, failure.code) == ("UserError", "BlobNotFound")
    assert failure.details[:2] == (("BlobSource", missing), ("FilePath", str(wd / "in.txt")))
    forbidden = blob_url(container, "x", permission="w")
    assert (await download_failure(transfers, wd, httpUrl=forbidden, filePath="x")).code == "BlobAccessDenied"


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "../../x",
        "a/../../x",
        "/tmp/x",
        "link/x",
        "link/deep/x",
        "",
        ".",
        "..",
        "a/..",
        "x\0y",
        "x\ud800",
    ],
)
async def test_downloads_stay_in_the_working_directory(
    transfers: Transfers, container: ContainerClient, wd: Path, path: str
) -> None:
    """A filePath that leads out of the working directory is refused before anything is written."""
    container.upload_blob("x", b"evil")
    (wd / "link").symlink_to(wd.parent.parent)
    before = tree(wd.parents[2])
    failure = await download_failure(transfers, wd, httpUrl=blob_url(container, "x"), filePath=path)
    assert failure.code == "ResourceFileCreateFailed"
    assert tree(wd.parents[2]) == before


async def test_download_replaces_a_link(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """A link in a file's place is replaced; what it leads to is not written."""
    container.upload_blob("x", b"new")
    (wd.parent / "outside").write_bytes(b"old")
    (wd / "x").symlink_to("../outside")
    await download_resource_files(transfers, [{"httpUrl": blob_url(container, "x"), "filePath": "x"}], wd)
    assert (wd / "x").read_bytes() == b"new"
    assert (wd.parent / "outside").read_bytes() == b"old"


async def test_folder_that_cannot_be_made(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """A file where a folder must be is ResourceDirectoryCreateFailed, a folder in a file's place
    ResourceFileCreateFailed."""
    container.upload_blob("x", b"")
    (wd / "file").write_bytes(b"")
    (wd / "folder").mkdir()
    url = blob_url(container, "x")
    failure = await download_failure(transfers, wd, httpUrl=url, filePath="file/x")
    assert failure.code == "ResourceDirectoryCreateFailed"
    failure = await download_failure(transfers, wd, httpUrl=url, filePath="folder")
    assert (failure.category, failure.code) == ("ServerError", "ResourceFileCreateFailed")


async def test_write_that_fails(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """A file that the system does not let grow is ResourceFileWriteFailed."""
    container.upload_blob("x", bytes(2_000_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        failure = await download_failure(transfers, wd, httpUrl=blob_url(container, "x"), filePath="x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failure.code == "ResourceFileWriteFailed"


async def test_download_of_a_container(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """All blobs of a container, or those with a prefix, come to a folder with their own folders kept."""
    for name in NAMES:
        container.upload_blob(name, name.encode())
    url = container_url(container, "rl")
    await download_resource_files(transfers, [{"storageContainerUrl": url, "filePath": "all"}], wd)
    assert tree(wd / "all") == {name: name.encode() for name in NAMES}
    await download_resource_files(
        transfers, [{"storageContainerUrl": url, "blobPrefix": "sub ", "fileMode": "0600"}], wd
    )
    assert (wd / "sub folder" / "it's.txt").stat().st_mode & 0o7777 == 0o600
    assert not (wd / "plain.txt").exists()


async def test_auto_storage(transfers: Transfers, container: ContainerClient, wd: Path) -> None:
    """A container of the auto-storage account is found by name; without such an account it is not found."""
    container.upload_blob("x", b"x")
    file = {"autoStorageContainerName": container.container_name}
    await download_resource_files(transfers, [file], wd, lambda name: container_url(container, "rl"))
    assert tree(wd) == {"x": b"x"}
    assert (await download_failure(transfers, wd, **file)).code == "ResourceContainerNotFound"


async def test_missing_and_forbidden_containers(
    transfers: Transfers, container: ContainerClient, service: BlobServiceClient, wd: Path
) -> None:
    """A container that isn't there or may not be listed fails the attempt with the documented code."""
    absent = service.get_container_client("absent")
    url = f"{absent.url}?{sas(absent, 'rl')}"
    assert (
        await download_failure(transfers, wd, storageContainerUrl=url)
    ).code == "ResourceContainerNotFound"
    url = container_url(container, "r")
    failure = await download_failure(transfers, wd, storageContainerUrl=url)
    assert failure.code == "ResourceContainerAccessDenied"


async def test_listing_goes_on_and_escapes_nowhere(transfers: Transfers, wd: Path) -> None:
    """Pages of a listing are followed by their markers, encoded names decoded; a blob whose name leads out
    of the folder is refused."""
    page = "<EnumerationResults><Blobs>{}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>".format
    blob = "<Blob><Name{}>{}</Name></Blob>".format
    answers = [
        page(blob("", "one") + blob("", "folder/"), "go on"),
        "1",
        page(blob(" Encoded='true'", "two%EF%BF%BE"), ""),
        "2",
        page(blob("", "a/../../evil"), ""),
    ]

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reply(writer, 200, answers[number - 1].encode())

    async with server(handle) as url:
        await download_resource_files(transfers, [{"storageContainerUrl": url}], wd)
        assert tree(wd) == {"one": b"1", "two\ufffe": b"2"}
        failure = await download_failure(transfers, wd, storageContainerUrl=url)
    assert failure.code == "ResourceFileCreateFailed"


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


async def test_silence_is_a_timeout(wd: Path) -> None:
    """Storage that says nothing for too long is BlobDownloadTimedOut, a ServerError."""

    async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter, number: int) -> None:
        await reader.read()

    transfers = Transfers(timeout_seconds=0.1, retry_delays_seconds=(0.01,))
    async with server(handle) as url:
        failure = await download_failure(transfers, wd, httpUrl=url, filePath="x")
        await transfers.close()
    assert (failure.category, failure.code) == ("ServerError", "BlobDownloadTimedOut")


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


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1_000_000):
            digest.update(piece)
    return digest.hexdigest()


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
