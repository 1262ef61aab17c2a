"""The pure core with a memory beside it: what a journal would hold, and what is left after a crash."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson

from batch_emulator.engine.records import Record, restore, to_records
from batch_emulator.engine.timers import find_function, name_function
from batch_emulator.resources.store import Store
from batch_emulator.scheduler.recovery import recover
from batch_emulator.scheduler.world import World
from tests.unit.emulator.driver import Driver


class KeptDriver(Driver):
    """A driver that keeps after each command what has changed, as the engine does."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.world.random = random.Random(0)
        self.kept: dict[tuple[str, str, str], Record] = {}

    def do(self, command, *arguments):
        try:
            return super().do(command, *arguments)
        finally:
            self.keep()

    def keep(self) -> None:
        for record in to_records(self.world.store, self.world.store.changed):
            apply(self.kept, record)
        self.world.store.changed.clear()

    def check_kept(self) -> None:
        """What is kept is what there is."""
        there = everything(self.world.store)
        assert self.kept.keys() == there.keys()
        for place, record in there.items():
            assert orjson.loads(self.kept[place].body) == orjson.loads(record.body), place

    def crash(self, went_on: bool = False) -> None:
        """The process is gone, with all that ran; another one takes up what was kept."""
        before = self.world
        self.world = World(before.settings, account_url=before.account_url, now=before.now)
        self.world.random = before.random
        self.world.store = restored(self.kept)
        self.world.store.last_number = before.store.last_number
        self.launched.clear()
        for _, timer in self.timers:
            # Raises for a function that another process could not find.
            assert find_function(name_function(timer.function)) is timer.function
        self.do(recover, before.now, went_on)


def apply(kept: dict[tuple[str, str, str], Record], record: Record) -> None:
    """What the journal does with a record."""
    if record.name is None:
        for place in [each for each in kept if each[:2] == record[:2]]:
            del kept[place]
    elif record.body is None:
        kept.pop(record[:3], None)
    else:
        kept[record[:3]] = record


def restored(kept: dict[tuple[str, str, str], Record]) -> Store:
    """A new store of what was kept."""
    store = Store()
    assert restore(store, kept.values()) == set()
    store.changed.clear()
    return store


def everything(store: Store) -> dict[tuple[str, str, str], Record]:
    """Records of all that a store holds, whether it has changed or not."""
    found: dict[tuple[str, str, str], Record] = {}
    for record in to_records(store, all_names(store)):
        apply(found, record)
    return found


def all_names(store: Store) -> Iterator[tuple[str, ...]]:
    yield from (("pool", each) for each in store.pools)
    yield from (("node", node.pool_key, node.id) for node in store.all_nodes())
    yield from (("schedule", each) for each in store.schedules)
    for job_key in store.jobs:
        yield ("job", job_key)
        yield from (("preparation", job_key, node_id) for node_id in store.preparations(job_key))
        yield from (("task", job_key, each) for each in store.tasks(job_key).by_id)


def crash(driver: KeptDriver, went_on: bool = False) -> None:
    driver.done.clear()
    driver.crash(went_on)


def done(driver: KeptDriver, kind: type) -> list[str]:
    return [each.node_id for each in driver.done if isinstance(each, kind)]
