"""The addresses to which nodes send their requests, and what they send there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from batch_emulator.node.resource_files import download_resource_files
from batch_emulator.node.transfer import Transfers
from tests.certificates import make_certificate
from tests.integration.nodes.storing import download_failure, output, reply, server, tree, upload

STORAGE = "http://storage.test/a%2Fb?sig=%2B"


@asynccontextmanager
async def recorded(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that has "ok" for everybody: its address, and the heads of the requests that it gets."""
    heads: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await reply(writer, 200, b"ok")
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", heads


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/a%2Fb%25%20+;c?x=%2B&y=a+b;c", "/a%2Fb%25%20+;c?x=%2B&y=a+b;c"),
        ("/ü x?q=ä", "/%C3%BC%20x?q=%C3%A4"),
        ("/a\r\nX-Other: 1", "/a%0D%0AX-Other:%201"),
        ("?x=1#y", "/?x=1"),
    ],
)
async def test_urls_are_sent_as_they_were_given(
    transfers: Transfers, wd: Path, given: str, asked: str
) -> None:
    """Only what no URL can hold is quoted: left out, it would be the URL of another blob."""
    async with recorded() as (place, heads):
        await download_resource_files(transfers, [{"httpUrl": f"http://{place}{given}", "filePath": "x"}], wd)
    assert [head.partition("\r\n")[0] for head in heads] == [f"GET {asked} HTTP/1.1"]


@pytest.mark.parametrize(
    "url", ["http://a..b/", f"http://{'a' * 80}.test/", "http://127.0.0.1/\ud800", "http://127.0.0.1:99999/"]
)
async def test_a_url_that_leads_nowhere_is_not_tried_again(wd: Path, url: str) -> None:
    """Nor is one to which storage redirects; each is the failure of a file, and not of the agent."""
    transfers = Transfers(retry_delays_seconds=(3600,))

    async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        head = f"HTTP/1.1 302 X\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("utf-8", "replace"))

    failures = [await asyncio.wait_for(download_failure(transfers, wd, httpUrl=url, filePath="x"), 60)]
    if url.isascii():
        async with server(redirect) as start:
            failure = download_failure(transfers, wd, httpUrl=start, filePath="x")
            failures.append(await asyncio.wait_for(failure, 60))
    await transfers.close()
    assert {failure.code for failure in failures} == {"BlobDownloadMiscError"}


async def test_what_storage_sends_elsewhere_it_has_not_taken(transfers: Transfers, wd: Path) -> None:
    """An upload is done when storage says so: neither a redirection nor one to nowhere is that."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reply(writer, 307)

    (wd / "made").write_bytes(b"")
    async with server(handle) as url:
        uploaded = await upload(transfers, wd, output("made", url))
        downloaded = await download_failure(transfers, wd, httpUrl=url, filePath="x")
    assert uploaded is not None
    assert (uploaded.code, downloaded.code) == ("FileUploadMiscError", "BlobDownloadMiscError")


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy"])
async def test_requests_go_by_the_proxy_of_the_environment(
    transfers: Transfers, wd: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """With no passwords from ~/.netrc, that storage would refuse."""
    (wd / "netrc").write_text("default login somebody password secret\n")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(wd / "netrc"))
    async with recorded() as (place, heads):
        monkeypatch.setenv(variable, place)
        await download_resource_files(transfers, [{"httpUrl": STORAGE, "filePath": "x"}], wd)
    assert tree(wd)["x"] == b"ok"
    assert heads[0].startswith(f"GET {STORAGE} HTTP/1.1\r\n")
    assert "authorization" not in heads[0].lower()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "storage.localhost", "::1"]
)
async def test_no_proxy_leads_to_this_machine(wd: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    transfers = Transfers(retry_delays_seconds=())
    async with recorded() as (place, heads):
        monkeypatch.setenv("http_proxy", f"http://{place}")
        url = f"http://[{host}]:1/x" if ":" in host else f"http://{host}:1/x"
        await download_failure(transfers, wd, httpUrl=url, filePath="x")
    await transfers.close()
    assert heads == []


async def test_the_environment_names_hosts_that_need_no_proxy(
    wd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfers = Transfers(retry_delays_seconds=())
    async with recorded() as (place, heads):
        monkeypatch.setenv("http_proxy", f"http://{place}")
        monkeypatch.setenv("no_proxy", "storage.test")
        await download_failure(transfers, wd, httpUrl="http://storage.test:1/x", filePath="x")
    await transfers.close()
    assert heads == []


async def test_the_environment_says_which_certificates_are_trusted(
    transfers: Transfers, wd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the first request is sent, and not when a library is imported."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with recorded(context) as (place, _):
        await download_resource_files(transfers, [{"httpUrl": f"https://{place}/x", "filePath": "x"}], wd)
    assert tree(wd)["x"] == b"ok"
