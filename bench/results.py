"""What was measured, kept: a page with a table, numbers as JSON, and how cost grows with the files as PNG."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path

import psutil

from bench.fan_out import TARGET_BYTES_A_FILE, TARGET_FIXED_BYTES, TARGET_MS, Drive
from bench.report import COLUMNS, Row

_PACKAGES = ("prefect", "azure-batch", "azure-storage-blob", "azure-core", "requests", "matplotlib")


@dataclass
class Measured:
    """What has been measured so far, where and with what."""

    facts: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    drives: list[Drive] = field(default_factory=list)


@contextmanager
def keeping(measured: Measured, folder: Path, name: str) -> Iterator[None]:
    """Write what has been measured in the block when it ends, however it ends: its error is the one raised,
    whatever can't be written then."""
    try:
        yield
    except BaseException as error:
        measured.facts["ended early"] = type(error).__name__
        try:
            _write_and_tell(measured, folder, name)
        except Exception as problem:
            print(f"What was measured can't be written: {problem!r}")
        raise
    _write_and_tell(measured, folder, name)


def _write_and_tell(measured: Measured, folder: Path, name: str) -> None:
    print(f"Written: {_write_results(measured, folder, name)}")


def _write_results(measured: Measured, folder: Path, name: str) -> Path:
    """Write page, numbers and plot by that name, the plot last: what it needs may fail. The page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    page.write_text("\n".join(_write_page(name, measured)) + "\n", encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(asdict(measured), indent=1) + "\n", encoding="utf-8")
    _draw_growth(folder / f"{name}.png", measured.drives)
    return page


def describe_machine(began: datetime) -> dict[str, str]:
    """When and where is measured, and with what, asked before: no name and no path of the machine."""
    memory = psutil.virtual_memory().total / 1e9
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "date": f"{began:%Y-%m-%d %H:%M} UTC",
        "commit": _read_commit(),
        "machine": f"{os.cpu_count()} cores ({_read_processor()}), {memory:.0f} GB, {platform.system()}",
        "load before": f"{load} (1, 5, 15 minutes)",
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def _read_commit() -> str:
    argv = ["git", "describe", "--always", "--dirty"]
    answer = subprocess.run(argv, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _write_page(name: str, measured: Measured) -> Iterable[str]:
    facts = measured.facts
    yield f"# Measured on {facts['date']}"
    yield ""
    yield from (f"- {key}: {value}" for key, value in facts.items() if key != "date")
    yield ""
    yield f"![What a run costs its driver]({name}.png)"
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    for row in measured.rows:
        yield f"| {' | '.join(cell.strip().replace('|', chr(92) + '|') for cell in row.cells())} |"


def _draw_growth(path: Path, drives: Sequence[Drive]) -> None:
    """The driver's processor time, memory and calls against the number of files, with the targets."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    time, memory, calls = figure.subplots(1, 3)
    files = [one.files for one in drives]
    panels = {
        "driver's processor time, s": (time, [one.cpu_seconds for one in drives]),
        "driver's peak memory, MB": (memory, [one.peak_bytes / 1e6 for one in drives]),
        "Batch calls": (calls, [one.batch_calls for one in drives]),
    }
    for label, (axes, values) in panels.items():
        axes.loglog(files, values, marker="o", label="measured")
        axes.set(xlabel="files", title=label)
        axes.grid(alpha=0.3)
    time.loglog(files, [TARGET_MS * count / 1000 for count in files], "--", label=f"{TARGET_MS:g} ms a file")
    target = [(TARGET_FIXED_BYTES + TARGET_BYTES_A_FILE * count) / 1e6 for count in files]
    memory.loglog(files, target, "--", label="300 MB + 300 B a file")
    calls.loglog(files, [count / 100 for count in files], "--", label="a call for 100 tasks")
    calls.loglog(files, [one.task_runs for one in drives], marker="s", label="Prefect task runs")
    for axes in (time, memory, calls):
        axes.legend()
    FigureCanvasAgg(figure).print_png(path)
