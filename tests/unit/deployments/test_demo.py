"""What `make demo` shows at its end."""

import os

import pytest

from deployments.local.__main__ import main
from deployments.local.demo import SHOWN_FILES, tables


def test_every_table_is_shown(tmp_path):
    """The content of each output is printed under its name, those in sub-folders too."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a_OUTPUT.txt").write_text("the 3\n")
    (tmp_path / "sub" / "b_OUTPUT.txt").write_text("and 2\n")
    text = tables(tmp_path, since=0)
    assert "a_OUTPUT.txt\nthe 3" in text
    assert "b_OUTPUT.txt\nand 2" in text


def test_outputs_of_earlier_runs_are_not_shown(tmp_path):
    """A file that was there before the run isn't passed off as its result."""
    old = tmp_path / "old_OUTPUT.txt"
    old.write_text("stale\n")
    os.utime(old, (1000, 1000))
    assert "stale" not in tables(tmp_path, since=2000)


def test_many_tables_are_cut_short(tmp_path):
    """Of hundreds of outputs the first few are shown, and how many more there are."""
    for number in range(SHOWN_FILES + 5):
        (tmp_path / f"{number:03}_OUTPUT.txt").write_text(f"word{number} 1\n")
    text = tables(tmp_path, since=0)
    assert text.count("_OUTPUT.txt") == SHOWN_FILES
    assert "5 more files" in text


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_inputs_that_are_not_there_are_told_at_once(tmp_path, capsys, name):
    """The folder is named, and nothing is started for it."""
    (tmp_path / "empty").mkdir()
    assert main(["demo", "--inputs", str(tmp_path / name), "--env-file", str(tmp_path / "none")]) == 1
    told = capsys.readouterr()
    assert str(tmp_path / name) in told.err
    assert told.out == ""
