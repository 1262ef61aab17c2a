"""A request as HTTP brings it, and what all answers have in common; how errors are worded."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from batch_emulator.api.call import Call
from batch_emulator.api.former_names import former_name
from batch_emulator.api.versions import API_VERSIONS, json_type
from batch_emulator.engine.engine import Engine
from batch_emulator.errors import BatchError
from batch_emulator.faults.rules import RequestFault
from batch_emulator.ticks import format_ticks

_MOST_BODY_BYTES = 1_048_576
_NEWEST = "2025-06-01"


async def read_call(engine: Engine, request: Request, request_id: str) -> Call:
    """The whole request; 413 for a body that is too large."""
    return Call(
        engine=engine,
        method=request.method,
        path=raw_path(request),
        base_url=_base_url(request),
        parameters=request.path_params,
        query=request.query_params.multi_items(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await _read_body(request),
        request_id=request_id,
    )


def raw_path(request: Request) -> str:
    """The path as it was sent, percent-encoded, without the query."""
    return request.scope["raw_path"].decode("latin-1").partition("?")[0]


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


async def _read_body(request: Request) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _MOST_BODY_BYTES:
            raise BatchError("RequestBodyTooLarge", ("MaxLimit", str(_MOST_BODY_BYTES)))
    return bytes(received)


def check_api_version(call: Call) -> None:
    """400 for a request without an API version, or with one that the service never had."""
    version = call.option("api-version")
    if version is None:
        raise BatchError("MissingRequiredQueryParameter", ("QueryParameterName", "api-version"))
    if version not in API_VERSIONS:
        raise BatchError("UnsupportedRequestVersion")


def error_answer(engine: Engine, error: BatchError, request: Request, request_id: str) -> Response:
    """An error as the service words it; a HEAD has no body."""
    if request.method == "HEAD" or error.status == 304:
        return Response(status_code=error.status, headers=error.headers)
    time = format_ticks(engine.now())
    kind = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"
    version = request.query_params.get("api-version", _NEWEST)
    wire = {
        "odata.metadata": f"{_base_url(request)}/$metadata#{kind}",
        "code": error.code,
        "message": {"lang": "en-US", "value": f"{error.message}\nRequestId:{request_id}\nTime:{time}"},
    }
    if error.values:
        wire["values"] = [_describe_value(name, value, version) for name, value in error.values]
    return Response(orjson.dumps(wire), error.status, error.headers, media_type=json_type(version))


def _describe_value(name: str, value: str | None, version: str) -> dict[str, str]:
    if value is None:
        return {"key": name}
    return {"key": name, "value": former_name(value, version) if name == "PropertyName" else value}


def fault_answer(fault: RequestFault) -> Response:
    """What a fault gives instead of an answer: raises the error that it has, or is a bare status."""
    wait = fault.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(wait)}
    if fault.code is None and fault.status is not None:
        return Response(status_code=fault.status, headers=headers)
    error = BatchError(fault.code or "InternalError")
    error.status = fault.status or error.status
    error.headers = headers
    raise error


def add_common_headers(response: Response, request: Request, request_id: str) -> None:
    response.headers["request-id"] = request_id
    response.headers["DataServiceVersion"] = "3.0"
    response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
    response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    response.headers["X-Content-Type-Options"] = "nosniff"
    wants_its_id = request.headers.get("return-client-request-id", "").lower() == "true"
    if wants_its_id and (client_id := request.headers.get("client-request-id")):
        response.headers["client-request-id"] = client_id
    if response.status_code < 300 and response.status_code != 204 and request.method != "HEAD":
        # Successes are chunked on the service; errors are not.
        del response.headers["content-length"]
    if response.status_code == 204:
        response.headers["content-length"] = "0"
