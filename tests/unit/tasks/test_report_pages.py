"""What the pages of a run's artifacts show at first sight, without scrolling to the side."""

import csv
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from tasks.report.files_table import ROWS_MAX, by_interest, describe_shown, file_row, write_table
from tasks.report.summary import BLOCK_COLUMNS, summary_markdown
from tasks.spec.file_results import NOT_COMPLETED, FileResult, TaskResult
from tasks.spec.packed_results import FileResults
from tasks.spec.run_results import RunResult

NOON = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
RESULT = RunResult("key", "job", "pool", "out", 1, FileResults())
LONG_PATH = f"/data/{'x' * BLOCK_COLUMNS}.csv"


def failed(stderr: str) -> RunResult:
    task = TaskResult("a", NOON, exit_code=1)
    return replace(RESULT, files=FileResults([FileResult("a", task, problem="exit code 1", stderr=stderr)]))


@pytest.mark.parametrize("words", ["Give the run more time. " * 20, f"No {LONG_PATH} and no other at all."])
def test_a_long_line_goes_on_in_the_next(words):
    """Of the reason and of what was printed all words are in sight; a path is never broken."""
    reason = replace(RESULT, ended_early=f"Time is up.\n{words}")
    for page in (summary_markdown(reason), summary_markdown(failed(f"Traceback:\n  {words}"))):
        block = [line.removeprefix("    ") for line in page.splitlines() if line.startswith("    ")]
        assert " ".join(words.split()) in " ".join(" ".join(block).split())
        assert all(len(line) <= BLOCK_COLUMNS or LONG_PATH in line.split() for line in block)


def test_what_is_short_stays_as_it_was_printed():
    """Columns that somebody has aligned stay aligned, and empty lines empty."""
    assert "\n        a   b\n        \n        ^   ^" in summary_markdown(failed("a   b\n\n^   ^"))


@pytest.mark.parametrize(
    ("problems", "shown"),
    [
        ((), "the slowest"),
        (("exit code 1",), "failed ones, then the slowest"),
        (("exit code 1", NOT_COMPLETED), "failed and unfinished ones, then the slowest"),
        ((NOT_COMPLETED,) * ROWS_MAX, "unfinished ones"),
    ],
)
def test_the_table_says_which_of_many_files_it_has(problems, shown):
    """Of kinds that it doesn't show it says nothing."""
    files = [FileResult(f"{n}", None, problem=problem) for n, problem in enumerate(problems)]
    files += [FileResult(f"done-{n}", TaskResult("a", NOON, 0, seconds=1.0)) for n in range(3 * ROWS_MAX)]
    said = describe_shown(by_interest(files), len(files))
    assert said == f"{ROWS_MAX} of {len(files):,} files: {shown}."


def test_the_table_of_files_that_did_not_run_is_as_that_of_others(tmp_path):
    """Most of a second run's files are such, and only the names of these are read to find what it shows."""
    output = f"{tmp_path}/s/a_OUTPUT.txt"
    states = [{"unchanged": True}, {"skipped": True}] * (ROWS_MAX // 2)
    files = [FileResult(f"{number}", None, output, **state) for number, state in enumerate(states)]
    files += [
        FileResult("left", TaskResult("a", NOON, 0, seconds=2.0)),
        FileResult("left-2", None, problem=NOT_COMPLETED),
    ]
    shown = by_interest(FileResults(files))
    assert shown == by_interest(files)
    assert [file.name for file in shown[:3]] == ["left-2", "left", "0"]
    write_table(RunResult("key", "job", "pool", str(tmp_path), 1, FileResults(files)))
    with (tmp_path / "fan-out-files-key.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    expected = [file_row(file, str(tmp_path)) for file in files]
    assert rows[0] == list(expected[0])
    assert rows[1:] == [["" if value is None else str(value) for value in row.values()] for row in expected]
