"""Containers, uploads, signatures and downloads on a real blob service."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContainerClient

from tasks.azure.blobs import download_blob, find_blob, list_blobs, upload_blob
from tasks.azure.clients import BLOCK_BYTES
from tasks.azure.sas import make_signer, read_blob_url, write_container_url
from tasks.base.partial_files import remove_partial_files
from tasks.containers import create_containers, delete_containers
from tasks.downloads import Fetched, download_file, prepare_output_folder
from tasks.errors import AccessError, InputError, PermanentError, TemporaryError
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.work import WorkItem
from tasks.uploads import Uploaded, compute_md5, upload_application
from tests.flows.services import blobs, blobs_of

NASTY_NAMES = ["a b.txt", "it's; $(touch x) `y`.txt", "-n", "ä/日本 #?%41&.txt", '"q".txt', "[1]*?.txt"]


def work(output_name: str) -> WorkItem:
    return WorkItem("x", output_name, "5eed", b"\x5e\xed")


def put(container: str, name: str, source: Path) -> Uploaded:
    digest, size_bytes = compute_md5(source)
    return Uploaded(digest.hex(), upload_blob(container, name, source, size_bytes, digest))


@pytest.fixture
def container(storage, monkeypatch, run_key):
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    names = names_of_run(run_key)
    create_containers.fn(names, RunOptions())
    yield names.input_container
    delete_containers.fn(names)


def test_creating_and_deleting_containers_can_be_repeated(container, run_key):
    """The second time there is nothing to do, and nothing fails."""
    names = names_of_run(run_key)
    stamps = create_containers.fn(names, RunOptions())
    assert create_containers.fn(names, RunOptions()) == stamps
    assert len(set(stamps)) == 3
    assert delete_containers.fn(names) == 3
    assert delete_containers.fn(names) == 0


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_any_name_goes_there_and_back(name, container, tmp_path):
    """A file comes back under its name, in its sub-folder, with its content."""
    source = tmp_path / "source"
    source.write_bytes(b"content of " + name.encode())
    uploaded = put(container, name, source)
    assert uploaded.md5 == hashlib.md5(source.read_bytes()).hexdigest()
    assert blobs_of(container) == {name: uploaded.etag}
    downloaded = download_file(container, work(name), tmp_path / "out")
    assert downloaded == Fetched(uploaded.md5, uploaded.etag)
    assert (tmp_path / "out" / name).read_bytes() == source.read_bytes()


def test_only_what_changed_is_sent_again(container, tmp_path):
    """Repeating an upload sends nothing; other content goes beside it, as tasks may still read the former."""
    source = tmp_path / "x.txt"
    source.write_text("one")
    first = upload_application.fn(container, "x.txt", str(source))
    before = blobs_of(container)
    assert upload_application.fn(container, "x.txt", str(source)) == first
    assert blobs_of(container) == before == {f"{first.md5}/x.txt": first.etag}
    source.write_text("two")
    second = upload_application.fn(container, "x.txt", str(source))
    assert blobs_of(container) == before | {f"{second.md5}/x.txt": second.etag}


@pytest.mark.parametrize("size_bytes", [10, BLOCK_BYTES + 10], ids=["one request", "blocks"])
@pytest.mark.parametrize("change", ["other", "shorter"])
def test_a_file_that_changes_while_it_is_sent_leaves_no_blob(container, tmp_path, size_bytes, change):
    """No blob has an MD5 that is not that of its content."""
    source = tmp_path / "x"
    source.write_bytes(b"a" * size_bytes)
    digest, _ = compute_md5(source)
    source.write_bytes(b"b" * size_bytes if change == "other" else b"a" * (size_bytes - 1))
    with pytest.raises(TemporaryError, match="changes while it is uploaded"):
        upload_blob(container, "x", source, size_bytes, digest)
    assert blobs_of(container) == {}


def test_a_listing_and_a_look_say_the_same_of_a_blob(container, tmp_path):
    """One listing of the container can stand for a look at each of its blobs."""
    for name in NASTY_NAMES:
        (tmp_path / "source").write_text(name)
        put(container, name, tmp_path / "source")
    listed = dict(list_blobs(container))
    assert listed == {name: find_blob(container, name) for name in NASTY_NAMES}


@pytest.mark.parametrize("size_bytes", [3, 2 * 1024 * 1024], ids=["small", "large"])
def test_a_download_says_of_a_blob_what_a_look_says(container, size_bytes):
    """So whatever reads it, an output of other work is known by its metadata."""
    client = blobs().get_blob_client(container, "x")
    client.upload_blob(b"x" * size_bytes, metadata={"source": "5eed"})
    seen = []
    download_blob(container, "x", BytesIO(), lambda blob: not seen.append(blob))
    assert seen == [find_blob(container, "x")]
    assert seen[0].metadata == {"source": "5eed"}


def test_a_file_larger_than_a_block_is_whole(container, tmp_path):
    """Files go up in blocks and come back the same; an empty file too."""
    content = bytes(range(256)) * (80 * 1024)
    for name, data in {"large": content, "empty": b""}.items():
        (tmp_path / name).write_bytes(data)
        put(container, name, tmp_path / name)
        download_file(container, work(name), tmp_path / "out")
        assert (tmp_path / "out" / name).read_bytes() == data


def test_a_file_that_vanished_is_named(container, tmp_path):
    """A file deleted after it was listed is an input error."""
    with pytest.raises(InputError, match=r"gone\.txt can't be read any more"):
        upload_application.fn(container, "gone.txt", str(tmp_path / "gone.txt"))


def test_an_output_that_is_there_is_not_fetched_again(container, tmp_path):
    """A local file of the same content stays untouched, another is replaced, and nothing half is left."""
    source = tmp_path / "x"
    source.write_text("new")
    put(container, "sub/x", source)
    target = tmp_path / "out" / "sub" / "x"
    target.parent.mkdir(parents=True)
    target.write_text("old")
    fetched = download_file(container, work("sub/x"), tmp_path / "out")
    assert target.read_text() == "new"
    inode = target.stat().st_ino
    assert download_file(container, work("sub/x"), tmp_path / "out") == fetched
    assert target.stat().st_ino == inode
    assert [path.name for path in target.parent.iterdir()] == ["x"]


def test_an_output_that_was_not_written_is_none(container, tmp_path):
    """A missing blob is told by the result, and leaves no file."""
    assert download_file(container, work("none.txt"), tmp_path / "out") is None
    remove_partial_files(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_blob_s_name_cannot_lead_out_of_the_output_folder(container, tmp_path):
    """A container is no authority over the local disk."""
    with pytest.raises(PermanentError, match="outside"):
        download_file(container, work("../escaped.txt"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_url_of_an_input_reads_that_blob_only(container, tmp_path):
    """The service honours the signature for reading one blob, and for nothing else."""
    source = tmp_path / "x"
    source.write_text("input")
    for name in ("a b.txt", "other.txt"):
        put(container, name, source)
    url = read_blob_url(make_signer(60), container, "a b.txt")
    assert BlobClient.from_blob_url(url).download_blob().readall() == b"input"
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        BlobClient.from_blob_url(url).upload_blob(b"x", overwrite=True)
    with pytest.raises(HttpResponseError, match=r"AuthenticationFailed|AuthorizationFailure"):
        BlobClient.from_blob_url(url.replace("a%20b.txt", "other.txt")).download_blob()


def test_the_url_of_the_outputs_writes_only(container):
    """The service honours the signature for writing, and neither lists nor reads."""
    client = ContainerClient.from_container_url(write_container_url(make_signer(60), container))
    client.upload_blob("out.txt", b"x")
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        list(client.list_blobs())
    with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
        client.download_blob("out.txt")


def test_a_wrong_storage_key_names_its_variable(container, storage, monkeypatch, tmp_path):
    """A refused signature says which variable to look at, and not what is in it."""
    wrong = storage.connection_string.replace(storage.account_key, "d3Jvbmc=")
    with monkeypatch.context() as changed:
        changed.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
        with pytest.raises(AccessError, match="AZURE_STORAGE_CONNECTION_STRING") as caught:
            download_file(container, work("x"), tmp_path)
    assert "d3Jvbmc=" not in str(caught.value)


def test_an_output_folder_that_cannot_be_is_refused(tmp_path):
    """A file in the way of the output folder is told before anything is created."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="output folder"):
        prepare_output_folder(str(tmp_path / "file" / "out"))
