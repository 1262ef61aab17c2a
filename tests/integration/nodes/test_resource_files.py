"""Resource files from a real Azurite to the working directory, and never out of it."""

from __future__ import annotations

import asyncio
import os
import resource
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings

from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.resource_files import download_resource_files
from batch_emulator.node.transfer import Transfers
from tests.integration.nodes.storing import (
    NAMES,
    blob_url,
    container_url,
    download_failure,
    reply,
    sas,
    server,
    tree,
)


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
        "/absolute/x",
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


@pytest.mark.parametrize("path", ["../x", "../../x", "{root}/shared/x"])
async def test_a_path_may_lead_elsewhere_on_the_node(
    transfers: Transfers, container: ContainerClient, wd: Path, path: str
) -> None:
    """An absolute path, or one out of the working directory, is written within the node's folder."""
    container.upload_blob("x", b"x")
    root = wd.parents[1]
    file = {"httpUrl": blob_url(container, "x"), "filePath": path.format(root=root)}
    await download_resource_files(transfers, [file], wd, node_root=root)
    written = Path(os.path.normpath(wd / file["filePath"]))
    assert written.read_bytes() == b"x"
    assert written.is_relative_to(root)


@pytest.mark.parametrize("path", ["/etc/x", "{root}", "{root}/../x", "../../../x", "link/x"])
async def test_no_path_leads_off_the_node(
    transfers: Transfers, container: ContainerClient, wd: Path, path: str
) -> None:
    """Nothing is written outside the node's folder, also not through a link."""
    container.upload_blob("x", b"evil")
    root = wd.parents[1]
    (wd / "link").symlink_to(root.parent)
    file = {"httpUrl": blob_url(container, "x"), "filePath": path.format(root=root)}
    with pytest.raises(AttemptFailed) as caught:
        await download_resource_files(transfers, [file], wd, node_root=root)
    assert caught.value.failure.code == "ResourceFileCreateFailed"


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


async def test_auto_storage(transfers: Transfers, wd: Path) -> None:
    """The account has no auto-storage: a container that is to be found there by its name is not found."""
    failure = await download_failure(transfers, wd, autoStorageContainerName="inputs")
    assert failure.code == "ResourceContainerNotFound"


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
    assert failure.code == "BlobDownloadMiscError"
