"""The few requests to Prefect's server that are made without importing Prefect, which takes seconds."""

import base64
import http.client
import json
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

PROBE_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class PrefectApi:
    """Where Prefect's server is on this machine, and `user:password`, as PREFECT_API_AUTH_STRING has it."""

    port: int
    auth_string: str = field(repr=False)


def is_healthy(port: int) -> bool:
    """Does a Prefect server answer at this port?"""
    return probe(PrefectApi(port, ""), "GET", "/api/health") is True


def probe(api: PrefectApi, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """The answer to a request, None if there is none within a few seconds."""
    try:
        return request(api, method, path, body, PROBE_TIMEOUT_SECONDS)[1]
    except (OSError, http.client.HTTPException):
        return None


def request(
    api: PrefectApi,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
) -> tuple[int, Any]:
    """One request to 127.0.0.1: the status, and the decoded JSON if it succeeded."""
    headers = {"Authorization": f"Basic {base64.b64encode(api.auth_string.encode()).decode()}"}
    server = http.client.HTTPConnection("127.0.0.1", api.port, timeout=timeout_seconds)
    with closing(server) as connection:
        if method != "GET":
            headers |= csrf_headers(connection, headers)
        content = None if body is None else json.dumps(body)
        return exchange(connection, method, path, headers, content)


def csrf_headers(connection: http.client.HTTPConnection, headers: Mapping[str, str]) -> dict[str, str]:
    """What a request that changes something must have beside the key: proof that an answer could be read."""
    client = str(uuid.uuid4())
    _, token = exchange(connection, "GET", f"/api/csrf-token?client={client}", headers)
    return {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token["token"]} if token else {}


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    content: str | None = None,
) -> tuple[int, Any]:
    connection.request(method, path, content, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    text = response.read()
    return response.status, json.loads(text) if response.status < 300 and text else None
