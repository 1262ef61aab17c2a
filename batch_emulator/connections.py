"""Closing a client's connection without an answer, which ASGI has no word for."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_CONNECTION = "batch_emulator.connection"


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
