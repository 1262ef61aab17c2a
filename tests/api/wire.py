"""A raw client of the Batch REST API: signed requests straight into the application, without a socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import httpx

from batch_emulator.settings import DEFAULT_ACCOUNT, DEFAULT_KEY
from tests.shared_key import authorize

HOST = "localhost:10003"
URL = f"http://{HOST}"
NEWEST = "2025-06-01"
OLDEST = "2022-10-01.16.0"

LINUX = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
CONTAINER_HOST = {
    "imageReference": {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2404"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
WINDOWS = {
    "imageReference": {
        "publisher": "MicrosoftWindowsServer",
        "offer": "WindowsServer",
        "sku": "2022-datacenter",
    },
    "nodeAgentSKUId": "batch.node.windows amd64",
}


class Wire:
    """Sends requests as any client of the service might."""

    def __init__(self, client: httpx.AsyncClient):
        self.client = client

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = NEWEST,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """The answer to a signed request. `path` is percent-encoded; `body` is JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        parameters = {"api-version": version, **(query or {})}
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        sent["ocp-date"] = formatdate(usegmt=True)
        if method not in ("GET", "HEAD"):
            sent["content-length"] = str(len(content))
        if content:
            sent.setdefault("content-type", "application/json; odata=minimalmetadata")
        sent["authorization"] = authorize(DEFAULT_ACCOUNT, DEFAULT_KEY, method, path, parameters, sent)
        text = "&".join(f"{quote(name)}={quote(value)}" for name, value in parameters.items())
        return await self.client.request(method, f"{path}?{text}", content=content, headers=sent)

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = await self.send("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """The answer to a POST that succeeds."""
        answer = await self.send("POST", path, body, **options)
        assert answer.status_code < 300, answer.text
        return answer

    async def add_pool(self, pool_id: str = "p", **changes: Any) -> None:
        """A pool without nodes, unless changed."""
        pool = {"id": pool_id, "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}
        version = changes.pop("version", NEWEST)
        await self.post("/pools", pool | changes, version=version)

    async def add_job(self, job_id: str = "j", **changes: Any) -> None:
        """A job of pool `p`."""
        await self.post("/jobs", {"id": job_id, "poolInfo": {"poolId": "p"}} | changes)

    async def add_task(self, task_id: str = "t", job_id: str = "j", **changes: Any) -> None:
        await self.post(f"/jobs/{job_id}/tasks", {"id": task_id, "commandLine": "true"} | changes)

    async def idle_node(self, pool_id: str = "p") -> str:
        """The id of the pool's first node, once it is idle."""

        async def find() -> str | None:
            nodes = (await self.get(f"/pools/{pool_id}/nodes"))["value"]
            return nodes[0]["id"] if nodes and nodes[0]["state"] == "idle" else None

        return await eventually(find)


def error(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """Status, code and values of a refusal."""
    body = answer.json()
    return answer.status_code, body["code"], {each["key"]: each["value"] for each in body.get("values", ())}


async def eventually(find: Callable[[], Awaitable[Any]], timeout_seconds: float = 20) -> Any:
    """The first result of `find` that is true."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := await find()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return found
