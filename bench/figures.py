"""All figures of the project against their peers in one run, written to bench/results/.

python -m bench --quick                                  two minutes
python -m bench                                          half an hour
python -m bench --sizes 1000,10000,100000,1000000        hours, and some 9 GB of memory for the services
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from bench import fan_out, makespan, words
from bench.fan_out import Drive, parse_sizes
from bench.report import Row, print_row
from bench.results import Measured, describe_machine, keeping
from bench.stack import run_prefect, run_services

_RESULTS = Path(__file__).parent / "results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--sizes", type=parse_sizes, help="numbers of files for the driver (1000,10000)")
    parser.add_argument(
        "--results", type=Path, default=_RESULTS, help="the folder to write to (bench/results)"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Measure, print, write; what has been measured is kept, also if the rest fails or is interrupted."""
    began = datetime.now(timezone.utc)
    sizes = given.sizes or (fan_out.QUICK_SIZES if given.quick else fan_out.SIZES)
    measured = Measured(describe_machine(began))
    name = f"{began:%Y-%m-%d-%H%M}{'-quick' if given.quick else ''}"
    with keeping(measured, given.results, name), tempfile.TemporaryDirectory() as folder:
        for row in _measure(Path(folder), given.quick, sizes, measured.drives):
            print_row(row)
            measured.rows.append(row)


def _measure(folder: Path, is_quick: bool, sizes: list[int], drives: list[Drive]) -> Iterator[Row]:
    yield from words.measure(words.QUICK_MEGABYTES if is_quick else words.MEGABYTES, folder)
    services = folder / "services"
    services.mkdir()
    with run_prefect(services) as prefect:
        with run_services(prefect, keeps_blobs=True) as stack:
            counts = makespan.QUICK_SIZES if is_quick else makespan.SIZES
            yield from makespan.measure(stack, counts, folder, rounds=1 if is_quick else 2)
            yield makespan.measure_work(stack, 20 if is_quick else 300, folder)
        with run_services(prefect, "--simulate", "fixed:0", keeps_blobs=False) as stack:
            yield from fan_out.make_rows(_noting(drives, fan_out.measure(stack, sizes, folder)))


def _noting(drives: list[Drive], measured: Iterable[Drive]) -> Iterator[Drive]:
    """As they are measured, with a note of those that are first runs."""
    for one in measured:
        if not one.unchanged:
            drives.append(one)
        yield one
