"""What is answered: status, headers and JSON as the service writes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from batch_emulator.api.call import Call
from batch_emulator.api.odata import project
from batch_emulator.api.properties import has_statistics, read_select
from batch_emulator.api.registries import encode
from batch_emulator.api.versions import json_type, trim
from batch_emulator.api.views.statistics import render_statistics
from batch_emulator.resources.model import Resource, Wire
from batch_emulator.ticks import etag, http_date


def json_answer(
    call: Call, metadata: str, body: Wire, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON body with `odata.metadata` in front."""
    wire = {"odata.metadata": f"{call.base_url}/$metadata#{metadata}"} | body
    return Response(encode(wire), status, headers, media_type=json_type(call.version))


def element(call: Call, kind: str, resource: Resource | None, wire: Wire) -> Response:
    """One resource, with `$select` applied, and its ETag where it has one."""
    if resource is not None:
        call.check(resource, reading=True)
    if call.method == "HEAD":
        return _bodiless(_validators(resource))
    select = read_select(call, kind)
    body = project(trim(kind, with_statistics(call, kind, resource, wire), call.version), select)
    return json_answer(call, f"{kind}/@Element", body, headers=_validators(resource))


def with_statistics(call: Call, kind: str, resource: Any, wire: Wire) -> Wire:
    """A resource as JSON, with `stats` where the request's `$expand` asks for them."""
    if not has_statistics(call, kind):
        return wire
    return wire | {
        "stats": render_statistics(call.engine.world, kind, resource, wire["url"], call.engine.now())
    }


def _bodiless(headers: dict[str, str]) -> Response:
    """200 to a HEAD, which says nothing of the length or the type that a GET would have."""
    response = Response(headers=headers)
    del response.headers["content-length"]
    return response


def _validators(resource: Resource | None) -> dict[str, str]:
    if resource is None:
        return {}
    return {"ETag": etag(resource.modified), "Last-Modified": http_date(resource.modified)}


def created(call: Call, resource: Any, url: str) -> Response:
    """201 of an Add operation."""
    location = _in_header(url)
    headers = _validators(resource) | {"Location": location, "DataServiceId": location}
    return Response(status_code=201, headers=headers)


def _in_header(url: str) -> str:
    """A URL as a header can hold it: names in it may have any characters."""
    return quote(url, safe="%/:?#[]@!$&'()*+,;=~")


def changed(call: Call, resource: Resource | None, status: int = 200, *, named: bool = True) -> Response:
    """The answer to an operation that changes a resource: its new ETag, and the operation's URL."""
    headers = _validators(resource)
    if named:
        headers["DataServiceId"] = _in_header(call.url)
    return Response(status_code=status, headers=headers)


def plain(status: int) -> Response:
    """A status and nothing else, as for deletions."""
    return Response(status_code=status)
