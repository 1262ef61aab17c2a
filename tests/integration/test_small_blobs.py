"""Small blobs by plain requests, on Azurite, beside the official client; and endpoints that are unusual."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import RemoteDisconnected

import pytest
from azure.storage.blob import BlobServiceClient

from deployments import azurite
from tasks.azure import blobs, small_blobs
from tasks.azure.accounts import Accounts, using
from tasks.azure.answers import Answer, Unusual, read_answer
from tasks.azure.clients import BLOCK_BYTES
from tasks.azure.exchanges import Endpoint, Request
from tasks.azure.small_blobs import NewBlob
from tasks.errors import NotFoundError, TemporaryError
from tests.answering import serve_answers
from tests.azurite_tokens import Tokens
from tests.certificates import make_certificate

NAME = "Ordner ä/#1?&=%20 'x'~.txt"
ASKED = Request("GET", "/x", {})
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def digest(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def blob(name: str, content: bytes) -> NewBlob:
    return NewBlob(name, content, digest(content))


@pytest.fixture
def service(storage) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(storage.connection_string) as client:
        yield client


def make_container(service: BlobServiceClient, name: str):
    return service.create_container(name)


@pytest.mark.parametrize("content", [b"text", b"", bytes(small_blobs.SIZE_MAX_BYTES)])
def test_what_is_written_is_what_the_client_reads(service, content):
    """A blob is there under its name, whatever is in that, with content, MD5, kind and the ETag told."""
    container = make_container(service, f"plain-{len(content)}")
    etag = small_blobs.write(service, container.container_name, blob(NAME, content))
    found = next(iter(container.list_blobs()))
    assert (found.name, found.etag.strip('"')) == (NAME, etag)
    assert bytes(found.content_settings.content_md5) == digest(content)
    assert found.content_settings.content_type == "application/octet-stream"
    assert container.download_blob(NAME).readall() == content
    assert small_blobs.read(service, container.container_name, NAME) == small_blobs.SmallBlob(
        content, digest(content), etag, found.last_modified, {}
    )


def test_metadata_are_read(service):
    """What a blob says of itself comes with its content."""
    container = make_container(service, "with-metadata")
    container.upload_blob("a", b"text", metadata={"source": "abc"})
    found = small_blobs.read(service, container.container_name, "a")
    assert found is not None
    assert found.metadata == {"source": "abc"}


def test_a_blob_that_is_not_wanted_is_not_downloaded(service, storage, tmp_path):
    """Whoever downloads sees all that the blob says of itself, as by the client, and may refuse it."""
    container, seen = make_container(service, "unwanted"), []
    container.upload_blob("a", b"text", metadata={"source": "abc"})
    path = tmp_path / "a"
    with using(Accounts("https://unused", storage_connection_string=storage.connection_string)):
        listed = blobs.find_blob(container.container_name, "a")
        with pytest.raises(NotFoundError, match="another"), path.open("wb") as file:
            blobs.download_blob(container.container_name, "a", file, seen.append)
    assert seen == [listed]
    assert path.read_bytes() == b""


def test_content_that_is_not_its_md5_is_not_stored(service):
    """The service compares: then the plain request is given up, and nothing is there."""
    container = make_container(service, "wrong-md5")
    assert (
        small_blobs.write(service, container.container_name, NewBlob("a", b"text", digest(b"other"))) is None
    )
    assert not list(container.list_blobs())


def test_what_is_not_there_or_large_is_left_to_the_client(service, storage, tmp_path):
    """Blobs of any size are uploaded and downloaded whole; one that isn't there is said to be missing."""
    container = make_container(service, "left").container_name
    large = tmp_path / "large"
    large.write_bytes(b"0123456789abcdef" * ((BLOCK_BYTES + small_blobs.SIZE_MAX_BYTES) // 16))
    md5 = digest(large.read_bytes())
    with using(Accounts("https://unused", storage_connection_string=storage.connection_string)):
        etag = blobs.upload_blob(container, "large", large, large.stat().st_size, md5)
        assert small_blobs.read(service, container, "large") is None
        with (tmp_path / "copy").open("wb") as file:
            assert blobs.download_blob(container, "large", file) == (md5, etag)
        assert (tmp_path / "copy").read_bytes() == large.read_bytes()
        with pytest.raises(NotFoundError, match="BlobNotFound"), (tmp_path / "none").open("wb") as file:
            blobs.download_blob(container, "nothing", file)


def test_a_file_that_changes_is_not_uploaded(service, storage, tmp_path):
    """A file whose content is no longer that of the digest is refused, to be tried again."""
    container, path = make_container(service, "changing").container_name, tmp_path / "a"
    path.write_bytes(b"new")
    with using(Accounts("https://unused", storage_connection_string=storage.connection_string)):
        with pytest.raises(TemporaryError, match="changes while it is uploaded"):
            blobs.upload_blob(container, "a", path, 3, digest(b"old"))
        assert blobs.find_blob(container, "a") is None


def test_tokens_over_tls(tmp_path, monkeypatch):
    """With Entra ID a token is used while it lasts; the authorities are those that the client trusts."""
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with azurite.serve(cert=certificate, key=key, oauth=True) as storage:
        with BlobServiceClient(storage.blob_endpoint, Tokens(3600)) as client:
            client.create_container("secure")
        assert [count_tokens(storage, seconds) for seconds in (3600, 10)] == [1, 4]


def count_tokens(storage: azurite.BlobStorage, lasting_seconds: int) -> int:
    """How many tokens, each of which lasts so long, are asked for to write two blobs and read them."""
    tokens = Tokens(lasting_seconds)
    with BlobServiceClient(storage.blob_endpoint, tokens) as client:
        for name in ("a", "b"):
            assert small_blobs.write(client, "secure", blob(name, b"text"))
            found = small_blobs.read(client, "secure", name)
            assert found is not None
            assert found.content == b"text"
    return tokens.given


def test_a_signature_in_the_url_is_left_to_the_client():
    """An account of which there is only a shared access signature is none for plain requests."""
    with BlobServiceClient("https://a.blob.core.windows.net?sv=2021-12-02&sig=x") as client:
        assert small_blobs.read(client, "c", "a") is None


@contextmanager
def serve_in_turn(*answers: bytes | None) -> Iterator[tuple[str, list[list[str]]]]:
    """A server that gives each request the next answer, and at None closes the connection; the paths asked
    for, by connection."""
    left = iter(answers)
    with serve_answers(lambda path, before: next(left, None)) as served:
        yield served


def test_a_connection_is_kept():
    """Requests one after another share a connection."""
    with serve_in_turn(PLAIN, PLAIN, PLAIN) as (url, asked):
        endpoint = Endpoint(url)
        assert [endpoint.exchange(ASKED, 10).body for _ in range(3)] == [b"ok"] * 3
        endpoint.close()
        assert [len(paths) for paths in asked] == [3]


def test_a_connection_that_was_closed_is_replaced():
    """A kept connection that the other end has closed costs nothing but another one."""
    with serve_in_turn(PLAIN, None, PLAIN) as (url, asked):
        endpoint = Endpoint(url)
        assert [endpoint.exchange(ASKED, 10).status for _ in range(2)] == [200, 200]
        endpoint.close()
        assert [len(paths) for paths in asked] == [2, 1]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: much\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
        PLAIN + PLAIN,
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    ],
)
def test_unusual_answers_are_given_up(answer):
    """What is not the plain case is no answer, and its connection is not used again."""
    with serve_in_turn(answer, PLAIN) as (url, asked):
        endpoint = Endpoint(url)
        with pytest.raises(Unusual):
            endpoint.exchange(ASKED, 10)
        assert [len(paths) for paths in asked] == [1]


def test_what_is_missing_is_looked_for_with_one_request():
    """A HEAD's 404 as Azure sends it, chunked and without a length, is an answer, and its connection is kept;
    a 200 without a length is left to the client, and so is what comes before an answer."""
    missing = (
        b"HTTP/1.1 404 The specified blob does not exist.\r\nTransfer-Encoding: chunked\r\n"
        b"Server: Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0\r\nx-ms-request-id: 1\r\n"
        b"x-ms-version: 2021-12-02\r\n"
        b"x-ms-error-code: BlobNotFound\r\nDate: Thu, 26 Nov 2026 23:00:00 GMT\r\n\r\n"
    )
    early, bare = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nx-ms-request-id: 1\r\n\r\n"
    with (
        serve_in_turn(missing, missing, bare) as (url, asked),
        BlobServiceClient(f"{url}/account", {"account_name": "account", "account_key": "a2V5"}) as client,
    ):
        found = [small_blobs.look(client, "c", "a") for _ in range(2)]
        assert [answer and answer.status for answer in found] == [404, 404]
        assert [len(paths) for paths in asked] == [2]
        assert small_blobs.look(client, "c", "a") is None
        assert [len(paths) for paths in asked] == [3]
        channel = small_blobs._open_channel(client)
        assert channel is not None
        channel.endpoint.close()
        with pytest.raises(Unusual):
            read_answer(lambda: early, False, 0)


def test_an_answer_is_read_as_it_comes():
    """Whatever the pieces in which an answer arrives, it is whole; that to a HEAD has no body, whatever its
    length says; and one whose connection ends before it does is an error."""
    pieces = iter([PLAIN[end - 1 : end] for end in range(1, len(PLAIN) + 1)])
    assert read_answer(lambda: next(pieces), True, 10) == Answer(200, {"content-length": "2"}, b"ok")
    assert read_answer(lambda: PLAIN[:-2], False, 0) == Answer(200, {"content-length": "2"}, b"")
    cut = iter([PLAIN[:-1], b""])
    with pytest.raises(RemoteDisconnected):
        read_answer(lambda: next(cut), True, 10)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "ä"])
def test_a_header_is_one_line(value):
    """What would be more than a header's line is not sent."""
    with serve_in_turn(PLAIN) as (url, asked):
        with pytest.raises(Unusual):
            Endpoint(url).exchange(Request("GET", "/x", {"x-ms-meta-a": value}), 10)
        assert asked in ([], [[]])


def test_an_endpoint_that_fails_rests():
    """After a failure of the network nothing is sent for a while: the client's own tries are enough."""
    with serve_in_turn(None, PLAIN) as (url, asked):
        endpoint = Endpoint(url)
        for _ in range(3):
            with pytest.raises(Unusual):
                endpoint.exchange(ASKED, 10)
        assert [len(paths) for paths in asked] == [1]


def test_a_proxy_is_left_to_the_client(monkeypatch):
    """Where a proxy is named, plain requests don't go around it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    with serve_in_turn(PLAIN) as (url, asked):
        with pytest.raises(Unusual):
            Endpoint(url).exchange(ASKED, 10)
        assert asked == []
