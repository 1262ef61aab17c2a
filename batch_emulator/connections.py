"""What ASGI has no word for: an answer sent at once, a client's connection closed without any."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from typing import Any, cast

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_CONNECTION = "batch_emulator.connection"
_MOST_GATHERED_BYTES = 65_536
_DESCRIPTORS_FOR_OTHERS = 256
_MANY = 100_000
#: As long as Windows' HTTP service waits, behind which Azure Batch is.
_REQUEST_SECONDS = 120


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
        # One of TLS that is closed twice can't be aborted any more, and waits 30 s for its client's goodbye.
        if not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        self._waiting.clear()
        self._transport.abort()


class GatheringProtocol(H11Protocol):
    """uvicorn's HTTP over such a transport. Where there are too many connections, the one that has waited
    longest for its client is closed, or the new one, if none waits."""

    idle_since: float
    """When it was opened, its last answer was complete, or a request began; of the event loop's clock."""

    has_begun = False
    """Whether anything of a request has come since the last answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, _Gathering(cast(asyncio.Transport, transport))))
        self.idle_since = self.loop.time()
        if len(self.connections) > _most_connections():
            surplus = _longest_waiting(cast("set[GatheringProtocol]", self.connections), default=self)
            surplus.transport.abort()
            # It says so itself, but not before others have been taken.
            self.connections.discard(surplus)

    def data_received(self, data: bytes) -> None:
        # A client may write its head and its body apart: one that was idle has its time for both from here.
        if not self.has_begun:
            self.has_begun, self.idle_since = True, self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.has_begun, self.idle_since = False, self.loop.time()

    def waits_for_client(self) -> bool:
        """Whether nothing, or only a part of a request, has come since the last answer."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def has_half_a_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete and self.cycle.more_body


def _most_connections() -> int:
    """How many may be open at once: files and sockets to storage need descriptors too."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit - min(limit // 2, _DESCRIPTORS_FOR_OTHERS) if limit > 0 else _MANY


def _longest_waiting(
    connections: Iterable[GatheringProtocol], default: GatheringProtocol
) -> GatheringProtocol:
    waiting = (each for each in connections if each.waits_for_client())
    return min(waiting, key=lambda each: each.idle_since, default=default)


def close_overdue(connections: Iterable[GatheringProtocol], now: float) -> None:
    """Close those whose client has not sent a whole request for too long."""
    for each in list(connections):
        if each.waits_for_client() and now - each.idle_since > _REQUEST_SECONDS:
            each.transport.abort()


def close_half_asked(connections: Iterable[GatheringProtocol]) -> None:
    """Close those with a part of a request, of which the rest may never come: each would be waited for."""
    for each in list(connections):
        if each.has_half_a_request():
            each.transport.abort()


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
