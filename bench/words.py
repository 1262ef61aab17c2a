"""The node script beside the tutorial's and beside tr, sort and uniq.

python -m bench words --quick   30 MB
python -m bench words           100 MB
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.costs import Cost, measure_cost, run_group
from bench.report import Row, at_most, print_row

WALL_TARGET, CPU_TARGET = at_most(0.5), at_most(0.6)
QUICK_MEGABYTES, MEGABYTES = 30, 100
_SCRIPT = Path(__file__).parent.parent / "node" / "top_n_words.py"
_ROUNDS = 3
_PIPELINE = "tr -s '[:space:]' '\\n' < \"$1\" | sort | uniq -c | sort -rn | head -3 > \"$2\""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="30 MB")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(QUICK_MEGABYTES if given.quick else MEGABYTES, Path(folder)):
            print_row(row)


def measure(megabytes: int, folder: Path) -> Iterator[Row]:
    """The best of three of each, in turns."""
    text = _make_text(folder / "text.txt", megabytes)
    output = str(folder / "out.txt")
    script = [sys.executable, str(_SCRIPT), "--numwords", "3", "--filepath", str(text)]
    ways = {
        "ours": [*script, "--output", output],
        "tutorial": [sys.executable, "-m", "bench.tutorial_words", str(text), output],
        "tools": ["/bin/sh", "-c", _PIPELINE, "sh", str(text), output],
    }
    rounds = [{name: _time_process(argv) for name, argv in ways.items()} for _ in range(_ROUNDS)]
    wall = {name: min(each[name].seconds for each in rounds) for name in ways}
    cpu = {name: min(each[name].cpu_seconds for each in rounds) for name in ways}
    what = f"node script, {megabytes} MB"
    yield Row(f"{what}, wall", wall["ours"], "s", wall["tutorial"], "the tutorial's script", WALL_TARGET)
    yield Row(f"{what}, processor", cpu["ours"], "s", cpu["tutorial"], "the tutorial's script", CPU_TARGET)
    yield Row(f"{what}, wall", wall["ours"], "s", wall["tools"], "tr | sort | uniq -c | sort", WALL_TARGET)


def _make_text(path: Path, megabytes: int) -> Path:
    """A text of some 20,000 words, the common ones as common as in a language."""
    chosen = random.Random(11)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(chosen.choices(letters, k=chosen.randint(1, 10))) for _ in range(20_000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    ends = chosen.choices(["", ",", ".", "!"], [12, 1, 1, 0.2], k=len(words))
    words = [word + end for word, end in zip(words, ends, strict=True)]
    block = "\n".join(" ".join(chosen.choices(words, weights, k=12)) for _ in range(16_000)).encode() + b"\n"
    with path.open("wb") as file:
        for _ in range(max(1, round(megabytes * 1e6 / len(block)))):
            file.write(block)
    return path


def _time_process(argv: list[str]) -> Cost:
    """Run to the end. Raises CalledProcessError."""
    variables = {**os.environ, "LC_ALL": "C"}
    return measure_cost(partial(run_group, argv, variables, is_read=False))
