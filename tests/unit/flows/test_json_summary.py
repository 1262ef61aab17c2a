"""What a run leaves on standard output, with --json and without."""

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from flows.command_line import Outcome, report
from tasks.spec.file_results import FileResult, TaskResult
from tasks.spec.packed_results import FileResults
from tasks.spec.prices import NodeHours
from tasks.spec.run_results import RunResult
from tasks.spec.spent import Spent

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def result() -> RunResult:
    failed = TaskResult("t2", NOON, 3, "node-1", 2.0, 1, "UserError", "FailureExitCode")
    files = (
        FileResult("ü one.txt", TaskResult("t1", NOON, 0, "node-1", 1.0), "/out/ü one_OUTPUT.txt"),
        FileResult("two.txt", failed, problem="exit code 3", stderr="boom"),
    )
    return RunResult(
        "key-1",
        "job-1",
        "pool-1",
        "/out",
        12.3456,
        FileResults(files),
        "wc {input}",
        spent=Spent(NodeHours(2, 0), 0.2, "USD"),
        started_at=NOON,
        ended_at=NOON,
    )


def test_the_summary_says_what_became_of_the_run(capsys: pytest.CaptureFixture[str]):
    """Counts, names of resources, where each output is, and why files failed."""
    report(Outcome(result(), "1 of 2 files failed", 1), as_json=True)
    printed = capsys.readouterr().out
    expected = {
        "state": "failed",
        "error": "1 of 2 files failed",
        "run_key": "key-1",
        "job_id": "job-1",
        "pool_id": "pool-1",
        "command": "wc {input}",
        "started_at": "2026-11-22T12:00:00+00:00",
        "ended_at": "2026-11-22T12:00:00+00:00",
        "elapsed_seconds": 12.346,
        "spent": {
            "hours": {"dedicated": 2, "spot": 0},
            "cost": 0.2,
            "currency": "USD",
            "unpriced": {"dedicated": 0, "spot": 0},
            "earlier": {"dedicated": 0, "spot": 0},
            "vm_size": "",
            "others": (),
        },
        "files": 2,
        "succeeded": 1,
        "unchanged": 0,
        "skipped": 0,
        "failed": 1,
        "unfinished": 0,
        "output_dir": "/out",
        "outputs": {"ü one.txt": "/out/ü one_OUTPUT.txt"},
        "failures": [{"file": "two.txt", "problem": "exit code 3", "exit_code": 3, "stderr": "boom"}],
    }
    # In pieces, and as if it had been written at once.
    assert json.loads(printed) == json.loads(json.dumps(expected))
    assert printed == json.dumps(json.loads(printed), ensure_ascii=False, indent=2) + "\n"


def test_the_summary_of_a_run_without_outputs_has_none(capsys: pytest.CaptureFixture[str]):
    report(Outcome(replace(result(), files=FileResults()), None, 1), as_json=True)
    assert json.loads(capsys.readouterr().out)["outputs"] == {}


def test_json_stands_alone_on_standard_output(capsys: pytest.CaptureFixture[str]):
    """With --json standard output is one JSON document, also for a run that failed before it began."""
    report(Outcome(result()), as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["state"] == "completed"
    assert printed.err == ""
    report(Outcome(None, "There is no folder x", 1), as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"state": "failed", "error": "There is no folder x"}
    assert printed.err == "Error: There is no folder x\n"


def test_paths_of_outputs_are_standard_output(capsys: pytest.CaptureFixture[str]):
    """Without --json standard output has a line for each output and nothing else."""
    report(Outcome(result(), "1 of 2 files failed", 1), as_json=False)
    printed = capsys.readouterr()
    assert printed.out == "/out/ü one_OUTPUT.txt\n"
    assert printed.err == "Error: 1 of 2 files failed\n"
