"""Resources as records that can be kept: of what has changed in a store, and a store of what was kept.

A record's body is the resource's dataclass as JSON, with the runs (`resources.runs`) in it. Tasks are filed
under the number of their job, not its id: where a job is deleted and made anew, the tasks of the old one may
go later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from batch_emulator.resources.model import Certificate, Job, JobSchedule, Node, Pool, Preparation, Task
from batch_emulator.resources.runs import Instance, Run
from batch_emulator.resources.store import Store


class Record(NamedTuple):
    """One resource. Without `body` it is gone; without `name` everything of its kind and parent is."""

    kind: str
    parent: str
    name: str | None
    body: bytes | None


class Kept(NamedTuple):
    """One resource as it stands in the journal."""

    kind: str
    parent: str
    name: str
    body: bytes


class Kind(NamedTuple):
    """`find` takes the names in a change to the resource, or None; `add` files a resource that was kept."""

    type: type
    find: Callable[..., Any]
    add: Callable[[Store, Any], None]

    @property
    def fields(self) -> list[dataclasses.Field]:
        """What is kept of it; the rest is made of that."""
        return [each for each in dataclasses.fields(self.type) if each.init]


def _read_run(kept: dict[str, Any]) -> Run:
    return Run(**kept)


def _read_instances(kept: list[dict[str, Any]]) -> list[Instance]:
    return [Instance(**each) for each in kept]


_RUNS: dict[str, Callable[[Any], Any]] = {
    "start_task": _read_run,
    "preparation": _read_run,
    "release": _read_run,
    "instances": _read_instances,
}
"""Fields of resources that are made of runs."""

# In the order in which they can be added.
KINDS = {
    "pool": Kind(Pool, lambda store, name: store.pools.get(name), Store.add_pool),
    "node": Kind(Node, Store.find_node, Store.add_node),
    "schedule": Kind(JobSchedule, lambda store, name: store.schedules.get(name), Store.add_schedule),
    "certificate": Kind(Certificate, lambda store, name: store.certificates.get(name), Store.add_certificate),
    "job": Kind(Job, lambda store, name: store.jobs.get(name), Store.add_job),
    "preparation": Kind(
        Preparation, lambda store, job_key, name: store.preparations(job_key).get(name), Store.put_preparation
    ),
    "task": Kind(Task, Store.find_task, lambda store, task: store.add_task(task, ready=task.ready)),
}


def to_records(store: Store, changes: Iterable[tuple[str, ...]]) -> Iterator[Record]:
    """What must be kept, or forgotten, so that what is kept is again what the store holds."""
    for change in changes:
        kind, *names = change
        if kind == "tasks":
            yield Record("task", names[0], None, None)
        elif kind != "task":
            parent, name = names if len(names) == 2 else ("", names[0])
            yield Record(kind, parent, name, _WRITERS[kind](KINDS[kind].find(store, *names)))
        elif job := store.jobs.get(names[0]):
            yield Record(kind, str(job.number), names[1], _WRITERS[kind](store.find_task(*names)))


def _writer(kind: Kind) -> Callable[[Any], bytes | None]:
    """Makes the body of a resource, without the fields that are None where that is their default."""
    names = [each.name for each in kind.fields]
    needed = frozenset(each.name for each in kind.fields if each.default is not None)
    values = attrgetter(*names)

    def write(resource: Any) -> bytes | None:
        if resource is None:
            return None
        given = zip(names, values(resource), strict=True)
        return orjson.dumps({name: value for name, value in given if value is not None or name in needed})

    return write


_WRITERS = {name: _writer(kind) for name, kind in KINDS.items()}


def restore(store: Store, records: Iterable[Kept]) -> set[str]:
    """Fill an empty store. Returns the numbers of jobs that are gone while tasks of theirs are still kept."""
    found: dict[str, list[tuple[str, Any]]] = {kind: [] for kind in KINDS}
    read = _Reader()
    for record in records:
        found[record.kind].append((record.parent, read(record)))
    jobs = {str(job.number): job for _, job in found["job"]}
    gone = {number for number, _ in found["task"] if number not in jobs}
    # A task is ready since its last change: that is the order of the queue.
    found["task"] = sorted(
        (each for each in found["task"] if each[0] in jobs), key=lambda each: each[1].state_since
    )
    for number, task in found["task"]:
        task.job_key = jobs[number].key
    for kind, resources in found.items():
        for _, resource in resources:
            KINDS[kind].add(store, resource)
    return gone


class _Reader:
    """Makes resources of records. Equal parts of task specifications become one object: they are never
    changed, and a million copies of the same defaults would be most of the memory."""

    def __init__(self) -> None:
        self._shared: dict[bytes, Any] = {}
        self._fields = {name: {each.name for each in kind.fields} for name, kind in KINDS.items()}

    def __call__(self, record: Kept) -> Any:
        values = orjson.loads(record.body)
        known = self._fields[record.kind]
        given = {name: value for name, value in values.items() if name in known}
        for name in _RUNS.keys() & given.keys():
            given[name] = given[name] and _RUNS[name](given[name])
        if record.kind == "task":
            given["spec"] = {name: self._share(value) for name, value in given["spec"].items()}
            given["spec"]["id"] = given["id"]
        return KINDS[record.kind].type(**given)

    def _share(self, value: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        return self._shared.setdefault(orjson.dumps(value), value)
