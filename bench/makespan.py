"""From the first byte up to the last output: a run beside the tutorial's client and beside xargs.

python -m bench makespan --quick   3 and 100 files
python -m bench makespan           3, 300 and 1,000 files of 50 KB, one node with 2 slots, blobs in Azurite
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from bench.costs import Cost, measure_cost, run_group
from bench.fan_out import AGAIN_TARGET, Drive, change_one, drive, make_inputs, parse_sizes
from bench.report import Row, Target, at_least, at_most, print_row
from bench.stack import Stack, run_stack

QUICK_SIZES = [3, 100]
SIZES = [3, 300, 1_000]
SECONDS_EACH = 1
_TEXT = b"the quick brown fox jumps over the lazy dog and runs away\n" * 860
# Of little work, so that what is measured is what there is beside the work.
_COMMAND = "wc -w"
_SCRIPT = Path(__file__).parent.parent / "node" / "top_n_words.py"
_SCRIPT_COMMAND = f"{shlex.join([sys.executable, str(_SCRIPT)])} --numwords 3 --output /dev/stdout --filepath"
_SLOTS = 2
_ROUNDS = 2
# By the number of files from which on they hold.
_TUTORIAL_TARGETS = {1_000: at_least(2), 300: at_least(1.5), 0: at_least(0.6)}
_XARGS_TARGETS = {1_000: at_most(1.5), 300: at_most(2)}
_AGAIN_TARGETS = {1_000: at_most(AGAIN_TARGET)}
_WORK_TARGETS = {300: at_most(1.1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="3 and 100 files")
    parser.add_argument("--files", type=parse_sizes, help="numbers of files (3,300,1000)")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Measure and print."""
    sizes = given.files or (QUICK_SIZES if given.quick else SIZES)
    with tempfile.TemporaryDirectory() as folder:
        services = Path(folder) / "services"
        services.mkdir()
        with run_stack(services, keeps_blobs=True) as stack:
            for row in measure(stack, sizes, Path(folder), rounds=1 if given.quick else _ROUNDS):
                print_row(row)


@dataclass(frozen=True)
class Client(Cost):
    """What a client took from the terminal, and what else was busy for it."""

    storage_cpu_seconds: float
    batch_cpu_seconds: float
    """Of the local Batch service, its node agent and the programs that ran."""


def measure(stack: Stack, sizes: Iterable[int], folder: Path, rounds: int) -> Iterator[Row]:
    """So many rounds of each size, of which the least counts: other work on the machine disturbs that
    least. Of many files also with the script of the tutorial's job, and with the largest size a second run
    after one file has changed."""
    sizes = list(sizes)
    for size in sizes:
        inputs = make_inputs(folder / f"text-{size}", size, _TEXT)
        turns = [_take_turn(stack, inputs, folder) for _ in range(rounds)]
        local = min(local for local, _, _ in turns)
        tutorial = min((tutorial for _, tutorial, _ in turns), key=_read_seconds)
        ours = min((ours for _, _, ours in turns), key=_read_seconds)
        yield from _make_rows(size, local, tutorial, ours)
        if _find_target(_XARGS_TARGETS, size):
            yield _measure_script(stack, inputs, folder, size)
        if size == max(sizes):
            yield _measure_again(stack, inputs, folder, ours.seconds)


def _take_turn(stack: Stack, inputs: Path, folder: Path) -> tuple[float, Client, Client]:
    outputs = folder / "outputs"
    local = _run_xargs(inputs, _COMMAND)
    tutorial = _watch(stack, lambda: _run_tutorial(stack, inputs, outputs))
    shutil.rmtree(outputs)
    ours = _watch(stack, lambda: _run_ours(stack, inputs, outputs))
    shutil.rmtree(outputs)
    return local, tutorial, ours


def _read_seconds(client: Client) -> float:
    return client.seconds


def _make_rows(size: int, local: float, tutorial: Client, ours: Client) -> Iterator[Row]:
    what = f"{size:,} files, 1 node, {_SLOTS} slots"
    target = _find_target(_TUTORIAL_TARGETS, size)
    yield Row(f"the tutorial's client, {what}", tutorial.seconds, "s", ours.seconds, "ours", target)
    yield Row(f"ours, {what}", ours.seconds, "s", local, f"xargs -P{_SLOTS}")
    yield Row(
        f"  our driver's processor, {what}", ours.cpu_seconds, "s", tutorial.cpu_seconds, "the tutorial's"
    )
    yield Row(f"  the storage emulator's, {what}", ours.storage_cpu_seconds, "s", ours.seconds, "ours")
    yield Row(
        f"  the Batch service's and programs', {what}", ours.batch_cpu_seconds, "s", ours.seconds, "ours"
    )


def _find_target(targets: dict[int, Target], size: int) -> Target | None:
    return next((target for least, target in targets.items() if size >= least), None)


def _measure_script(stack: Stack, inputs: Path, folder: Path, size: int) -> Row:
    """Our run beside the same script on the same files where they are."""
    local = _run_xargs(inputs, _SCRIPT_COMMAND)
    outputs = folder / "counted"
    ours = _watch(stack, lambda: _run_ours(stack, inputs, outputs, _SCRIPT_COMMAND))
    shutil.rmtree(outputs)
    what = f"ours, {size:,} files, 1 node, {_SLOTS} slots, top_n_words.py"
    return Row(what, ours.seconds, "s", local, f"xargs -P{_SLOTS}", _find_target(_XARGS_TARGETS, size))


def _measure_again(stack: Stack, inputs: Path, folder: Path, first_seconds: float) -> Row:
    """A second run over the same outputs after one file has changed, beside the first."""
    outputs = folder / "again"
    first = _run_ours(stack, inputs, outputs)
    change_one(inputs)
    began = time.perf_counter()
    again = _run_ours(stack, inputs, outputs)
    seconds = time.perf_counter() - began
    if again.unchanged != first.files - 1:
        raise RuntimeError(f"{again.unchanged} of {first.files} files were unchanged")
    what = f"second run, 1 of {first.files:,} files changed"
    target = _find_target(_AGAIN_TARGETS, first.files)
    return Row(what, seconds, "s", first_seconds, "first run", target)


def measure_work(stack: Stack, count: int, folder: Path) -> Row:
    """Files of which each is a second of work."""
    inputs = make_inputs(folder / "work", count, _TEXT)
    command = f"sleep {SECONDS_EACH} && {_COMMAND}"
    local = _run_xargs(inputs, command)
    ours = _watch(
        stack, lambda: drive(stack, inputs, folder / "worked", 1, _SLOTS, f"sh -c '{command} \"$1\"' sh")
    )
    what = f"{count:,} files of {SECONDS_EACH} s each"
    target = _find_target(_WORK_TARGETS, count)
    return Row(what, ours.seconds, "s", local, f"xargs -P{_SLOTS}", target)


def _run_xargs(inputs: Path, command: str) -> float:
    names = "\0".join(str(path) for path in sorted(inputs.rglob("*.txt")))
    argv = ["xargs", "-0", "-n1", f"-P{_SLOTS}", "sh", "-c", f'{command} "$1"', "sh"]
    return measure_cost(partial(run_group, argv, given=names.encode(), is_read=False)).seconds


def _watch(stack: Stack, run_client: Callable[[], object]) -> Client:
    """Run a client, and see what it and the services take meanwhile."""
    services = (stack.storage, stack.batch.process)
    before = [_read_cpu(each) for each in services]
    cost = measure_cost(run_client)
    storage, batch = (_read_cpu(each) - early for each, early in zip(services, before, strict=True))
    return Client(cost.seconds, cost.cpu_seconds, storage, batch)


def _read_cpu(process: psutil.Process) -> float:
    """Of a process with those that it has started, also those that have ended."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        times = each.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _run_ours(stack: Stack, inputs: Path, outputs: Path, command: str = _COMMAND) -> Drive:
    return drive(stack, inputs, outputs, 1, _SLOTS, command)


def _run_tutorial(stack: Stack, inputs: Path, outputs: Path) -> None:
    argv = [sys.executable, "-m", "bench.tutorial", str(inputs), str(outputs), _COMMAND, "1", str(_SLOTS)]
    run_group(argv, stack.environment, is_read=False)
    found = len(list(outputs.iterdir()))
    expected = sum(1 for _ in inputs.rglob("*.txt"))
    if found != expected:
        raise RuntimeError(f"the tutorial's client has {found} outputs of {expected}")
