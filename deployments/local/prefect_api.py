"""The few requests to Prefect's server that are made without importing Prefect, which takes seconds."""

import base64
import http.client
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

PROBE_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.2
# What the server answers, to the question for a token too, while its database is locked.
BUSY = (500, 503)


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
    """One request to 127.0.0.1, repeated while the server is busy: the status, and the decoded JSON if it
    succeeded."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        server = http.client.HTTPConnection("127.0.0.1", api.port, timeout=timeout_seconds)
        with closing(server) as connection:
            status, answer = send(connection, api, method, path, body)
        if status not in BUSY or time.monotonic() > deadline:
            return status, answer
        time.sleep(POLL_SECONDS)


def send(
    connection: http.client.HTTPConnection,
    api: PrefectApi,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
) -> tuple[int, Any]:
    """The answer; that to the question for a token where there is none."""
    headers = {"Authorization": f"Basic {base64.b64encode(api.auth_string.encode()).decode()}"}
    if method != "GET":
        # What a request that changes something must have beside the key: proof that an answer could be read.
        client = str(uuid.uuid4())
        status, token = exchange(connection, "GET", f"/api/csrf-token?client={client}", headers)
        if token is None:
            return status, None
        headers |= {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token["token"]}
    return exchange(connection, method, path, headers, None if body is None else json.dumps(body))


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
