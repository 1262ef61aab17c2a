"""How answers come over a connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

import batch_emulator
from batch_emulator.connections import GatheringProtocol
from tests.certificates import make_certificate

PARTS = {"/short": [b"a", b"b"], "/long": [b"a" * 10, b"b" * 200_000, b"c" * 10]}


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in PARTS[scope["path"]]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Counting(GatheringProtocol):
    """Keeps what is really written, piece by piece."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.pieces: list[bytes] = []
        self.write, transport.write = transport.write, self.keep

    def keep(self, data: bytes) -> None:
        self.pieces.append(bytes(data))
        self.write(data)


async def ask(path: str, *headers: str) -> tuple[bytes, list[bytes]]:
    """An answer without a length, to its end, and the pieces in which it was sent."""
    config = Config(answer, lifespan="off", log_config=None)
    config.load()
    protocol = Counting(config, ServerState(), {})
    listening = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname(), limit=2**20)
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
    received = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    listening.close()
    await listening.wait_closed()
    return received, protocol.pieces


async def test_short_answer_comes_in_one_piece():
    """Head, chunks and end of a short answer are sent together."""
    received, pieces = await ask("/short")
    assert pieces == [received]
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


async def test_long_answer_comes_whole():
    """An answer that is too long to be sent at once keeps all its parts, in order."""
    received, _ = await ask("/long")
    assert [received.count(letter) for letter in (b"b" * 200_000, b"a" * 10, b"c" * 10)] == [1, 1, 1]


async def test_answer_is_sent_before_its_connection_is_closed():
    """What was written last is not lost where the client asks for the connection to be closed."""
    received, _ = await ask("/long", "Connection: close")
    assert received.endswith(b"c" * 10 + b"\r\n0\r\n\r\n")


class Losing(GatheringProtocol):
    """Says when its connection is lost."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


async def test_a_tls_connection_that_was_closed_twice_can_be_aborted(tmp_path):
    """Python's own can't: it waits half a minute for the goodbye of a client that is gone."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    config = Config(answer, lifespan="off", log_config=None)
    config.load()
    protocol = Losing(config, ServerState(), {})
    listening = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0, ssl=context)
    client = await asyncio.to_thread(connect_by_tls, listening.sockets[0].getsockname(), certificate)
    protocol.transport.close()
    protocol.transport.close()
    protocol.transport.abort()
    await asyncio.wait_for(protocol.lost.wait(), 10)
    client.close()
    listening.close()


def test_half_a_request_keeps_no_service_from_ending(caplog):
    """Its connection is closed, and nothing is told of it: no error, no wait for what does not come."""
    caplog.set_level(logging.WARNING)
    with socket.socket() as asking:
        asking.settimeout(30)
        with batch_emulator.serve() as account:
            address = urlsplit(account.endpoint)
            asking.connect((address.hostname, address.port))
            head = f"POST /jobs HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 9"
            asking.sendall(f"{head}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert b"100 Continue" in asking.recv(1024)
        assert caplog.records == []


def connect_by_tls(address: tuple[str, int], certificate: Path) -> ssl.SSLSocket:
    """A client that does nothing more."""
    context = ssl.create_default_context(cafile=certificate)
    return context.wrap_socket(socket.create_connection(address), server_hostname=address[0])
