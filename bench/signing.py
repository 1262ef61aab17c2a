"""Requests to a Batch account without the official client: signed, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Generator
from email.utils import formatdate

import httpx

from batch_emulator.api.auth import SIGNED_HEADERS

API_VERSION = "2025-06-01"
JSON_TYPE = "application/json; odata=minimalmetadata"


class SharedKey(httpx.Auth):
    """Source: REST documentation page "Authenticate Requests to the Azure Batch Service"."""

    def __init__(self, account: str, key: str):
        self._account = account
        self._key = base64.b64decode(key)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["ocp-date"] = formatdate(usegmt=True)
        digest = hmac.digest(self._key, self._text(request).encode(), hashlib.sha256)
        request.headers["authorization"] = f"SharedKey {self._account}:{base64.b64encode(digest).decode()}"
        yield request

    def _text(self, request: httpx.Request) -> str:
        headers = [request.headers.get(name, "") for name in SIGNED_HEADERS]
        path = request.url.raw_path.partition(b"?")[0].decode()
        query = "".join(f"\n{name}:{value}" for name, value in sorted(request.url.params.multi_items()))
        date = f"ocp-date:{request.headers['ocp-date']}"
        return "\n".join([request.method, *headers, date, f"/{self._account}{path}"]) + query


def open_account(endpoint: str, account: str, key: str, **options) -> httpx.Client:
    """A client of one account; close it. `options` are those of `httpx.Client`."""
    return httpx.Client(
        base_url=endpoint,
        auth=SharedKey(account, key),
        params={"api-version": API_VERSION},
        headers={"content-type": JSON_TYPE},
        trust_env=False,
        **options,
    )


def follow(client: httpx.Client, link: str) -> httpx.Response:
    """The page that an `odata.nextLink` leads to."""
    # The client's own parameters would replace those of a URL.
    url = httpx.URL(link)
    return client.get(url.path, params=url.params)
