"""Random requests, sensible and not: the service always has an answer, and its books always balance."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from batch_emulator.app import create_app
from batch_emulator.engine.engine import Engine
from batch_emulator.node.simulated_runner import SimulatedRunner
from batch_emulator.node.simulation import Simulation
from batch_emulator.settings import Settings
from tests.api.operations import BODIES, JOBS, PLACES, POOLS, requests
from tests.api.wire import LINUX, NEWEST, OLDEST, URL, Wire, eventually

QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
COUNTED = {"active": "active", "preparing": "running", "running": "running", "completed": "completed"}


class Service:
    """A service of simulated nodes in an event loop of its own, in which everything is soon over."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.run(self._open())

    def run(self, awaitable) -> Any:
        return self.loop.run_until_complete(awaitable)

    async def _open(self) -> None:
        rule = Simulation("uniform", mean_seconds=2, seed=1)
        self.engine = Engine(Settings(speed=1000), SimulatedRunner(rule, speed=1000), URL)
        transport = httpx.ASGITransport(app=create_app(self.engine))
        self.wire = Wire(httpx.AsyncClient(transport=transport, base_url=URL))

    def close(self) -> None:
        self.run(self.wire.client.aclose())
        self.run(self.engine.close())
        self.loop.close()

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """The answer to a request, which is never the service's own fault."""
        answer = self.run(self.wire.send(method, path, body, **options))
        assert answer.status_code < 500, f"{method} {path} {body}: {answer.text}"
        return answer

    def items(self, path: str) -> list[dict[str, Any]]:
        return self.run(self.wire.get(path))["value"]

    def agreed(self, counts_path: str, list_path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Counts, and the list that they count, between whose readings nothing has changed."""

        async def read() -> tuple[Any, Any] | None:
            path, _, text = counts_path.partition("?")
            query = dict([text.split("=", 1)]) if text else {}
            before = await self.wire.get(path, query=query)
            listed = await self.wire.send("GET", list_path)
            after = await self.wire.get(path, query=query)
            return (after, listed.json().get("value", [])) if before == after else None

        return self.run(eventually(read))

    def fill(self, path: str, data: st.DataObject) -> str:
        """A path with ids for its places; a node is one of the pool's."""
        for name in re.findall(r"\{([\w:]+)\}", path):
            value = self._node(path, data) if name == "node" else data.draw(PLACES[name], name)
            path = path.replace(f"{{{name}}}", value, 1)
        return path

    def _node(self, path: str, data: st.DataObject) -> str:
        pool, index = path.split("/")[2].lower(), data.draw(st.integers(0, 2), "node")
        nodes = list(self.engine.store.nodes(pool)) if self.engine.store.has_pool(pool) else []
        return nodes[index].id if index < len(nodes) else "absent"


class Operations(RuleBasedStateMachine):
    """Sensible requests in any order, with time in between."""

    def __init__(self) -> None:
        super().__init__()
        self.service = Service()

    def teardown(self) -> None:
        self.service.close()

    @rule(data=st.data(), request=requests)
    def send(self, data, request):
        (method, path), name = request
        body = data.draw(BODIES[name], "body") if name in BODIES else None
        self.service.send(method, self.service.fill(path, data), body)

    @rule(data=st.data(), name=st.sampled_from(["create_pool", "create_job", "create_task"]))
    def add(self, data, name):
        """What the other operations need, more often than they alone would have it."""
        path = {"create_pool": "/pools", "create_job": "/jobs", "create_task": "/jobs/{job}/tasks"}[name]
        self.service.send("POST", self.service.fill(path, data), data.draw(BODIES[name], "body"))

    @rule()
    def rest(self):
        """Time passes until no pool is on its way to another size."""

        async def is_steady() -> bool:
            pools = self.service.engine.store.pools.values()
            return all(pool.allocation_state == "steady" or pool.state == "deleting" for pool in pools)

        self.service.run(eventually(is_steady))

    @invariant()
    def counts_are_those_of_the_tasks(self):
        for job in self.service.items("/jobs"):
            path = f"/jobs/{job['id']}"
            counts, tasks = self.service.agreed(f"{path}/taskcounts", f"{path}/tasks")
            found = Counter(COUNTED[task["state"]] for task in tasks)
            found.update(task["executionInfo"].get("result") for task in tasks)
            names = {"active": 0, "running": 0, "completed": 0, "success": 0, "failure": 0}
            told = counts["taskCounts"]
            told |= {"success": told.pop("succeeded"), "failure": told.pop("failed")}
            assert told == names | {name: found[name] for name in names}

    @invariant()
    def counts_are_those_of_the_nodes(self):
        for pool in self.service.items("/pools"):
            query = f"/nodecounts?$filter=poolId eq '{pool['id']}'"
            counts, nodes = self.service.agreed(query, f"/pools/{pool['id']}/nodes")
            for (told,) in [counts["value"]] if counts["value"] else []:
                for kind, dedicated in (("dedicated", True), ("lowPriority", False)):
                    found = Counter(node["state"] for node in nodes if node["isDedicated"] == dedicated)
                    of_kind = {name.lower(): number for name, number in told[kind].items() if number}
                    assert of_kind.pop("total", 0) == len(list(found.elements()))
                    assert of_kind == dict(found)


def test_random_operations_have_answers_and_counts_stay_true() -> None:
    """Whatever clients do in whatever order: no 5xx, and counts of tasks and nodes are those of the lists."""
    run_state_machine_as_test(
        Operations,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=QUIET
        ),
    )


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoiled(draw, bodies: st.SearchStrategy[Any]) -> Any:
    """A body in which one part, however deep, is anything else."""
    body = draw(bodies)
    if isinstance(body, dict) and body and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(body)))
        return body | {name: draw(spoiled(st.just(body[name])))}
    if isinstance(body, list) and body and draw(st.booleans()):
        return [draw(spoiled(st.just(body[0]))), *body[1:]]
    return draw(ANYTHING)


@given(data=st.data(), request=requests)
@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
def check_spoiled_request(service: Service, data: st.DataObject, request: tuple) -> None:
    (method, path), name = request
    body = data.draw(spoiled(BODIES.get(name, ANYTHING)), "body")
    names = st.sampled_from(["$filter", "$select", "$expand", "maxresults", "$skiptoken", "timeOut", "x"])
    query = data.draw(st.dictionaries(names, st.text(max_size=12), max_size=2), "query")
    condition = st.sampled_from(["If-Match", "If-Modified-Since", "ocp-range"])
    printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
    headers = data.draw(st.dictionaries(condition, printable, max_size=1), "headers")
    version = data.draw(st.sampled_from([NEWEST, OLDEST]), "version")
    service.send(method, service.fill(path, data), body, query=query, headers=headers, version=version)


def test_spoiled_requests_are_refused_and_never_break_anything() -> None:
    """Bodies, queries and headers with nonsense in them get an answer that is not a 5xx."""
    service = Service()
    try:
        for pool in POOLS:
            body = {"id": pool, "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}
            service.send("POST", "/pools", body | {"targetDedicatedNodes": 1})
        for job in JOBS:
            service.send("POST", "/jobs", {"id": job, "poolInfo": {"poolId": "pool-a"}})
        check_spoiled_request(service)
    finally:
        service.close()
