"""The driver of a run: its processor time and memory a file, with nodes and a blob store that do nothing.

python -m bench fan_out --quick                     a minute
python -m bench fan_out --sizes 1000,10000,100000   some minutes
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.costs import run_group
from bench.report import Row, at_most, print_row
from bench.stack import Stack, run_stack

# What the project has set itself.
TARGET_MS = 1.0
TARGET_FIXED_BYTES = 300e6
TARGET_BYTES_A_FILE = 300.0
TARGET_TASK_RUNS = 412
AGAIN_TARGET = 0.1
QUICK_SIZES = [1_000, 10_000]
SIZES = [1_000, 10_000, 100_000]
# A file system allows some 65,000 names for one file.
_NAMES_A_FILE = 10_000


@dataclass(frozen=True)
class Drive:
    """What one run of so many files took its driver."""

    files: int
    seconds: float
    cpu_seconds: float
    import_cpu_seconds: float
    peak_bytes: int
    batch_calls: int
    unchanged: int
    task_runs: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 files")
    parser.add_argument("--sizes", type=parse_sizes, help="numbers of files (1000,10000)")
    parser.set_defaults(run=run)


def parse_sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def run(given: argparse.Namespace) -> None:
    """Measure and print."""
    sizes = given.sizes or (QUICK_SIZES if given.quick else SIZES)
    with tempfile.TemporaryDirectory() as folder:
        services = Path(folder) / "services"
        services.mkdir()
        with run_stack(services, "--simulate", "fixed:0", keeps_blobs=False) as stack:
            for row in make_rows(measure(stack, sizes, Path(folder))):
                print_row(row)


def measure(stack: Stack, sizes: Iterable[int], folder: Path) -> Iterator[Drive]:
    """A run of each size, and a second one over the same outputs after one file has changed, one after
    another on the same services."""
    for size in sizes:
        inputs, outputs = make_inputs(folder / f"in-{size}", size), folder / f"out-{size}"
        yield drive(stack, inputs, outputs, counts_task_runs=True)
        change_one(inputs)
        yield drive(stack, inputs, outputs)


def make_inputs(folder: Path, count: int, content: bytes = b"some words of a text\n") -> Path:
    """A folder with so many small files, 1,000 in each of its folders; many are names of the same one."""
    for number in range(count):
        path = _place(folder, number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        if number % _NAMES_A_FILE == 0:
            path.write_bytes(content)
        else:
            os.link(_place(folder, number - number % _NAMES_A_FILE), path)
    return folder


def _place(folder: Path, number: int) -> Path:
    return folder / f"{number // 1000:04d}" / f"{number:07d}.txt"


def change_one(inputs: Path) -> None:
    """Give the first file another content, and leave those alone that are names of the same one."""
    first = _place(inputs, 0)
    content = first.read_bytes()
    first.unlink()
    first.write_bytes(content + b"and a few more\n")


def drive(
    stack: Stack,
    inputs: Path,
    outputs: Path,
    nodes: int = 100,
    slots: int = 4,
    command: str = "wc -w",
    counts_task_runs: bool = False,
) -> Drive:
    """Run `fan_out` over a folder in a process of its own."""
    argv = [sys.executable, "-m", "bench.driving", str(inputs), str(outputs), str(nodes), str(slots), command]
    argv += ["count"] if counts_task_runs else []
    printed = run_group(argv, stack.environment, is_read=True)
    return Drive(**json.loads(printed.splitlines()[-1]))


def make_rows(drives: Iterable[Drive]) -> Iterator[Row]:
    """Each run's figures beside the targets, as soon as it has ended, and what one more file costs."""
    seen: list[Drive] = []
    for one in drives:
        if one.unchanged:
            yield from _make_again_rows(one, seen[-1])
            continue
        seen.append(one)
        yield from _make_size_rows(one)
    if len(seen) > 1:
        first, last = seen[0], seen[-1]
        slope = (last.cpu_seconds - first.cpu_seconds) / (last.files - first.files)
        fixed = first.cpu_seconds - slope * first.files
        target = at_most(1.0)
        yield Row(
            "driver's processor time for one more file", 1000 * slope, "ms", TARGET_MS, "target", target
        )
        yield Row("driver's fixed processor time", fixed, "s", first.import_cpu_seconds, "imports alone")


def _make_again_rows(again: Drive, first: Drive) -> Iterator[Row]:
    what, target = f"second run, 1 of {again.files:,} files changed", at_most(AGAIN_TARGET)
    yield Row(what, again.seconds, "s", first.seconds, "first run", target)
    yield Row(
        f"  its driver's processor time, {again.files:,} files",
        again.cpu_seconds,
        "s",
        first.cpu_seconds,
        "first run",
    )


def _make_size_rows(one: Drive) -> Iterator[Row]:
    name, target = f"{one.files:,} files", at_most(1.0)
    peak_target = TARGET_FIXED_BYTES + TARGET_BYTES_A_FILE * one.files
    yield Row(f"driver's wall time, {name}", one.seconds, "s", one.cpu_seconds, "its processor time")
    cost = 1000 * one.cpu_seconds / one.files
    yield Row(f"driver's processor time a file, {name}", cost, "ms", TARGET_MS, "target", target)
    peak = one.peak_bytes / 1e6
    yield Row(f"driver's peak memory, {name}", peak, "MB", peak_target / 1e6, "target", target)
    least = one.files / 100
    yield Row(f"Batch calls, {name}", one.batch_calls, "calls", least, "a request for each 100 tasks")
    runs, most = one.task_runs, TARGET_TASK_RUNS
    yield Row(f"Prefect task runs, {name}", runs, "runs", most, "what it was for 10,000", target)
