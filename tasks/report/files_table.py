"""The table of a run's files: as a Prefect artifact as far as one can read that, and all of it as a file."""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import chain
from typing import TextIO

from tasks.azure import blobs
from tasks.azure.storage_accounts import at_account, find_other_accounts
from tasks.base.packed import Selection
from tasks.errors import FanOutError
from tasks.logs import run_logger
from tasks.prefect.observing import publish_table
from tasks.report.failed_logs import LogPage, locate_log
from tasks.report.node_words import find_last_line, shorten_node_id
from tasks.spec.blob_places import is_place, read_place
from tasks.spec.file_results import FileResult
from tasks.spec.packed_results import FileResults
from tasks.spec.run_results import RunResult

FILES_KEY = "fan-out-files"
# A table beyond this is no longer readable in Prefect's UI; failures and the slowest files come first.
ROWS_MAX = 500
# The rest of a program's last line is in its log.
STDERR_CHARACTERS_MAX = 300
NUMBERS = re.compile(r"([0-9]{1,18})")
# What a column says of each file of which there is nothing to say.
NOTHING = {"tries": 1}
FileRow = dict[str, str | int | float | None]


def publish_files(result: RunResult, shown: Sequence[FileResult], logs: Sequence[LogPage]) -> None:
    """Publish the table of files; of a run with more than it can show, write the whole beside the outputs.

    Those that are `shown` are in their order; those that failed have links to their logs.
    """
    note = f"Files of the run, their outputs in {result.output_dir}"
    if len(result.files) > len(shown):
        note = f"{describe_shown(shown, len(result.files))} {write_table(result)}"
    links = {name: page.link("log") for page in logs for name in page.names}
    rows = [file_row(file, result.output_dir, links.get(file.name, "")) for file in shown]
    publish_table(leave_out_empty(rows), key=FILES_KEY, description=note)


def describe_shown(shown: Sequence[FileResult], total: int) -> str:
    """Which of so many files the table has."""
    states = {file.state for file in shown}
    kinds = " and ".join(state for state in ("failed", "unfinished") if state in states)
    said = [f"{kinds} ones"] if kinds else []
    said += ["the slowest"] if states - {"failed", "unfinished"} else []
    return f"{len(shown)} of {total:,} files: {', then '.join(said)}."


def leave_out_empty(rows: Sequence[FileRow]) -> list[FileRow]:
    """The rows without the columns that say nothing of any file, so that the others are in sight."""
    said = {column for row in rows for column, value in row.items() if _says_something(column, value)}
    columns = [column for column in (rows[0] if rows else ()) if column in said]
    if "end of stderr" not in said and {"log", "problem"} <= said:
        # The problem is then what one looks for, and the newer UI shows the whole of a link as text.
        columns.remove("log")
        columns.insert(columns.index("problem") + 1, "log")
    return [{column: row[column] for column in columns} for row in rows]


def _says_something(column: str, value: object) -> bool:
    return value not in (None, "", NOTHING.get(column))


def by_interest(files: Sequence[FileResult]) -> list[FileResult]:
    """The files that the table shows: failures first, then the unfinished, by name; of the others, where it
    can't show all, the slowest first."""
    is_all = len(files) <= ROWS_MAX
    return nsmallest(ROWS_MAX, _leave_out_last(files), key=lambda file: _order(file, is_all))


def _leave_out_last(files: Sequence[FileResult]) -> Iterable[FileResult]:
    """The files, but of those of which there is nothing to tell only the ones that may be shown: one needs
    their names alone to know."""
    if len(files) <= ROWS_MAX or not isinstance(files, FileResults):
        return files
    told, silent = files.split_by_interest()
    first = nsmallest(ROWS_MAX, ((_order_name(name), number) for number, name in silent))
    return chain(told, Selection(files, (number for _, number in first)))


def _order(file: FileResult, is_by_name: bool) -> tuple[int, float, list[str | int]]:
    rank, seconds = {"failed": 0, "unfinished": 1}.get(file.state, 2), file.task and file.task.seconds
    return rank, 0.0 if is_by_name or rank < 2 else -(seconds or 0.0), _order_name(file.name)


def _order_name(name: str) -> list[str | int]:
    """By what a name is put in order as people do it: `part-2` before `part-10`."""
    return [int(part) if number % 2 else part for number, part in enumerate(NUMBERS.split(name))]


def file_row(file: FileResult, output_dir: str, log: str = "") -> FileRow:
    """One file's row; `log` is where one finds what its program printed."""
    task = file.task
    # What the UI shows without scrolling are the first ones, so the widest come last.
    return {
        "file": file.name,
        "state": file.state,
        "exit code": task and task.exit_code,
        "seconds": task and task.seconds and round(task.seconds, 2),
        "node": task and shorten_node_id(task.node_id),
        "end of stderr": find_last_line(file.stderr)[:STDERR_CHARACTERS_MAX],
        # Behind it: the newer UI shows the whole of a link as text.
        "log": log,
        "problem": file.problem,
        "output": (file.output_path or "").removeprefix(os.path.join(output_dir, "")),
        "tries": task and task.tries,
    }


def _name_log(result: RunResult, file: FileResult) -> str:
    return locate_log(result, file.name, "stderr.txt") if file.state == "failed" else ""


def _write_rows(file: TextIO, result: RunResult) -> None:
    writer = csv.writer(file)
    writer.writerow(file_row(result.files[0], ""))
    writer.writerows(_list_rows(result))


def _list_rows(result: RunResult) -> Iterator[Iterable[object]]:
    """The values of the rows of all files. Of one that was not run there is little to say, and there may be
    many such."""
    files, folder = result.files, os.path.join(result.output_dir, "")
    silent = file_row(FileResult("", None, unchanged=True), "")
    for number, settled in enumerate(files.list_settled()):
        if settled:
            name, state, path = settled
            row: FileRow = {**silent, "file": name, "state": state, "output": path.removeprefix(folder)}
            yield row.values()
        else:
            one = files[number]
            yield file_row(one, result.output_dir, _name_log(result, one)).values()


def _write_blob(url: str, result: RunResult) -> None:
    text = io.StringIO(newline="")
    _write_rows(text, result)
    place = read_place(url, blobs.locate_account(), find_other_accounts())
    with at_account(place.account):
        blobs.write_blob(place.container, place.name, text.getvalue().encode())


def write_table(result: RunResult) -> str:
    """Write the rows of all files as CSV, in the order of the inputs; a sentence that says where. A full
    disk doesn't fail a run that is done."""
    path = f"{result.output_dir}/{FILES_KEY}-{result.run_key}.csv"
    try:
        if is_place(path):
            _write_blob(path, result)
        else:
            with open(path, "w", newline="", encoding="utf-8") as file:
                _write_rows(file, result)
    except (OSError, FanOutError) as error:
        reason = getattr(error, "strerror", None) or error
        run_logger().warning("The table of all files can't be written to %s: %s", path, reason)
        return "The others could not be written to a file."
    run_logger().info("The table of all files is in %s", path)
    return f"All of them are in {path}."
