"""What a recording expects to be there before it begins: made from the first answer that shows it."""

from __future__ import annotations

import copy
import json
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conformance.recordings import Exchange, Service

_PLACE = re.compile(r"/(pools|jobs|jobschedules)/([^/?]+)")
_TASK = re.compile(r"/jobs/([^/]+)/tasks/([^/]+)")
_TASKS_MADE = re.compile(r"/jobs/([^/]+)/(?:tasks|addtaskcollection)")
_NODE_PLACE = re.compile(r"/pools/([^/]+)/nodes/(tvmps_[0-9a-f]{64}_[dp])")
#: What only the service writes.
_ANSWERED_ONLY = frozenset(
    (
        "odata.metadata",
        "url",
        "eTag",
        "lastModified",
        "creationTime",
        "state",
        "stateTransitionTime",
        "previousState",
        "previousStateTransitionTime",
        "allocationState",
        "allocationStateTransitionTime",
        "currentDedicatedNodes",
        "currentLowPriorityNodes",
        "currentNodeCommunicationMode",
        "resizeErrors",
        "autoScaleRun",
        "executionInfo",
        "nodeInfo",
        "stats",
    )
)
_MACHINE = {
    "imageReference": {
        "publisher": "canonical",
        "offer": "0001-com-ubuntu-server-jammy",
        "sku": "22_04-lts",
    },
    "nodeAgentSKUId": "batch.node.ubuntu 22.04",
}
_SPARE_POOL = "staged-pool"
#: What a pool that scales itself tells, and is not given.
_TARGETS = ("targetDedicatedNodes", "targetLowPriorityNodes", "resizeTimeout")


def stage(service: Service, exchanges: list[Exchange], setup: str, patience_seconds: float) -> None:
    """Make what the exchanges name and none of them makes: by the lines of `setup`, if there are any."""
    version = dict(exchanges[0].query)["api-version"]
    for line in setup.splitlines():
        _set_up(service, version, *line.split(None, 2), patience_seconds=patience_seconds)
    if setup:
        return
    for kind, name in _missing(exchanges):
        _add(service, version, f"/{kind}", _specification(kind, name, exchanges))
        if kind == "pools":
            _await_nodes(service, f"/pools/{name}", version, patience_seconds)
    for job, task in _missing_tasks(exchanges):
        _add(service, version, f"/jobs/{job}/tasks", _task(job, task, exchanges))


def _set_up(
    service: Service, version: str, verb: str, path: str, given: str = "", *, patience_seconds: float
) -> None:
    """Make something, or wait until all that is listed at a path is in a state, by default `idle`."""
    if verb == "POST":
        _add(service, version, path, json.loads(given))
        return
    deadline = time.monotonic() + 10 * patience_seconds
    while time.monotonic() < deadline:
        listed = service.get(path, version)["value"]
        if listed and all(each["state"] == (given or "idle") for each in listed):
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} is not {given or 'idle'}")


def _await_nodes(service: Service, path: str, version: str, patience_seconds: float) -> None:
    """A pool that was there beforehand had its nodes."""
    deadline = time.monotonic() + patience_seconds
    while service.get(path, version)["allocationState"] != "steady" and time.monotonic() < deadline:
        time.sleep(0.05)


def meet_nodes(service: Service, exchange: Exchange, patience_seconds: float) -> None:
    """Find a node for each one that a request names."""
    for pool, node in _NODE_PLACE.findall(exchange.path):
        if exchange.status != 404:
            _meet_node(service, pool, node, dict(exchange.query)["api-version"], patience_seconds)


def _meet_node(service: Service, pool: str, node: str, version: str, patience_seconds: float) -> None:
    """Let a node of the pool that is idle stand for a recorded one, unless one does already."""
    deadline = time.monotonic() + patience_seconds
    while node not in service.names and time.monotonic() < deadline:
        listed = service.get(f"/pools/{pool}/nodes", version)["value"]
        taken = set(service.names.values())
        found = [each["id"] for each in listed if each["state"] == "idle" and each["id"] not in taken]
        found = [each for each in found if each.endswith(node[-2:])]
        if found:
            service.names[node] = found[0]
        else:
            time.sleep(0.05)


def _missing(exchanges: list[Exchange]) -> list[tuple[str, str]]:
    """(kind, id) of each pool, job and schedule whose first mention is neither its making nor a 404."""
    first: dict[tuple[str, str], Exchange] = {}
    for exchange in exchanges:
        if exchange.method == "POST" and exchange.path in ("/pools", "/jobs", "/jobschedules"):
            first.setdefault((exchange.path[1:], exchange.body["id"]), exchange)
        elif found := _PLACE.match(exchange.path):
            first.setdefault((found[1], found[2]), exchange)
    order = ["pools", "jobs", "jobschedules"]
    return sorted(
        (place for place, each in first.items() if each.path != f"/{place[0]}" and _is_there(each, place)),
        key=lambda place: order.index(place[0]),
    )


def _is_there(exchange: Exchange, place: tuple[str, str]) -> bool:
    kind = {"pools": "Pool", "jobs": "Job", "jobschedules": "JobSchedule"}[place[0]]
    code = exchange.answer.get("code") if isinstance(exchange.answer, dict) else None
    return not (exchange.status == 404 and code in (None, f"{kind}NotFound")) and exchange.status != 400


def _missing_tasks(exchanges: list[Exchange]) -> list[tuple[str, str]]:
    posted = [_TASKS_MADE.fullmatch(each.path) for each in exchanges if each.method == "POST"]
    made = {found[1] for found in posted if found}
    named = [found.groups() for each in exchanges if (found := _TASK.match(each.path)) and each.status < 400]
    return list(dict.fromkeys((job, task) for job, task in named if job not in made))


def _specification(kind: str, name: str, exchanges: list[Exchange]) -> dict[str, Any]:
    shown = _first_answer(f"/{kind}/{name}", exchanges)
    if kind == "pools":
        return _pool(name, shown, exchanges)
    if kind == "jobs":
        return shown or {"id": name, "poolInfo": {"poolId": _SPARE_POOL}}
    return shown or {
        "id": name,
        "schedule": {"recurrenceInterval": "P1D"},
        "jobSpecification": {"poolInfo": {"poolId": _SPARE_POOL}},
    }


def _pool(name: str, shown: dict[str, Any], exchanges: list[Exchange]) -> dict[str, Any]:
    nodes = {node for each in exchanges for node in re.findall(r"tvmps_[0-9a-f]{64}_[dp]", str(each))}
    spec = {"id": name, "vmSize": "standard_d2_v2", "virtualMachineConfiguration": _MACHINE} | shown
    if spec.get("enableAutoScale"):
        spec = {name: value for name, value in spec.items() if name not in _TARGETS}
    else:
        listed = len([each for each in nodes if each.endswith("_d")])
        spec["targetDedicatedNodes"] = max(spec.get("targetDedicatedNodes", 0), listed)
    for account in spec.get("userAccounts", []):
        account["password"] = "kt#_gahr!@aGERDXA"
    return spec


def _task(job: str, task: str, exchanges: list[Exchange]) -> dict[str, Any]:
    return {"id": task, "commandLine": "/bin/sh -c 'echo staged'"} | _first_answer(
        f"/jobs/{job}/tasks/{task}", exchanges
    )


def _first_answer(path: str, exchanges: list[Exchange]) -> dict[str, Any]:
    """A specification from the first whole answer at a path; empty where there is none."""
    for exchange in exchanges:
        whole = exchange.method == "GET" and exchange.path == path and "select" not in str(exchange.query)
        if whole and exchange.status == 200:
            shown = {name: value for name, value in exchange.answer.items() if name not in _ANSWERED_ONLY}
            return copy.deepcopy(shown)
    return {}


def _add(service: Service, version: str, path: str, spec: dict[str, Any]) -> None:
    from tests.conformance.recordings import Exchange

    made = service.send(
        Exchange("POST", path, [("api-version", version)], {"content-type": _JSON}, spec, 201, {}, None)
    )
    assert made.status in (201, 409), (path, spec, made)


_JSON = "application/json; odata=minimalmetadata"
