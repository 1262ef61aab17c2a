"""What a run tells at its end: why a file has no output, the summary, the table of files and the logs."""

import csv
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
from prefect.logging import disable_run_logger

from tasks.report.failed_logs import (
    LogPage,
    count_pages,
    has_log,
    link_logs,
    locate_log,
    share_bytes,
    write_logs,
)
from tasks.report.files_table import ROWS_MAX, by_interest, file_row, leave_out_empty, write_table
from tasks.report.node_words import find_last_line, shorten_node_id, shorten_node_paths
from tasks.report.summary import describe_failures, summary_lines, summary_markdown
from tasks.spec.file_results import NOT_COMPLETED, NOT_FETCHED, FileResult, TaskResult, describe_problem
from tasks.spec.packed_results import FileResults
from tasks.spec.run_results import RunResult
from tasks.spec.specs import PoolSpec, describe_nodes

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def task_result(**changes) -> TaskResult:
    return TaskResult(**{"task_id": "t", "changed_at": NOW, "exit_code": 0, **changes})


@pytest.mark.parametrize(
    ("task", "has_output", "expected"),
    [
        (task_result(), True, ""),
        (task_result(), False, "exit code 0, but the program wrote no output, or somebody has deleted it"),
        (
            task_result(exit_code=3, category="UserError", code="FailureExitCode"),
            False,
            "exit code 3 (UserError)",
        ),
        (
            task_result(exit_code=None, category="UserError", code="CommandProgramNotFound"),
            False,
            "did not run (",
        ),
        (None, False, "its Batch task did not complete"),
    ],
)
def test_a_file_without_output_has_a_reason(task, has_output, expected):
    """Each way in which a file can fail reads differently."""
    problem = describe_problem(task, has_output)
    assert problem.startswith(expected)
    assert bool(problem) == bool(expected)


def run_result(*files: FileResult) -> RunResult:
    start = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
    return RunResult(
        run_key="key",
        job_id="job",
        pool_id="pool",
        output_dir="/out",
        elapsed_seconds=61.6,
        files=FileResults(files),
        command="wc {input}",
        nodes=describe_nodes(PoolSpec(vm_size="S2", task_slots_per_node=2)),
        started_at=start,
        ended_at=start + timedelta(seconds=62),
    )


def test_the_message_of_a_failed_run_names_files_reasons_and_what_was_printed():
    """Name, exit code and the end of the standard error are in the error itself."""
    failed = FileResult(
        "bad one.txt", task_result(exit_code=3), problem="exit code 3", stderr="line 1\nKaboom"
    )
    done = FileResult("a.txt", task_result(), output_path="/out/a_OUTPUT.txt")
    message = describe_failures(run_result(failed, *[done] * 4))
    assert message.splitlines()[0].startswith("1 of 5 files failed")
    assert "bad one.txt: exit code 3\n    line 1\n    Kaboom" in message
    others = [replace(failed, name=f"{n}", stderr=f"line {n}") for n in range(1000)]
    many = describe_failures(run_result(*others))
    assert len(many.splitlines()) < 50
    assert "and 990 more" in many


def test_files_that_failed_alike_are_told_once():
    """What differs by their names alone is the same; another exit code is not."""
    files = [
        FileResult(f"{n}.csv", task_result(exit_code=3), problem="exit code 3", stderr=f"No row in {n}.csv")
        for n in range(6)
    ]
    files.insert(3, replace(files[0], name="other.csv", problem="exit code 4"))
    assert describe_failures(run_result(*files)).splitlines() == [
        "All 7 files failed.",
        "0.csv: exit code 3",
        "    No row in 0.csv",
        "1.csv, 2.csv, 3.csv and 2 more: the same",
        "other.csv: exit code 4",
        "    No row in 0.csv",
    ]


def test_summary_fits_one_screen():
    """Files by outcome, where outputs are, what ran on what, the time it took, and what is next."""
    done = FileResult("a.txt", task_result(), output_path="/out/a_OUTPUT.txt")
    failed = FileResult("b.txt", task_result(exit_code=1), problem="exit code 1")
    result = run_result(done, failed)
    assert summary_lines(result) == [
        "Files: 2, 1 succeeded, 1 failed",
        "Outputs: 1 in /out",
        "What the failed ones printed: /out/.logs/key",
        "Command: wc {input}",
        "Run key: key",
        "Job: job",
        "Pool: pool (1 node of S2, 2 task slots each)",
        "Start: 2026-11-26 12:00:00 UTC",
        "End: 2026-11-26 12:01:02 UTC",
        "Elapsed time: 0:01:02",
        "Run again: only the 1 failed file runs",
    ]
    assert "b.txt: exit code 1" in summary_markdown(result)
    assert result.outputs == {"a.txt": "/out/a_OUTPUT.txt"}


def test_the_table_of_many_files_begins_with_what_one_looks_for(tmp_path):
    """Those that failed come first, by name, then the slowest; the file has all, in their order."""
    files = [FileResult(f"{n}", task_result(seconds=float(n))) for n in range(2 * ROWS_MAX)]
    files.append(FileResult("left", task_result(seconds=1e9), problem=NOT_FETCHED))
    files += [
        FileResult(name, task_result(exit_code=1, seconds=seconds), problem="exit code 1")
        for name, seconds in (("broken-2", 9.0), ('broken "one", of many', 1.0))
    ]
    sorted_files = by_interest(files)
    assert [file.name for file in sorted_files[:4]] == [
        'broken "one", of many',
        "broken-2",
        "left",
        str(2 * ROWS_MAX - 1),
    ]
    result = RunResult("key", "job", "pool", str(tmp_path), 1, FileResults(files))
    assert write_table(result) == f"All of them are in {tmp_path}/fan-out-files-key.csv."
    with (tmp_path / "fan-out-files-key.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(files)
    assert rows[-1]["file"] == 'broken "one", of many'
    assert rows[3]["seconds"] == "3.0"


def test_the_logs_of_a_failed_file_are_whole_where_they_fit(tmp_path):
    """Of long ones the end is shown, and where the rest is; a log's own fences and names stay as they are."""
    result = RunResult("key", "job", "pool", str(tmp_path), 1, FileResults())
    files = [FileResult(name, None, problem="exit code 1") for name in ("__a__.txt", "b.txt")]
    for file, text in zip(files, ("says ```` so", "x" * 600_000 + "the end"), strict=True):
        path = Path(locate_log(result, file.name, "stderr.txt"))
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert [has_log(result, file) for file in [*files, FileResult("none", None)]] == [True, True, False]
    written = write_logs(result, files)
    assert "# \\_\\_a\\_\\_.txt\n\nexit code 1\n\n**stderr**\n\n`````text\nsays ```` so\n`````" in written
    assert "**stdout**" not in written
    (tmp_path / ".logs/key/b.txt/stderr.txt").write_text("")
    assert write_logs(result, files[1:]) == "## b.txt\n\nexit code 1; it printed nothing"
    assert "xthe end\n```" in written
    assert (
        f"its last 399,988 of 600,007 bytes; all of it is in `{result.logs_dir}/b.txt/stderr.txt`" in written
    )
    assert len(written) < 401_000
    assert share_bytes([], 10) == 0
    assert share_bytes([1, 100, 100], 101) == 50


def test_a_table_that_cannot_be_written_fails_no_run(tmp_path):
    """The note says so in its place."""
    files = [FileResult("a", task_result())]
    result = RunResult("key", "job", "pool", str(tmp_path / "gone"), 1, FileResults(files))
    with disable_run_logger():
        assert "could not be written" in write_table(result)


def test_a_row_names_the_output_within_its_folder():
    """The path to the folder, which is the same for all, would push the other columns off the screen."""
    done = FileResult("s/a.txt", task_result(node_id="n"), output_path="/out/s/a_OUTPUT.txt")
    assert file_row(done, "/out")["output"] == "s/a_OUTPUT.txt"
    assert file_row(done, "/ou")["output"] == "/out/s/a_OUTPUT.txt"


def test_a_column_is_shown_where_it_says_something():
    """Without what is empty for all files, the others are in sight; what is 0 is said."""
    done = file_row(FileResult("a", task_result(node_id="n"), output_path="/out/a"), "/out")
    failed = file_row(FileResult("b", None, problem="exit code 1"), "/out", "log")
    assert not {"end of stderr", "log", "problem"} & set(leave_out_empty([done])[0])
    assert leave_out_empty([done])[0]["exit code"] == 0
    assert "tries" not in leave_out_empty([done])[0]
    again = file_row(FileResult("a", task_result(tries=2), output_path="/out/a"), "/out")
    assert [row["tries"] for row in leave_out_empty([done, again])] == [1, 2]
    shown = leave_out_empty([failed, done])
    assert list(shown[0]) == list(shown[1])
    assert list(shown[0]) == ["file", "state", "exit code", "node", "problem", "log", "output"]
    talkative = {**failed, "end of stderr": "no such column"}
    assert list(leave_out_empty([done, talkative])[0])[3:6] == ["node", "end of stderr", "log"]
    assert leave_out_empty([]) == []


def test_the_summary_says_in_markdown_what_it_says_in_the_log():
    """Stars and underlines of a command are no emphasis there."""
    result = replace(run_result(), command="ls *13* __a__ `b` <i>")
    assert r"- Command: ls \*13\* \_\_a\_\_ \`b\` \<i\>" in summary_markdown(result)


def test_what_nodes_say_is_short():
    """Node ids and paths on nodes don't push aside what matters."""
    folder = "/mnt/batch/tasks/workitems/fan-out-1/job-1/a-task.txt/wd/"
    said = f'Traceback:\n  File "{folder}inputs/a.txt", line 3\nNo row in {folder}inputs/a.txt\n\n'
    assert shorten_node_paths(said) == 'Traceback:\n  File "inputs/a.txt", line 3\nNo row in inputs/a.txt\n\n'
    assert find_last_line(said) == "No row in inputs/a.txt"
    program = f'File "/home/me/my files é/nodes/pool/node/shared/{"0a1b" * 8}/count.py", line 5'
    assert shorten_node_paths(program) == 'File "count.py", line 5'
    assert shorten_node_paths(f"/mnt/batch/tasks/shared/{'0a1b' * 8}/a b.py: 3") == "a b.py: 3"
    assert shorten_node_paths("'x' and '/srv/shared/2026/a'") == "'x' and '/srv/shared/2026/a'"
    assert find_last_line("") == ""
    assert shorten_node_paths("/tmp/wd/a and /startup/x") == "/tmp/wd/a and /startup/x"
    assert shorten_node_id(f"tvmps_{'1' * 64}_d") == "tvmps_11111111…_d"


def test_a_file_whose_task_had_no_time_has_not_failed():
    """A run that was cancelled tells those apart."""
    files = [FileResult("a", task_result(), "out/a"), FileResult("b", None, problem=NOT_COMPLETED)]
    files.append(FileResult("c", task_result(), problem=NOT_FETCHED))
    result = RunResult("key", "job", "pool", "out", 1, FileResults(files))
    assert result.tally == "1 succeeded, 0 failed, 2 unfinished"
    assert "Failed files" not in summary_markdown(result)
    assert summary_lines(result)[-1] == "Run again: only the 2 unfinished files run"
    files.append(FileResult("d", task_result(exit_code=1), problem="exit code 1"))
    result = run_result(*files)
    assert summary_lines(result)[-1] == "Run again: only the 1 failed and 2 unfinished files run"
    assert "1 of 4 files failed, 2 are unfinished; the outputs of the others are there." in summary_markdown(
        result
    )


def test_a_summary_says_why_its_run_ended_early():
    """The first line stands where one looks, and the rest, with what is still running, below."""
    said = "Time is up: 0 of 3 Batch tasks completed.\nStill running: a.csv.\nGive the run more time."
    result = replace(run_result(FileResult("a", None, problem=NOT_COMPLETED)), ended_early=said)
    assert summary_lines(result)[1] == "Ended early: Time is up: 0 of 3 Batch tasks completed."
    assert "## Why it ended early\n\n    Time is up" in summary_markdown(result)
    assert "    Still running: a.csv." in summary_markdown(result)
    cancelled = replace(result, ended_early="it was cancelled.")
    assert "Ended early: it was cancelled." in summary_lines(cancelled)
    assert "Why it ended" not in summary_markdown(cancelled)
    assert not any(line.startswith("Ended") for line in summary_lines(run_result()))


def test_names_with_numbers_stand_in_the_order_of_these():
    """As people number files; names without numbers, or with many digits, are none the worse."""
    names = ["a/part-1", "a/part-2", "a/part-10", "a/part-10b", "b", "b2", "10", f"b{'9' * 5000}", "2", ""]
    ordered = [file.name for file in by_interest([FileResult(name, task_result()) for name in names])]
    assert ordered == ["", "2", "10", *names[:6], names[7]]


def test_the_summary_links_to_all_logs_in_one_line():
    """From which file to which each has; it says where not all have one, and a name stays a name."""
    one, more = ([f"{n}.txt"] for n in (1, 2))
    first = LogPage(UUID(int=1), one, "1_.txt", "What 1_.txt printed")
    assert link_logs([], 3) == []
    assert link_logs([first], 1) == [f"What 1\\_.txt printed: [log](/artifacts/artifact/{UUID(int=1)})"]
    pages = [first, LogPage(UUID(int=2), more, "2.txt", "")]
    links = f"[1\\_.txt](/artifacts/artifact/{UUID(int=1)}), [2.txt](/artifacts/artifact/{UUID(int=2)})"
    assert link_logs(pages, 2) == [f"Logs of the failed files: {links}"]
    assert link_logs(pages, 4_000) == [f"Logs of the first 2: {links}"]


def test_the_logs_of_many_files_are_few_artifacts():
    """A few have a page each, and more share them, so that logs don't push all else off the run's page."""
    assert [count_pages(failed) for failed in (0, 1, 3, 4, 10, 13, 99, 101, 500)] == [
        1,
        1,
        3,
        1,
        1,
        2,
        10,
        10,
        10,
    ]
