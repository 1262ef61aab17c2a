"""The driver of a run: its processor time and memory a file, with nodes and a blob store that do nothing.

python -m bench fan_out --quick                     a minute
python -m bench fan_out --sizes 1000,10000,100000   some minutes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.report import Row, print_row
from bench.stack import Stack, run_stack

# What the project has set itself.
TARGET_MS = 1.0
TARGET_FIXED_BYTES = 300e6
TARGET_BYTES_A_FILE = 300.0
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="1,000 and 4,000 files")
    parser.add_argument("--sizes", type=_sizes, help="numbers of files (1000,10000)")
    parser.set_defaults(run=run)


def _sizes(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def run(given: argparse.Namespace) -> None:
    """Measure and print."""
    sizes = given.sizes or ([1_000, 4_000] if given.quick else [1_000, 10_000])
    with tempfile.TemporaryDirectory() as folder:
        for row in make_rows(list(measure(sizes, Path(folder)))):
            print_row(row)


def measure(sizes: list[int], folder: Path) -> Iterator[Drive]:
    """A run of each size, one after another on the same services."""
    services = folder / "services"
    services.mkdir()
    with run_stack(services, "--simulate", "fixed:0", keeps_blobs=False) as stack:
        for size in sizes:
            inputs = make_inputs(folder / f"in-{size}", size)
            yield drive(stack, inputs, folder / f"out-{size}")


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


def drive(stack: Stack, inputs: Path, outputs: Path, nodes: int = 100) -> Drive:
    """Run `fan_out` over a folder in a process of its own."""
    argv = [sys.executable, "-m", "bench.driving", str(inputs), str(outputs), str(nodes)]
    answer = subprocess.run(argv, env=stack.environment, stdout=subprocess.PIPE, text=True, check=True)
    return Drive(**json.loads(answer.stdout.splitlines()[-1]))


def make_rows(drives: list[Drive]) -> Iterator[Row]:
    """Each run's figures beside the targets, and what one more file costs."""
    for one in drives:
        target = TARGET_FIXED_BYTES + TARGET_BYTES_A_FILE * one.files
        name = f"{one.files:,} files"
        yield Row(f"driver's wall time, {name}", one.seconds, "s", one.cpu_seconds, "its processor time")
        yield Row(f"driver's peak memory, {name}", one.peak_bytes / 1e6, "MB", target / 1e6, "target")
        cost = 1000 * one.cpu_seconds / one.files
        yield Row(f"driver's processor time a file, {name}", cost, "ms", TARGET_MS, "target")
    if len(drives) > 1:
        first, last = drives[0], drives[-1]
        slope = (last.cpu_seconds - first.cpu_seconds) / (last.files - first.files)
        fixed = first.cpu_seconds - slope * first.files
        yield Row("driver's processor time for one more file", 1000 * slope, "ms", TARGET_MS, "target")
        yield Row("driver's fixed processor time", fixed, "s", first.import_cpu_seconds, "imports alone")
