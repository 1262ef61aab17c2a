"""The driver dies before or after any remote effect, and nobody goes on with its run: it leaves nothing.

The service itself ends what is left, by the limits that it was given as it was made; `sweep` finds the flow
run by its silence, and all that it made by what that says of itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from tasks.leftovers.flow_runs import find_users
from tasks.spec.naming import names_of_run
from tasks.watch.lease_formula import read_formula
from tests.flows.attempts import sweep_later
from tests.flows.drivers import Death, drivers
from tests.flows.services import batch, exists, remains_of, wait_for_remains, write_files
from tests.flows.test_crash_matrix import FILES, POLICIES, Case, Folder, Work, effects_of

# A run has 20 minutes; its guards have an hour more at most.
ENDS_WITHIN = timedelta(minutes=20 + 60 + 5)
SERVERS = 2


def kill_all(deaths: Sequence[Death], path: Path) -> list[str]:
    """Let a run die each of these deaths, a few at once; the keys of those runs."""
    left: SimpleQueue[tuple[str, Death]] = SimpleQueue()
    keys = [f"{path.name.replace('_', '-').strip('-')}-{number}" for number in range(len(deaths))]
    for one in zip(keys, deaths, strict=True):
        left.put(one)
    with ThreadPoolExecutor(SERVERS) as threads:
        for killing in [threads.submit(kill_while, left, path) for _ in range(min(SERVERS, len(deaths)))]:
            killing.result()
    return keys


def kill_while(left: SimpleQueue[tuple[str, Death]], path: Path) -> None:
    with drivers() as server, suppress(Empty):
        while True:
            key, death = left.get_nowait()
            folder = Folder(path / key)
            write_files(folder.path / "in", FILES)
            server.run(folder.drive(Case(key, (), POLICIES["always"]), Work(), death))


def count_effects(path: Path) -> int:
    """How many effects an undisturbed run has."""
    folder = Folder(path)
    write_files(path / "in", FILES)
    with drivers() as server:
        drive = folder.drive(Case("undisturbed-swept", (), POLICIES["always"]), Work(), None)
        assert server.run(drive) == 0
    return len(effects_of(drive))


def find_endless(run_key: str) -> list[str]:
    """What of a run would go on costing money if nobody came."""
    names, now, found = names_of_run(run_key), datetime.now(timezone.utc), []
    if exists(lambda: batch().get_pool(names.pool_id)):
        lease = read_formula(batch().get_pool(names.pool_id).auto_scale_formula)
        if lease is None or lease.ends_at > now + ENDS_WITHIN:
            found.append(names.pool_id)
    if exists(lambda: batch().get_job(names.job_id)):
        constraints = batch().get_job(names.job_id).constraints
        if constraints is None or constraints.max_wall_clock_time > ENDS_WITHIN:
            found.append(names.job_id)
    return found


def leave_nothing(deaths: Sequence[Death], path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Kill, look at what would go on, sweep, and look at what remains; what there was before the sweep."""
    keys = kill_all(deaths, path)
    assert [left for key in keys for left in find_endless(key)] == []
    there = set().union(*map(remains_of, keys))
    sweep_later(monkeypatch, [flow_run.id for key in keys for flow_run in find_users(key)])
    for key in keys:
        wait_for_remains(key, set())
    assert [flow_run.name for key in keys for flow_run in find_users(key)] == []
    return there


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_wherever_a_run_is_killed_it_leaves_nothing(accounts, tmp_path, monkeypatch):
    """Before and after each effect; only its key was given by hand, so that no name says whose it is."""
    numbers = range(count_effects(tmp_path / "undisturbed"))
    deaths = [Death(number, is_after) for number, is_after in itertools.product(numbers, (False, True))]
    assert leave_nothing(deaths, tmp_path, monkeypatch) == {"containers", "job", "pool"}
