"""The service as an ASGI application: routes, who may pass, faults, and errors in the service's form."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from inspect import isawaitable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from batch_emulator.api import (
    account,
    certificates,
    control,
    files,
    jobs,
    lifetime_statistics,
    machines,
    nodes,
    pools,
    schedules,
    tasks,
    usage,
)
from batch_emulator.api.auth import Access, verify
from batch_emulator.api.browsers import refuse_pages
from batch_emulator.api.call import Call
from batch_emulator.api.exchange import (
    add_common_headers,
    check_api_version,
    error_answer,
    fault_answer,
    raw_path,
    read_call,
)
from batch_emulator.catalogue.operations import OPERATIONS
from batch_emulator.connections import Dropped, remember_connections
from batch_emulator.engine.engine import Engine
from batch_emulator.errors import BatchError

log = logging.getLogger("batch_emulator")

Handler = Callable[[Call], Response | Awaitable[Response]]
Routes = Sequence[tuple[str, str, Handler]]

_MODULES = (
    account,
    certificates,
    usage,
    lifetime_statistics,
    pools,
    nodes,
    machines,
    schedules,
    jobs,
    tasks,
    files,
)
ROUTES: Routes = [each for module in _MODULES for each in module.ROUTES]
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class _Target:
    """A path and what handles each method that it takes."""

    path: str
    handlers: dict[str, Handler]

    def handler(self, call: Call) -> Handler:
        if not self.handlers:
            raise BatchError("InvalidUri", ("Reason", f"There is no operation {call.method} {call.path}"))
        if call.method not in self.handlers:
            raise BatchError("UnsupportedHttpVerb", ("Reason", f"{call.path} does not take {call.method}"))
        return self.handlers[call.method]


Respond = Callable[[Call, _Target, Request], Awaitable[Response]]


def create_app(engine: Engine) -> ASGIApp:
    """The application that serves one engine."""
    settings = engine.settings
    access = Access(settings.account, base64.b64decode(settings.key), settings.oauth)
    respond = partial(_respond, access)
    app = Starlette(
        routes=[*_routes(engine, ROUTES, respond), *_routes(engine, control.ROUTES, _respond_to_control)]
    )
    app.router.default = Route("/{rest:path}", _endpoint(engine, _Target("", {}), respond)).app
    app.router.redirect_slashes = False
    return remember_connections(app)


def _routes(engine: Engine, table: Routes, respond: Respond) -> Iterator[Route]:
    """One route a path, so that a method that the path does not take is known as such."""
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        by_path.setdefault(path, {})[method] = handler
    for path, handlers in by_path.items():
        yield Route(path, _endpoint(engine, _Target(path, handlers), respond), methods=_METHODS)


def _endpoint(engine: Engine, target: _Target, respond: Respond) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        request_id, begun = str(uuid.uuid4()), time.perf_counter()
        try:
            refuse_pages(request.headers, engine.settings.host)
            response = await respond(await read_call(engine, request, request_id), target, request)
        except BatchError as error:
            response = error_answer(engine, error, request, request_id)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception:
            log.exception("%s %s", request.method, raw_path(request))
            response = error_answer(engine, BatchError("InternalError"), request, request_id)
        add_common_headers(response, request, request_id)
        _log_request(request, response, request_id, begun)
        return response

    return answer


def _log_request(request: Request, response: Response, request_id: str, begun: float) -> None:
    """Neither query, headers nor bodies, which may hold secrets."""
    if log.isEnabledFor(logging.DEBUG):
        status = "dropped" if isinstance(response, Dropped) else response.status_code
        spent_ms = 1000 * (time.perf_counter() - begun)
        log.debug("%s %s %s %.1f ms %s", request.method, raw_path(request), status, spent_ms, request_id)


async def _respond(access: Access, call: Call, target: _Target, request: Request) -> Response:
    """A Batch operation, unless a fault was asked for that comes between."""
    # First, as recorded: who asks without a version and a signature is told of the version.
    check_api_version(call)
    now = datetime.now(timezone.utc)
    verify(access, method=call.method, path=call.path, query=call.query, headers=call.headers, now=now)
    fate = call.engine.world.faults.meet_request(OPERATIONS.get((call.method, target.path), ""))
    if fate.latency_seconds:
        await asyncio.sleep(fate.latency_seconds)
    if fate.end and fate.end.drop is None:
        return fault_answer(fate.end)
    if fate.end and fate.end.drop == "before":
        return Dropped()
    response = await _perform(call, target.handler(call))
    return Dropped() if fate.end else response


async def _respond_to_control(call: Call, target: _Target, request: Request) -> Response:
    control.check_client(call, request.client.host if request.client else None)
    return await _perform(call, target.handler(call))


async def _perform(call: Call, handler: Handler) -> Response:
    try:
        response = handler(call)
        return await response if isawaitable(response) else response
    finally:
        # What an answer tells of, a refusal too, must not be lost when this process is.
        call.engine.flush()
