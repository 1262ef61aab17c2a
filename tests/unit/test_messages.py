"""What is looked for in messages, and those that count."""

from dataclasses import replace

import pytest

from tasks.base.printable import say_count
from tasks.report.summary import describe_failures
from tasks.spec.file_results import NOT_COMPLETED, FileResult
from tasks.spec.packed_results import FileResults
from tasks.spec.run_results import RunResult
from tests.messages import find_nonsense


@pytest.mark.parametrize(
    "message",
    [
        "The job j is BatchJobState.COMPLETED (no reason given)",
        "subnet_id None instead of /subscriptions",
        "6 of 6 files failed; the outputs of the others are there.",
        "none of its 1 nodes can run tasks",
        "1 files failed",
        "<azure.batch.models.BatchPool object at 0x7f>",
        "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: /jobs",
        "('Connection aborted.', RemoteDisconnected('Remote end closed connection'))",
        "more quota of dedicated cores..",
    ],
)
def test_what_shows_python_or_contradicts_itself_is_found(message):
    """These were messages once, or might become some."""
    assert find_nonsense(message)


@pytest.mark.parametrize(
    "message",
    [
        "1 of 1 Batch tasks completed, 0 running",
        "... and 3 more",
        "look in ../stdout.txt",
        "1 of 3 files failed",
    ],
)
def test_what_is_plain_is_left_alone(message):
    """Numbers that agree, dots and paths are no nonsense."""
    assert find_nonsense(message) == []


@pytest.mark.parametrize("total", [1, 2, 6, 1000])
@pytest.mark.parametrize("unfinished", [0, 1, 4])
def test_how_many_files_failed_never_contradicts_itself(total, unfinished):
    """There is talk of others only where others have outputs, for each number of failures."""
    done = FileResult("a.txt", None, output_path="out/a.txt")
    failed = replace(done, output_path=None, problem="exit code 1")
    left = replace(failed, problem=NOT_COMPLETED)
    for count in {1, max(1, total - 1), total}:
        files = [left] * unfinished + [failed] * count + [done] * (total - count)
        result = RunResult("key", "job", "pool", "out", 1, FileResults(files))
        first = describe_failures(result).splitlines()[0]
        assert find_nonsense(first) == []
        assert ("others" in first) == (count < total)
        assert ("unfinished" in first) == (unfinished > 0)


def test_a_number_agrees_with_its_noun():
    """One is singular, none and many are plural."""
    assert [say_count(count, "node") for count in (0, 1, 2, 1000)] == [
        "0 nodes",
        "1 node",
        "2 nodes",
        "1,000 nodes",
    ]
