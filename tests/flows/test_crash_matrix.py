"""The driver dies before and after each remote effect, and at any instant; the next attempt ends its work.

Whatever the instant, the clean-up policy, and what was changed between the attempts: the outputs are those of
an undisturbed run byte for byte, each Batch task ran once, no blob was sent twice, and what remains is what
the policy keeps.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from tasks.containers import delete_containers
from tasks.jobs import delete_jobs
from tasks.pools import delete_pool
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup
from tests.flows.drivers import Death, Drive, Drivers, drivers
from tests.flows.services import blobs, blobs_of, remains_of, write_files
from tests.waiting import wait_until

FILES = {"one.txt": "1", "two words.txt": "2\n", "three.txt": ""}
POLICIES = {
    when.replace("_", "-"): Cleanup(containers=when, job=when, pool=when)
    for when in ("always", "never", "on_success")
}
KEPT = {"never": {"containers", "job", "pool"}, "always": set(), "on_success": set()}
GONE_SECONDS = 60
SEED = 8
RANDOM = 6
# How many pairs of policy and change lie between those of the two sides of an effect.
APART = 5


@dataclass(frozen=True)
class Work:
    """What makes the outputs: parts of command, program and environment that show in them."""

    command: str = "c"
    program: str = "p"
    environment: str = "e"

    def __str__(self) -> str:
        return f"{self.command}-{self.program}-{self.environment}"

    def outputs(self) -> dict[str, bytes]:
        return {
            name.replace(".txt", "_OUTPUT.txt"): f"{self}\n{text}".encode() for name, text in FILES.items()
        }


CHANGES = {
    "nothing": Work(),
    "command": Work(command="c2"),
    "program": Work(program="p2"),
    "environment": Work(environment="e2"),
}


@dataclass(frozen=True)
class Case:
    """A run that dies one or several times, and what its last attempt does."""

    key: str
    deaths: tuple[Death | float, ...]
    """At an effect, or after so many seconds."""

    cleanup: Cleanup
    change: str = "nothing"

    def __str__(self) -> str:
        return f"{self.deaths} {self.cleanup.job} change={self.change}"


@dataclass
class Folder:
    """Where a case lives."""

    path: Path
    attempts: Iterator[int] = field(default_factory=itertools.count)

    def drive(self, case: Case, work: Work, death: Death | None) -> Drive:
        program = self.path / "app.sh"
        text = f'label="$3-{work.program}-$LABEL"\necho "$label $FAN_OUT_NAME" >> {self.path}/ran\n'
        program.write_text(f'{text}{{ echo "$label"; cat "$1"; }} > "$2"\n')
        parameters = {
            "inputs": str(self.path / "in"),
            "application": str(program),
            "command": f"sh {{application}} {{input}} {{output}} {work.command}",
            "output_dir": str(self.path / "out"),
            "run_key": case.key,
            "cleanup": case.cleanup.model_dump(),
            "task": {"environment": {"LABEL": work.environment}},
        }
        number = next(self.attempts)
        return Drive(parameters, f"{self.path}/effects-{number}", f"{self.path}/log-{number}", death)

    def runs(self) -> Counter[str]:
        """How often each piece of work was run, by label and name."""
        ran = self.path / "ran"
        return Counter(ran.read_text().splitlines() if ran.exists() else [])

    def outputs(self) -> dict[str, bytes]:
        out = self.path / "out"
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def effects_of(drive: Drive) -> list[str]:
    return Path(drive.effects).read_text().splitlines()


def run_case(server: Drivers, case: Case, path: Path) -> Drive:
    """Let the run die as often as the case says, then end; hold what is promised. The last drive."""
    folder = Folder(path)
    write_files(path / "in", FILES)
    for death in case.deaths:
        die(server, folder, case, death)
    there = {f"{container}/{name}" for container in uploads_of(case) for name in list_blobs(container)}
    work = CHANGES[case.change]
    last = folder.drive(case, work, None)
    assert server.run(last) == 0, Path(last.log).read_text()[-3000:]
    assert folder.outputs() == work.outputs()
    runs = folder.runs()
    assert {line: count for line, count in runs.items() if count > 1} == {}
    assert {line for line in runs if line.startswith(f"{work} ")} == {f"{work} {name}" for name in FILES}
    sent = {line.partition("/")[2].partition("/")[2] for line in effects_of(last) if line.startswith("PUT")}
    assert sent & there == set()
    wait_until(
        lambda: remains_of(case.key) == KEPT[case.cleanup.job],
        GONE_SECONDS,
        f"remains as the policy says: {remains_of(case.key)}",
    )
    if case.cleanup.job == "never":
        delete_all(case.key)
    return last


def die(server: Drivers, folder: Folder, case: Case, death: Death | float) -> None:
    """One attempt that is killed, or ends before it would have been."""
    if isinstance(death, Death):
        drive = folder.drive(case, Work(), death)
        assert server.run(drive) == -signal.SIGKILL or len(effects_of(drive)) <= death.number
        return
    with ExitStack() as stack:

        def kill_later(pid: int) -> None:
            timer = threading.Timer(death, kill, [pid])
            timer.start()
            stack.callback(timer.cancel)

        server.run(folder.drive(case, Work(), None), kill_later)


def kill(pid: int) -> None:
    """Kill a process, unless it has ended before its time came."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def uploads_of(case: Case) -> list[str]:
    names = names_of_run(case.key)
    return [names.application_container, names.input_container]


def list_blobs(container: str) -> dict[str, str]:
    return blobs_of(container) if blobs().get_container_client(container).exists() else {}


def delete_all(key: str) -> None:
    """Ask for the deletion of whatever is left of a run."""
    names = names_of_run(key)
    for step in (delete_jobs, delete_pool, delete_containers):
        step.fn(names)


@pytest.fixture
def count_effects(accounts, tmp_path) -> Callable[[str], int]:
    """How many effects an undisturbed run has, by policy. Its outputs are those that all must have."""

    def count(policy: str) -> int:
        key = f"undisturbed-{policy}"
        with drivers() as server:
            effects = effects_of(run_case(server, Case(key, (), POLICIES[policy]), tmp_path / key))
        # No client sends past the counting.
        assert {line.rpartition("/")[2] for line in effects if line.startswith("PUT")} >= FILES.keys()
        return len(effects)

    return count


def cases_at(effects: dict[str, int]) -> Iterator[Case]:
    """A case for each side of each effect; policies, if they have so many, and changes take turns."""
    for number, is_after in itertools.product(range(max(effects.values())), (False, True)):
        policies = [policy for policy in POLICIES if number < effects[policy]]
        pairs = list(itertools.product(policies, CHANGES))
        # Each side takes its own turns: with shared ones, one would meet but half of the pairs.
        policy, change = pairs[(number + is_after * APART) % len(pairs)]
        death = Death(number, is_after)
        yield Case(f"at-{number}-{is_after:d}", (death,), POLICIES[policy], change)


def cases_at_random(seconds: float) -> Iterator[Case]:
    """Cases that die twice, at any instants of a run that takes so long."""
    chance = random.Random(SEED)
    for policy, change in chance.sample(list(itertools.product(POLICIES, CHANGES)), RANDOM):
        deaths = (chance.uniform(0, seconds), chance.uniform(0, seconds))
        yield Case(f"random-{policy}-{change}", deaths, POLICIES[policy], change)


def run_cases(cases: list[Case], folder: Path, servers: int) -> list[str]:
    """Run the cases, as many at once as there are servers; what went wrong."""
    left: SimpleQueue[Case] = SimpleQueue()
    for case in cases:
        left.put(case)
    with ThreadPoolExecutor(servers) as threads:
        # Prefect's settings are a context variable, which a new thread doesn't have by itself.
        working = [threads.submit(copy_context().run, run_while, left, folder) for _ in range(servers)]
        return [problem for done in working for problem in done.result()]


def run_while(left: SimpleQueue[Case], folder: Path) -> list[str]:
    """Run cases as long as there are some left; what went wrong."""
    problems = []
    with drivers() as server, suppress(Empty):
        while True:
            case = left.get_nowait()
            try:
                run_case(server, case, folder / case.key)
            except Exception as error:
                problems.append(f"{case.key} {case}: {error!r}")
                print(problems[-1], flush=True)
    return problems


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_a_run_that_dies_anywhere_is_ended_by_the_next_attempt(accounts, count_effects, tmp_path):
    """Before and after each effect, and at random instants; under each policy, and with each change."""
    began = time.monotonic()
    effects = {policy: count_effects(policy) for policy in POLICIES}
    seconds = (time.monotonic() - began) / len(POLICIES)
    cases = [*cases_at(effects), *cases_at_random(seconds)]
    assert run_cases(cases, tmp_path, servers=3) == []
