"""What ASGI has no word for: an answer sent at once, a client's connection closed without any."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_CONNECTION = "batch_emulator.connection"
_MOST_GATHERED_BYTES = 65_536


class _Gathering:
    """A transport that sends what is written in one turn of the event loop in one piece: the three parts of a
    chunked answer cost a third then, here and at the client."""

    def __init__(self, transport: asyncio.Transport):
        self._transport = transport
        self._waiting = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if data and not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting += data
        if len(self._waiting) >= _MOST_GATHERED_BYTES:
            self._send()

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        if waiting and not self._transport.is_closing():
            self._transport.write(waiting)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._waiting.clear()
        self._transport.abort()


class GatheringProtocol(AutoHTTPProtocol):
    """uvicorn's HTTP over such a transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, _Gathering(cast(asyncio.Transport, transport))))


def remember_connections(app: ASGIApp) -> ASGIApp:
    """The application, to be run by uvicorn: what it answers with may be a `Dropped`."""

    async def remembering(scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn's `send` is a method of what holds the request's connection.
        scope[_CONNECTION] = getattr(getattr(send, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return remembering


class Dropped(Response):
    """No answer: the connection is closed at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope[_CONNECTION]
        if transport is None:
            raise RuntimeError("the connection is not one of uvicorn's")
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
