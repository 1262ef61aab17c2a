"""The table of a run's files: as a Prefect artifact as far as one can read that, and all of it as a file."""

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from tasks.azure import blobs
from tasks.azure.storage_accounts import at_account, find_other_accounts
from tasks.errors import FanOutError
from tasks.logs import run_logger
from tasks.observing import publish_table
from tasks.report.failed_logs import LogPage, locate_log
from tasks.report.node_words import find_last_line, shorten_node_id
from tasks.spec.blob_places import is_place, read_place
from tasks.spec.run_results import FileResult, RunResult

FILES_KEY = "fan-out-files"
# A table beyond this is no longer readable in Prefect's UI; failures and the slowest files come first.
ROWS_MAX = 500
# The rest of a program's last line is in its log.
STDERR_CHARACTERS_MAX = 300
NUMBERS = re.compile(r"([0-9]{1,18})")
# What a column says of each file of which there is nothing to say.
NOTHING = {"tries": 1}
FileRow = dict[str, str | int | float | None]


def publish_files(result: RunResult, files: Sequence[FileResult], logs: Sequence[LogPage]) -> None:
    """Publish the table of files; of a run with more than it can show, write the whole beside the outputs.

    The files are in the order in which they are shown; those that failed have links to their logs.
    """
    note = f"Files of the run, their outputs in {result.output_dir}"
    if len(files) > ROWS_MAX:
        note = f"{describe_shown(files)} {write_table(result, files)}"
    links = {name: page.link("log") for page in logs for name in page.names}
    rows = [file_row(file, result.output_dir, links.get(file.name, "")) for file in files[:ROWS_MAX]]
    publish_table(leave_out_empty(rows), key=FILES_KEY, description=note)


def describe_shown(files: Sequence[FileResult]) -> str:
    """Which of the files, in the order in which they are shown, the table has."""
    states = {file.state for file in files[:ROWS_MAX]}
    kinds = " and ".join(state for state in ("failed", "unfinished") if state in states)
    said = [f"{kinds} ones"] if kinds else []
    said += ["the slowest"] if states - {"failed", "unfinished"} else []
    return f"{ROWS_MAX} of {len(files):,} files: {', then '.join(said)}."


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


def by_interest(files: Iterable[FileResult]) -> list[FileResult]:
    """Failures first, then the unfinished, by name; of the others, where the table can't show all, the
    slowest first."""
    files = sorted(files, key=lambda file: (_rank(file), _order_name(file.name)))
    if len(files) > ROWS_MAX:
        files.sort(key=lambda file: (_rank(file), _is_done(file) * -((file.task and file.task.seconds) or 0)))
    return files


def _order_name(name: str) -> list[str | int]:
    """By what a name is put in order as people do it: `part-2` before `part-10`."""
    return [int(part) if number % 2 else part for number, part in enumerate(NUMBERS.split(name))]


def _rank(file: FileResult) -> int:
    return {"failed": 0, "unfinished": 1}.get(file.state, 2)


def _is_done(file: FileResult) -> bool:
    return _rank(file) == 2


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


def _write_rows(file: TextIO, result: RunResult, files: Sequence[FileResult]) -> None:
    writer = csv.DictWriter(file, list(file_row(files[0], "")))
    writer.writeheader()
    writer.writerows(file_row(one, result.output_dir, _name_log(result, one)) for one in files)


def _write_blob(url: str, result: RunResult, files: Sequence[FileResult]) -> None:
    text = io.StringIO(newline="")
    _write_rows(text, result, files)
    place = read_place(url, blobs.locate_account(), find_other_accounts())
    with at_account(place.account):
        blobs.write_blob(place.container, place.name, text.getvalue().encode())


def write_table(result: RunResult, files: Sequence[FileResult]) -> str:
    """Write all rows as CSV; a sentence that says where. A full disk doesn't fail a run that is done."""
    path = f"{result.output_dir}/{FILES_KEY}-{result.run_key}.csv"
    try:
        if is_place(path):
            _write_blob(path, result, files)
        else:
            with open(path, "w", newline="", encoding="utf-8") as file:
                _write_rows(file, result, files)
    except (OSError, FanOutError) as error:
        reason = getattr(error, "strerror", None) or error
        run_logger().warning("The table of all files can't be written to %s: %s", path, reason)
        return "The others could not be written to a file."
    run_logger().info("The table of all files is in %s", path)
    return f"All of them are in {path}."
