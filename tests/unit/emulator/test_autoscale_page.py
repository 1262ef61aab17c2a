"""The reference page lists what the evaluator knows, and its example runs."""

import re
from pathlib import Path

import pytest

from batch_emulator.autoscale import METRICS
from batch_emulator.autoscale.functions import FUNCTIONS
from batch_emulator.autoscale.metrics import METHODS
from batch_emulator.autoscale.symbols import (
    DEALLOCATION_OPTIONS,
    READ_WRITE,
    TARGET_ALIASES,
    TIMESTAMP_FIELDS,
)

PAGE = (Path(__file__).parents[3] / "docs" / "autoscale.md").read_text(encoding="utf-8")


def row(part: str) -> set[str]:
    """The names in the table row of that part."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {part} |"))
    return set(re.findall(r"`(\$?\w+)`", line))


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("timestamp members", TIMESTAMP_FIELDS.keys()),
        ("functions", FUNCTIONS.keys()),
        ("read-write variables", {*READ_WRITE, *TARGET_ALIASES, *DEALLOCATION_OPTIONS}),
        ("read-only variables", {*METRICS, "$CurrentDedicated"}),
        ("methods of these", METHODS.keys()),
    ],
)
def test_page_lists_exactly_what_is_known(part, names):
    """Neither a name too many nor one too few."""
    assert row(part) == set(names)


def test_example_of_the_page_prints_what_it_says(capsys):
    """The code block runs as it stands."""
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    exec(compile(block, "docs/autoscale.md", "exec"), {})
    assert capsys.readouterr().out.strip() == re.search(r"results\)  # (.*)", block)[1]
