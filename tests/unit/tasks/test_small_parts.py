"""Intervals, shards, output paths, error messages and progress."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from hypothesis import given
from hypothesis import strategies as st
from prefect.states import Failed
from requests import RequestException

from tasks import sharding
from tasks.azure.azure_errors import explain, redacted
from tasks.base.deadlines import run_deadline
from tasks.base.pacing import Pace
from tasks.downloads import local_path
from tasks.errors import BusyError, PermanentError, TemporaryError, UnreachableError
from tasks.prefect.caching import keyed_afterwards
from tasks.report.words_table import read_words
from tasks.sharding import SHARD_MAX, SHARD_THREADS, in_threads, shard_size
from tasks.spec.times import find_time, read_time
from tasks.step import may_heal
from tasks.waiting import next_interval
from tests.messages import find_nonsense

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def test_polls_are_close_at_first_and_rare_when_nothing_moves():
    """Nothing moving, the interval grows with the time to its limit; after a move it is short again."""
    intervals = [next_interval(has_moved=False, elapsed_seconds=elapsed) for elapsed in range(600)]
    assert intervals == sorted(intervals)
    assert intervals[0] < 0.2
    assert intervals[30] == 3
    assert intervals[-1] == 15
    assert next_interval(has_moved=True, elapsed_seconds=4) < 0.2


def test_polls_of_a_long_run_stay_rare_while_it_moves():
    """Tasks that complete all the time don't make a day's run poll four times a second."""
    assert next_interval(has_moved=True, elapsed_seconds=3600) == 5


def test_what_costs_is_done_more_seldom_the_longer_a_run_takes(monkeypatch):
    """It is due after its least seconds, later after a tenth of the time so far, and rests when told to."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace(least_seconds=2, done_seconds=1000, began_seconds=1000)
    due_at = []
    for now[0] in range(1000, 1200):
        if pace.is_due:
            due_at.append(now[0] - 1000)
            pace.note()
    intervals = [late - early for early, late in pairwise([0, *due_at])]
    assert intervals[:3] == [2, 2, 2]
    assert intervals == sorted(intervals)
    assert 18 <= intervals[-1] <= 20
    pace.note(rest_seconds=300)
    now[0] += 310
    assert not pace.is_due


@given(st.integers(1, 100_000))
def test_a_step_over_any_number_of_files_is_a_few_hundred_prefect_tasks(count):
    """Small runs show each file; large ones stay within what the server can record."""
    size = shard_size(count)
    assert 1 <= size <= SHARD_MAX
    assert -(-count // size) <= 300
    assert (size == 1) == (count <= 50)


def test_threads_keep_the_order_and_raise_what_failed():
    """Results stand in the order of the items, and a failure isn't swallowed."""
    assert in_threads(lambda number: number * 2, range(50)) == [number * 2 for number in range(50)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: 1 // number, [1, 0, 2])
    with pytest.raises(IndexError):
        in_threads(lambda number: [][number], [0])


def test_more_threads_come_where_one_only_waits(monkeypatch):
    """Items that wait for something else, or take long, are under way at once; where the process is busy
    itself with small ones, one thread does all."""
    together = threading.Barrier(SHARD_THREADS)
    in_threads(lambda _: together.wait(timeout=30), range(SHARD_THREADS))
    monkeypatch.setattr(sharding, "BUSY_SHARE", 0)
    in_threads(lambda _: together.wait(timeout=30), range(SHARD_THREADS))
    monkeypatch.setattr(sharding, "LONG_SECONDS", 60)
    assert len(set(in_threads(lambda _: threading.get_ident(), range(100)))) == 1


@pytest.mark.parametrize(("turns", "at_once"), [(sharding.REQUESTS, sharding.TURNS), (sharding.READS, 1)])
def test_steps_over_files_take_turns_while_the_process_has_enough_to_do(turns, at_once, monkeypatch):
    """No more than that are at work at once, unless the process mostly waits: then all begin."""
    at_work, most, lock = [0], [0], threading.Lock()

    def work(_: int) -> None:
        with sharding.turn(turns):
            with lock:
                at_work[0] += 1
                most[0] = max(most[0], at_work[0])
            sum(range(10_000))
            with lock:
                at_work[0] -= 1

    monkeypatch.setattr(sharding, "BUSY_SHARE", 0)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    assert most[0] <= at_once
    monkeypatch.setattr(sharding, "BUSY_SHARE", 2)
    together = threading.Barrier(8)

    def wait(_: int) -> None:
        with sharding.turn(turns):
            together.wait(timeout=30)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(wait, range(8)))


def test_after_a_failure_threads_begin_nothing_more():
    """What is left then stays undone."""
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        raise OSError(number)

    with pytest.raises(OSError):
        in_threads(fail, range(1000))
    assert len(begun) <= SHARD_THREADS


@given(st.datetimes(timezones=st.just(timezone.utc), min_value=datetime(1900, 1, 1)), st.integers(0, 9))
def test_times_are_read_as_azure_writes_them(moment, digits):
    """With any number of digits after the second: what is less than a microsecond is left out."""
    second, fraction = f"{moment:%Y-%m-%dT%H:%M:%S}", f"{moment.microsecond:06d}999"[:digits]
    read = read_time(f"{second}.{fraction}Z" if fraction else f"{second}Z")
    assert read == moment.replace(microsecond=int(f"{fraction[:6]:<06}" if fraction else 0))


def test_times_of_others_are_read_and_none_is_no_time():
    """Prefect writes an offset or a Z, and we an offset; what has neither is UTC."""
    for text in ("2026-11-22T12:00:00Z", "2026-11-22T13:00:00.000+01:00", "2026-11-22T12:00:00"):
        assert read_time(text) == NOW
    for nothing in (None, "", "soon", "soonZ"):
        assert find_time(nothing) is None


@given(st.text(st.sampled_from("./\\ab:C\0\n~ "), max_size=20))
def test_no_name_leads_out_of_the_output_folder(name):
    """A name is either refused or leads to a file in the folder."""
    folder = Path("/some/folder")
    try:
        path = Path(local_path(folder, name))
    except PermanentError:
        return
    assert path.resolve().is_relative_to(folder)
    assert path != folder


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "/x", "a/../../x", "", "a\0b"])
def test_names_that_would_escape_are_refused(name):
    """Parents and absolute paths are no outputs; a drive is one only on Windows."""
    with pytest.raises(PermanentError, match="outside"):
        local_path(Path("/some/folder"), name)


def test_a_link_in_the_output_folder_is_not_followed_out_of_it(tmp_path):
    """A folder that is a link to elsewhere gets no outputs."""
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermanentError, match="follow a link"):
        local_path(tmp_path / "out", "sub/x.txt")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(TemporaryError("x"), True), (PermanentError("x"), False), (BusyError("x"), False)],
)
def test_only_temporary_errors_are_retried(error, expected):
    """Prefect asks whether to retry with the failed state; the error in it decides."""
    assert may_heal(None, None, Failed(data=error)) is expected


def test_what_is_being_deleted_is_waited_for_until_the_deadline(monkeypatch, caplog):
    """However often it is met, a step that makes something is done again, and that is told once."""
    monkeypatch.setattr("tasks.base.deadlines.FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("tasks.base.deadlines.PAUSE_MAX_SECONDS", 0.001)
    left = [BusyError("The pool p is being deleted.")] * 50

    @keyed_afterwards
    def create() -> str:
        if left:
            raise left.pop()
        return "made"

    with run_deadline(60), caplog.at_level("INFO"):
        assert create() == "made"
    assert [one.getMessage() for one in caplog.records] == [
        "The pool p is being deleted. Waiting until that is over."
    ]
    left.append(BusyError("It is being resized."))
    with run_deadline(0), pytest.raises(BusyError, match="was not over when"):
        create()


@pytest.mark.parametrize(
    ("service", "variable"),
    [("Batch", "AZURE_BATCH_ENDPOINT"), ("Storage", "AZURE_STORAGE_CONNECTION_STRING")],
)
def test_an_endpoint_that_does_not_answer_names_its_variable(service, variable):
    """A connection that fails may be retried, and says where the endpoint comes from."""
    error = explain(ServiceRequestError("Connection refused"), service, "Doing it")
    assert isinstance(error, UnreachableError)
    assert variable in str(error)


def test_what_the_network_said_is_told_without_the_words_of_libraries():
    """Host and reason are left of what `requests` and its library make of a refused connection."""
    passed_on = RequestException("HTTPConnectionPool(host='a.b', port=80): Max retries exceeded with url: /x")
    passed_on.__cause__ = ConnectionRefusedError(111, "Connection refused")
    message = str(explain(ServiceRequestError(passed_on, error=passed_on), "Batch", "Doing it"))
    assert message.endswith("network up? a.b:80: Connection refused")
    assert find_nonsense(message) == []


def test_signatures_are_taken_out_of_texts():
    """A SAS in a service's message doesn't reach a log."""
    assert (
        redacted("GET https://a/b?sp=r&sig=abc%2Bd&se=1 failed")
        == "GET https://a/b?sp=r&sig=REDACTED&se=1 failed"
    )


def test_words_are_read_back_from_a_table(tmp_path):
    """Odd words, with colons or marks of their own, are read as they were written."""
    rule = "-" * 30
    (tmp_path / "t").write_text(
        f"Word\tCount\n{rule}\na:\tb:\t3\n\x85é:\t1\n{rule}\nNode: n\n", encoding="utf-8"
    )
    assert read_words(tmp_path / "t") == [("a:\tb", 3), ("\x85é", 1)]
