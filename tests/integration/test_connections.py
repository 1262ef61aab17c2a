"""How answers come over a connection."""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from batch_emulator.connections import GatheringProtocol

PARTS = {"/short": [b"a", b"b"], "/long": [b"a" * 10, b"b" * 200_000, b"c" * 10]}


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in PARTS[scope["path"]]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def ask(path: str, *headers: str) -> list[bytes]:
    """The pieces in which an answer without a length arrives, to its end."""
    config = Config(answer, lifespan="off", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: GatheringProtocol(config, ServerState(), {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
    pieces = [await reader.read(2**20)]
    while not pieces[-1].endswith(b"0\r\n\r\n"):
        pieces.append(await reader.read(2**20))
        assert pieces[-1], "the connection was closed before the end of the answer"
    writer.close()
    await writer.wait_closed()
    listening.close()
    await listening.wait_closed()
    return pieces


async def test_short_answer_comes_in_one_piece():
    """Head, chunks and end of a short answer are sent together."""
    (piece,) = await ask("/short")
    assert piece.startswith(b"HTTP/1.1 200")
    assert piece.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


async def test_long_answer_comes_whole():
    """An answer that is too long to be sent at once keeps all its parts, in order."""
    received = b"".join(await ask("/long"))
    assert [received.count(letter) for letter in (b"b" * 200_000, b"a" * 10, b"c" * 10)] == [1, 1, 1]


async def test_answer_is_sent_before_its_connection_is_closed():
    """What was written last is not lost where the client asks for the connection to be closed."""
    received = b"".join(await ask("/long", "Connection: close"))
    assert received.endswith(b"c" * 10 + b"\r\n0\r\n\r\n")
