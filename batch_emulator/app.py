"""The service as an ASGI application: authentication, routes, and errors in the service's form."""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timezone
from inspect import isawaitable

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from batch_emulator.api import account, files, jobs, nodes, pools, schedules, tasks, unsupported
from batch_emulator.api.auth import verify_shared_key
from batch_emulator.api.call import Call
from batch_emulator.api.versions import json_type
from batch_emulator.engine import Engine
from batch_emulator.errors import BatchError
from batch_emulator.ticks import format_ticks

log = logging.getLogger("batch_emulator")

MOST_BODY_BYTES = 1_048_576
_NEWEST = "2025-06-01"
API_VERSIONS = ("2022-10-01.16.0", "2024-02-01.19.0", "2024-07-01.20.0", "2025-06-01")

Handler = Callable[[Call], Response | Awaitable[Response]]


def create_app(engine: Engine) -> ASGIApp:
    """The application that serves one engine."""
    modules = (account, pools, nodes, schedules, jobs, tasks, files, unsupported)
    routes = [each for module in modules for each in module.ROUTES]
    app = Starlette(routes=list(_routes(engine, routes)))
    app.router.default = Route("/{rest:path}", _endpoint(engine, _unknown)).app
    app.router.redirect_slashes = False
    return app


def _routes(engine: Engine, table: list[tuple[str, str, Handler]]) -> Iterator[Route]:
    """One route a path, so that a method that the path does not take is known as such."""
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        by_path.setdefault(path, {})[method] = handler
    for path, handlers in by_path.items():
        yield Route(path, _endpoint(engine, handlers), methods=_METHODS)


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def _unknown(call: Call) -> Response:
    raise BatchError("InvalidUri", ("Reason", f"There is no operation {call.method} {call.path}"))


def _endpoint(engine: Engine, handlers: dict[str, Handler] | Handler):
    async def answer(request: Request) -> Response:
        request_id = str(uuid.uuid4())
        try:
            response = await _answer(engine, handlers, request)
        except BatchError as error:
            response = _error_answer(engine, error, request, request_id)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            response = _error_answer(engine, BatchError("InternalError"), request, request_id)
        _add_common_headers(response, request, request_id)
        return response

    return answer


async def _answer(engine: Engine, handlers: dict[str, Handler] | Handler, request: Request) -> Response:
    call = await _read_call(engine, request)
    _authenticate(engine, request, call)
    _check_api_version(call)
    handler = handlers.get(request.method) if isinstance(handlers, dict) else handlers
    if handler is None:
        raise BatchError("UnsupportedHttpVerb", ("Reason", f"{call.path} does not take {call.method}"))
    try:
        response = handler(call)
        return await response if isawaitable(response) else response
    finally:
        # What an answer tells of, a refusal too, must not be lost when this process is.
        engine.flush()


async def _read_call(engine: Engine, request: Request) -> Call:
    return Call(
        engine=engine,
        method=request.method,
        path=request.scope["raw_path"].decode("ascii").partition("?")[0],
        base_url=f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}",
        parameters=request.path_params,
        query=request.query_params.multi_items(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await _read_body(request),
    )


async def _read_body(request: Request) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MOST_BODY_BYTES:
            raise BatchError("RequestBodyTooLarge", ("MaxLimit", str(MOST_BODY_BYTES)))
    return bytes(received)


def _authenticate(engine: Engine, request: Request, call: Call) -> None:
    verify_shared_key(
        method=call.method,
        path=call.path,
        query=call.query,
        headers=call.headers,
        account=engine.settings.account,
        key_bytes=base64.b64decode(engine.settings.key),
        now=datetime.now(timezone.utc),
    )


def _check_api_version(call: Call) -> None:
    version = call.option("api-version")
    if version is None:
        raise BatchError("MissingRequiredQueryParameter", ("QueryParameterName", "api-version"))
    if not version[:4].isdigit():
        raise BatchError(
            "InvalidQueryParameterValue",
            ("QueryParameterName", "api-version"),
            ("QueryParameterValue", version),
            ("Reason", f"Supported are {', '.join(API_VERSIONS)}"),
        )


def _error_answer(engine: Engine, error: BatchError, request: Request, request_id: str) -> Response:
    if request.method == "HEAD" or error.status == 304:
        return Response(status_code=error.status)
    time = format_ticks(engine.now())
    host = request.headers.get("host", request.url.netloc)
    kind = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"
    version = request.query_params.get("api-version", _NEWEST)
    wire = {
        "odata.metadata": f"{request.url.scheme}://{host}/$metadata#{kind}",
        "code": error.code,
        "message": {"lang": "en-US", "value": f"{error.message}\nRequestId:{request_id}\nTime:{time}"},
    }
    if error.values:
        wire["values"] = [{"key": name, "value": value} for name, value in error.values]
    return Response(orjson.dumps(wire), error.status, media_type=json_type(version))


def _add_common_headers(response: Response, request: Request, request_id: str) -> None:
    response.headers["request-id"] = request_id
    response.headers["DataServiceVersion"] = "3.0"
    response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
    wants_its_id = request.headers.get("return-client-request-id", "").lower() == "true"
    if wants_its_id and (client_id := request.headers.get("client-request-id")):
        response.headers["client-request-id"] = client_id
    if response.status_code < 300 and response.status_code != 204 and request.method != "HEAD":
        # Successes are chunked on the service; errors are not.
        del response.headers["content-length"]
    if response.status_code == 204:
        response.headers["content-length"] = "0"
