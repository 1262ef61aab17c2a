"""How long requests take, and how much memory tasks need, when a job has few tasks and when it has many."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import orjson

from bench.load import add_tasks, make_collections, make_job, make_pool, time_seconds, wait_for_tasks
from bench.report import Row
from bench.service import Service, run_echo, run_emulator

_SIMULATION = ("--simulate", "fixed:0")
#: With each number of tasks so many more that are new, of which so many fail: all lists are equally long.
_NEW, _FAILED = 100, 10
#: With fewer tasks memory says little.
_ENOUGH_FOR_MEMORY = 10_000

Request = Callable[[httpx.Client], httpx.Response]


@dataclass(frozen=True)
class Found:
    """What was measured with one number of tasks; latencies in milliseconds."""

    count: int
    latencies: dict[str, float]
    active_bytes: float
    completed_bytes: float
    wire_bytes: float


def measure_latencies(sizes: list[int], repetitions: int, *, kept: bool) -> Iterator[Row]:
    """Each latency beside that with the fewest tasks, and that beside the echo of an empty body. `kept`: by a
    service that keeps its state in a journal."""
    with run_echo() as service, service.client() as client:
        echo = _fastest(client, lambda client: client.get("/echo"), repetitions)
    first = None
    for count in sizes:
        with tempfile.TemporaryDirectory() as location:
            found = _measure(count, repetitions, ("--location", location) if kept else ())
        for name, latency in found.latencies.items():
            limit, of = (first.latencies[name], f"{first.count:,} tasks") if first else (echo, "echo")
            yield Row(f"{name}, {count:,} tasks", latency, "ms", limit, of)
        if count >= _ENOUGH_FOR_MEMORY:
            yield from _memory_rows(found)
        first = first or found


def _memory_rows(found: Found) -> Iterator[Row]:
    of = "its JSON as answered"
    yield Row(f"memory of an active task, of {found.count:,}", found.active_bytes, "B", found.wire_bytes, of)
    yield Row(
        f"memory of a completed task, of {found.count:,}", found.completed_bytes, "B", found.wire_bytes, of
    )


def _measure(count: int, repetitions: int, options: tuple[str, ...]) -> Found:
    with run_emulator(*_SIMULATION, *options) as service, service.client() as client:
        make_job(client)
        add_tasks(client, make_collections(_NEW))
        before = service.memory_bytes
        active = _fill(service, client, count, before)
        make_pool(client, nodes=100, slots=8)
        wait_for_tasks(client, count)
        completed = (service.memory_bytes - before) / count
        since = _complete_more(client, count)
        requests = _requests(since)
        latencies = {name: _fastest(client, request, repetitions) for name, request in requests.items()}
        wire = len(client.get("/jobs/job/tasks/task-0000000").content)
    return Found(count, latencies, active, completed, wire)


def _fill(service: Service, client: httpx.Client, count: int, before: int) -> float:
    bodies = make_collections(count)
    next(bodies)
    add_tasks(client, bodies)
    return (service.memory_bytes - before) / count


def _complete_more(client: httpx.Client, count: int) -> str:
    """Let some more tasks complete. Returns the time since when only these have changed."""
    fails = {"environmentSettings": [{"name": "SIMULATED_EXIT_CODE", "value": "1"}]}
    tasks = [
        {"id": f"new-{number}", "commandLine": "x"} | (fails if number < _FAILED else {})
        for number in range(_NEW)
    ]
    add_tasks(client, [orjson.dumps({"value": tasks})])
    wait_for_tasks(client, count + _NEW)
    return client.get("/jobs/job/tasks/new-0").json()["creationTime"]


def _requests(since: str) -> dict[str, Request]:
    def listing(**options: str) -> Request:
        query = {f"${name}": value for name, value in options.items()}
        return lambda client: client.get("/jobs/job/tasks", params=query)

    fields = "id,executionInfo"
    return {
        "task counts": lambda client: client.get("/jobs/job/taskcounts"),
        "one task": lambda client: client.get("/jobs/job/tasks/task-0000007"),
        f"list of {_NEW} new ends, by state and time": listing(
            filter=f"state eq 'completed' and stateTransitionTime ge DateTime'{since}'", select=fields
        ),
        f"list of {_NEW} new ends, by end time": listing(
            filter=f"executionInfo/endTime ge DateTime'{since}'", select=fields
        ),
        "list of what is not completed": listing(filter="state ne 'completed'", select=fields),
        f"list of the {_FAILED} failed tasks": listing(
            filter="executionInfo/result eq 'failure'", select=fields
        ),
    }


def _fastest(client: httpx.Client, request: Request, repetitions: int) -> float:
    """Milliseconds of the fastest, which other work on the machine disturbs least.

    Raises httpx.HTTPStatusError where the answer is an error.
    """
    request(client).raise_for_status()
    return 1000 * min(time_seconds(lambda: request(client)) for _ in range(repetitions))
