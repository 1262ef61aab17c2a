"""What the measurements ask of a service: a pool, a job, many tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import httpx
import orjson

from bench.signing import follow

AT_ONCE = 100
MACHINE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}


def time_seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def best_rate(count: int, rounds: Iterable[Callable[[], object]]) -> float:
    """Things a second in the best of several rounds, each of `count` things: other work on the machine
    disturbs that one least."""
    return count / min(time_seconds(each) for each in rounds)


def make_task(number: int) -> dict:
    return {"id": f"task-{number:07d}", "commandLine": f"/bin/sh -c 'wc -w input-{number:07d}.txt'"}


def make_collections(count: int, **changes) -> Iterator[bytes]:
    """Bodies of Add Task Collection, 100 tasks each."""
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        yield orjson.dumps({"value": [make_task(number) | changes for number in numbers]})


def post_all(client: httpx.Client, path: str, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        client.post(path, content=body).raise_for_status()


def add_tasks(client: httpx.Client, bodies: Iterable[bytes]) -> None:
    post_all(client, "/jobs/job/addtaskcollection", bodies)


def make_job(client: httpx.Client, job_id: str = "job") -> None:
    client.post("/jobs", json={"id": job_id, "poolInfo": {"poolId": "pool"}}).raise_for_status()


def make_pool(client: httpx.Client, nodes: int, slots: int) -> None:
    body = {
        "id": "pool",
        "vmSize": "standard_d2s_v3",
        "virtualMachineConfiguration": MACHINE,
        "targetDedicatedNodes": nodes,
        "taskSlotsPerNode": slots,
    }
    client.post("/pools", json=body).raise_for_status()


def wait_for_tasks(client: httpx.Client, count: int) -> None:
    """Until so many tasks of the job are completed."""
    while client.get("/jobs/job/taskcounts").json()["taskCounts"]["completed"] < count:
        time.sleep(0.2)


def list_tasks(client: httpx.Client, select: str) -> Iterator[dict]:
    """All tasks of the job, page by page."""
    page = client.get("/jobs/job/tasks", params={"$select": select}).json()
    yield from page["value"]
    while link := page.get("odata.nextLink"):
        page = follow(client, link).json()
        yield from page["value"]
