"""The local Batch service: tasks added and run in a second, latencies and memory with many tasks.

python -m bench emulator --quick                          a minute
python -m bench emulator --sizes 1000,100000,1000000      some ten minutes, and 2 GB of memory
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

from batch_emulator.api.times import parse_time
from batch_emulator.settings import DEFAULT_ACCOUNT, DEFAULT_KEY
from batch_emulator.ticks import TICKS_PER_SECOND
from bench.fan_out import parse_sizes
from bench.latencies import measure_latencies
from bench.load import (
    add_tasks,
    best_rate,
    list_tasks,
    make_collections,
    make_job,
    make_pool,
    make_task,
    post_all,
    wait_for_tasks,
)
from bench.report import Row, print_row
from bench.service import Service, run_echo, run_emulator
from bench.spawning import spawn_many

_SLOTS = 8
_ROUNDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="few tasks, few repetitions")
    parser.add_argument("--sizes", type=parse_sizes, help="numbers of tasks for latencies (1000,100000)")
    parser.add_argument("--only", choices=("adding", "running", "latencies"), help="one part of three")
    parser.add_argument("--kept", action="store_true", help="latencies of a service that keeps its state")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Measure and print."""
    quick = given.quick
    sizes = given.sizes or ([1_000, 10_000] if quick else [1_000, 100_000])
    parts = {
        "adding": _measure_adding(2_000 if quick else 20_000),
        "running": _measure_running(200 if quick else 1_000),
        "latencies": measure_latencies(sizes, repetitions=11 if quick else 51, kept=given.kept),
    }
    for name, rows in parts.items():
        if given.only in (None, name):
            for row in rows:
                print_row(row)


def _measure_adding(count: int) -> Iterator[Row]:
    """Tasks added a second, by collections of 100 over one connection."""
    bodies = list(make_collections(count))
    with run_echo() as service, service.client() as client:
        echoing = [partial(post_all, client, "/echo", bodies)] * _ROUNDS
        limit = best_rate(count, echoing)
    with run_emulator() as service, service.client() as client:
        raw = best_rate(count, _adding(client, bodies))
        by_client = best_rate(count, _adding_by_official_client(service, client, count))
    yield Row("tasks added, collections of 100", raw, "tasks/s", limit, "echo of the same bodies")
    yield Row("the same by the official client", by_client, "tasks/s", raw, "raw requests")
    with (
        tempfile.TemporaryDirectory() as location,
        run_emulator("--location", location) as service,
        service.client() as client,
    ):
        kept = best_rate(count, _adding(client, bodies))
    yield Row("the same with --location: kept in SQLite", kept, "tasks/s", raw, "nothing kept")


def _adding(client: httpx.Client, bodies: list[bytes]) -> Iterator[Callable[[], None]]:
    """Rounds, each for a job of its own."""
    for number in range(_ROUNDS):
        make_job(client, f"job-{number}")
        yield partial(post_all, client, f"/jobs/job-{number}/addtaskcollection", bodies)


def _adding_by_official_client(
    service: Service, client: httpx.Client, count: int
) -> Iterator[Callable[[], object]]:
    tasks = [
        models.BatchTaskCreateOptions(id=each["id"], command_line=each["commandLine"])
        for each in map(make_task, range(count))
    ]
    credential = AzureNamedKeyCredential(DEFAULT_ACCOUNT, DEFAULT_KEY)
    with BatchClient(service.endpoint, credential) as official:
        for number in range(_ROUNDS):
            make_job(client, f"official-{number}")
            yield partial(official.create_tasks, f"official-{number}", tasks)


def _measure_running(count: int) -> Iterator[Row]:
    """Tasks run a second: real processes, and simulated ones."""
    spawning = partial(spawn_many, ["/bin/true"], count, at_once=_SLOTS)
    # In turns: other work on the machine comes and goes, and shall disturb all of them alike.
    ways = {
        "bare": lambda: count / spawning(with_folders=False),
        "folders": lambda: count / spawning(with_folders=True),
        "run": lambda: _running_rate(count),
        "kept": lambda: _with_location(partial(_running_rate, count)),
    }
    rounds = [{name: way() for name, way in ways.items()} for _ in range(_ROUNDS)]
    best = {name: max(each[name] for each in rounds) for name in ways}
    name = f"tasks run, /bin/true, {_SLOTS} at once"
    yield Row(name, best["run"], "tasks/s", best["folders"], "asyncio loop: folder, two files, process")
    yield Row(name, best["run"], "tasks/s", best["bare"], "asyncio loop: process alone")
    of = "nothing kept"
    yield Row("the same with --location: kept in SQLite", best["kept"], "tasks/s", best["run"], of)
    simulated = _simulated_rate(10 * count)
    yield Row("tasks run, simulated, with the pool's start", simulated, "tasks/s", best["run"], "processes")
    kept = _with_location(partial(_simulated_rate, 10 * count))
    yield Row("the same with --location: kept in SQLite", kept, "tasks/s", simulated, of)


def _with_location(measure: Callable[..., float]) -> float:
    with tempfile.TemporaryDirectory() as location:
        return measure("--location", location)


def _running_rate(count: int, *options: str) -> float:
    """From the first task's start to the last one's end, as the service tells them."""
    with run_emulator(*options) as service, service.client() as client:
        make_job(client)
        add_tasks(client, make_collections(count, commandLine="/bin/true"))
        make_pool(client, nodes=1, slots=_SLOTS)
        wait_for_tasks(client, count)
        return count / _span_seconds([each["executionInfo"] for each in list_tasks(client, "executionInfo")])


def _simulated_rate(count: int, *options: str) -> float:
    with run_emulator("--simulate", "fixed:0", *options) as service, service.client() as client:
        make_job(client)
        add_tasks(client, make_collections(count))
        start = time.perf_counter()
        make_pool(client, nodes=100, slots=4)
        wait_for_tasks(client, count)
        return count / (time.perf_counter() - start)


def _span_seconds(infos: list[dict]) -> float:
    """From the first start to the last end."""
    first = min(parse_time(info["startTime"]) for info in infos)
    last = max(parse_time(info["endTime"]) for info in infos)
    return (last - first) / TICKS_PER_SECOND
