"""What measurements keep."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

import pytest

from bench.fan_out import Drive
from bench.report import Row, at_least, at_most
from bench.results import Measured, keeping

FACTS = {"date": "2026-11-26 12:00 UTC", "machine": "2 cores"}
DRIVE = Drive(1_000, 4.0, 3.0, 1.5, 200_000_000, 30, 0, 100)
ROW = Row("tea, tr | sort", 3.0, "s", 2.0, "coffee", at_most(1))


# The library that draws takes long to load.
@pytest.mark.soak
def test_page_numbers_and_plot_are_written(tmp_path):
    """The page has machine, plot and each figure with its verdict; numbers and plot stand beside it."""
    measured = Measured(FACTS, [ROW, Row("more", 3.0, "s", 2.0, "less", at_least(1))], [DRIVE])
    with keeping(measured, tmp_path / "results", "noon"):
        pass
    page = (tmp_path / "results" / "noon.md").read_text()
    assert "- machine: 2 cores\n" in page
    assert "](noon.png)" in page
    assert "| tea, tr \\| sort | 3 s | 2 s: coffee | 1.50 | at most 1: MISSED |" in page
    assert "at least 1: met |" in page
    assert json.loads((tmp_path / "results" / "noon.json").read_text())["drives"][0]["files"] == 1_000
    assert (tmp_path / "results" / "noon.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_was_measured_outlives_what_ended_it(error, tmp_path, capsys):
    """What there was before is on the page, which says what ended it, and that is raised although the plot
    can't be drawn."""
    measured = Measured(dict(FACTS), drives=[replace(DRIVE, files=cast(int, "many"))])

    def measure() -> None:
        with keeping(measured, tmp_path, "noon"):
            measured.rows.append(ROW)
            raise error("the real one")

    with pytest.raises(error, match="the real one"):
        measure()
    page = (tmp_path / "noon.md").read_text()
    assert f"- ended early: {error.__name__}\n" in page
    assert "| 3 s |" in page
    assert json.loads((tmp_path / "noon.json").read_text())["facts"]["ended early"] == error.__name__
    assert "can't be written" in capsys.readouterr().out
