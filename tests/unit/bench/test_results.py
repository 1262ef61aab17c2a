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


def test_what_was_measured_outlives_an_interruption(tmp_path):
    """What there was before the measurements were interrupted is kept, and the page says so."""
    measured = Measured(dict(FACTS))

    def measure() -> None:
        with keeping(measured, tmp_path, "noon"):
            measured.rows.append(ROW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure()
    page = (tmp_path / "noon.md").read_text()
    assert "- ended early: KeyboardInterrupt\n" in page
    assert "| 3 s |" in page


def test_what_ended_a_measurement_is_what_is_raised(tmp_path, capsys):
    """Where the plot can't be drawn after an error, page and numbers are there, and the error is that."""
    broken = replace(DRIVE, files=cast(int, "many"))
    measured = Measured(dict(FACTS), [ROW], [broken])
    with pytest.raises(OSError, match="the real one"), keeping(measured, tmp_path, "noon"):
        raise OSError("the real one")
    assert "- ended early: OSError\n" in (tmp_path / "noon.md").read_text()
    assert json.loads((tmp_path / "noon.json").read_text())["facts"]["ended early"] == "OSError"
    assert "can't be written" in capsys.readouterr().out
