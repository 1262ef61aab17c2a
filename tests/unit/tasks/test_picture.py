"""The picture of a run: which tasks it shows where, how large it gets, and that it never fails a run."""

import logging
import random
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from xml.etree import ElementTree

import pytest
from azure.batch import models

from tasks.logs import run_logger
from tasks.report.picture.artifact import draw_picture, picture_markdown, publish_picture
from tasks.report.picture.node_starts import NodeStart, read_node_start
from tasks.report.picture.phases import split_node_start
from tasks.spec.file_results import NOT_COMPLETED, NOT_FETCHED, FileResult, TaskResult
from tasks.spec.packed_results import FileResults
from tasks.spec.run_results import RunResult
from tests.unit.tasks.pictured_runs import NOON, SVG, elements, file_result, run_result, texts

SIZE_MAX_BYTES = 300_000
LARGE_RUN = (10_000, 100, 4, 10_000)
"""Tasks, nodes, slots, and of how many tasks one fails."""


def large_run(tasks: int, nodes: int, slots: int, failed_every: int) -> RunResult:
    """A run with every slot always in use, by tasks of different lengths."""
    lengths, free = random.Random(7), [0.0] * (nodes * slots)
    files = []
    for number in range(tasks):
        slot, seconds = number % len(free), lengths.randint(1, 60)
        problem = "" if number % failed_every else "exit code 1"
        files.append(file_result(f"{number}.txt", free[slot], seconds, f"node-{slot // slots}", problem))
        free[slot] += seconds
    return run_result(*files)


@cache
def large_picture(tasks: int, nodes: int, slots: int, failed_every: int) -> str:
    return draw_picture(large_run(tasks, nodes, slots, failed_every))


def bars(svg: str, kind: str) -> int:
    """How many bars of a kind there are, all of them being one path."""
    return sum(path.get("d", "").count("M") for path in group(svg, kind).iter(f"{SVG}path"))


def marks(svg: str) -> int:
    return len(list(group(svg, "failures").iter(f"{SVG}use")))


def group(svg: str, name: str) -> ElementTree.Element:
    found = [element for element in elements(svg).iter(f"{SVG}g") if element.get("id") == name]
    return found[0] if found else ElementTree.Element("g")


def test_a_small_run_is_shown_task_by_task():
    """Three files: a bar and a name each, the failed one apart, with counts and elapsed time."""
    svg = draw_picture(
        run_result(
            file_result("one.txt", 0, 20),
            file_result("two.txt", 1, 30, "node-2"),
            file_result("three.txt", 21, 25, problem="exit code 1"),
        )
    )
    assert (bars(svg, "succeeded"), bars(svg, "failed"), marks(svg)) == (2, 1, 1)
    assert {"one.txt", "two.txt", "three.txt", "node-1", "node-2"} <= texts(svg)
    assert "3 files, 2 succeeded, 1 failed in 0:01:23" in texts(svg)
    assert "seconds since the run began" in texts(svg)


def test_a_run_without_failures_has_none_in_its_legend():
    """Where all succeeded, nothing in the picture speaks of failed tasks but the count."""
    svg = draw_picture(run_result(file_result("one.txt", 0, 20)))
    assert (bars(svg, "failed"), marks(svg)) == (0, 0)
    assert "succeeded" in texts(svg)
    assert "failed" not in texts(svg)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_what_a_run_does_beside_its_tasks_is_told_apart():
    """The flow's preparation, uploads and last downloads; of a node when it booted and ran its start task."""
    run = run_result(file_result("one.txt", 14, 4), file_result("two.txt", 15, 6, "node-2"))
    told = replace(run, started_at=NOON, uploaded_at=(at(2), at(3)), ended_at=at(25))
    starts = [NodeStart("node-1", at(3), at(8), at(12)), NodeStart("node-2", at(-90), at(-60), at(-30))]
    svg = draw_picture(told, starts)
    for kind in ("prepares", "uploads", "fetches", "boots", "start task"):
        assert len(list(group(svg, kind).iter(f"{SVG}path"))) == 1, kind
    assert "waits" not in svg
    assert (
        "Prepared in 2.0 s, inputs uploaded in 1.0 s, a node booted in 5.0 s, its start task took 4.0 s, "
        "first Batch task after 14 s, the rest fetched in 4.0 s."
    ) in texts(svg)
    stopped = FileResult("three.txt", None, problem=NOT_COMPLETED)
    assert "fetches" not in draw_picture(replace(told, files=FileResults([*told.files, stopped])), starts)


def test_a_node_that_nobody_knows_waits_for_its_first_task():
    """So it is with one that has left the pool, or was started anew after its first task."""
    run = replace(run_result(file_result("one.txt", 14, 4)), started_at=NOON, ended_at=at(18))
    assert {"until its first task", "the flow"} & texts(draw_picture(run)) == {"until its first task"}
    for start in (None, NodeStart("node-1", at(3), at(40), at(50))):
        (phase,) = split_node_start(start, 14, NOON)
        assert (phase.kind, phase.start_seconds, phase.end_seconds) == ("waits", 0, 14)


def test_when_a_node_was_ready_is_read_from_the_service():
    """One without a start task is ready when it has booted; one that starts now is not known yet."""
    times = {"id": "n", "allocationTime": at(1), "lastBootTime": at(2)}
    node = models.BatchNode({name: str(value).replace(" ", "T") for name, value in times.items()})
    assert read_node_start(node) == NodeStart("n", at(1), at(2), at(2))
    ran = {"state": "running", "retryCount": 0, "startTime": "2026-11-22T12:00:03Z"}
    assert read_node_start(models.BatchNode({**node, "startTaskInfo": ran})) is None
    ended = {**ran, "endTime": "2026-11-22T12:00:04Z"}
    assert read_node_start(models.BatchNode({**node, "startTaskInfo": ended})) == NodeStart(
        "n", at(1), at(3), at(4)
    )


def test_long_runs_count_in_minutes():
    """The axis of a run of more than three minutes counts minutes, of more than three hours hours."""
    for seconds, unit in ((181, "minutes"), (4 * 3600, "hours")):
        svg = draw_picture(run_result(file_result("one.txt", 0, seconds)))
        assert f"{unit} since the run began" in texts(svg)


@pytest.mark.parametrize(
    ("tasks", "nodes", "slots", "failed_every"),
    [(1500, 20, 2, 1), LARGE_RUN, (4_000, 1, 8, 1)],
)
def test_any_number_of_tasks_makes_a_small_picture(tasks: int, nodes: int, slots: int, failed_every: int):
    """A thousand or ten thousand tasks, few or all of them failed: less than 300 kB, with failures marked."""
    svg = large_picture(tasks, nodes, slots, failed_every)
    assert len(svg.encode()) < SIZE_MAX_BYTES
    assert marks(svg) > 0
    assert any(text.startswith(f"{tasks:,} Batch tasks on {nodes:,} node") for text in texts(svg))


def test_a_thousand_tasks_are_still_a_bar_each():
    """A thousand tasks on forty slots: none is left out."""
    svg = draw_picture(large_run(1000, 10, 4, 40))
    assert (bars(svg, "succeeded"), bars(svg, "failed"), marks(svg)) == (975, 25, 25)


def test_one_failure_among_ten_thousand_is_marked():
    """One failed task of ten thousand on a hundred nodes has its mark."""
    assert marks(large_picture(*LARGE_RUN)) == 1


def test_file_names_are_shown_as_they_are():
    """Markup, mathematics, letters that the library's font lacks, and control characters do no harm."""
    names = ["<b>&amp;.txt", "$x^2$.txt", "数据.txt", "пример.txt", "a\x00b\nc.txt"]
    svg = draw_picture(run_result(*(file_result(name, 0, 60, f"n{at}") for at, name in enumerate(names))))
    assert {"<b>&amp;.txt", "$x^2$.txt", "数据.txt", "пример.txt", "a\ufffdb\ufffdc.txt"} <= texts(svg)


def test_node_ids_of_azure_are_shortened():
    """Of ids of 72 characters enough is shown to tell nodes apart."""
    nodes = [f"tvmps_{digit * 64}_d" for digit in "12"]
    svg = draw_picture(run_result(*(file_result(f"{node}.txt", 0, 9, node) for node in nodes)))
    assert {"tvmps_11111111…_d", "tvmps_22222222…_d"} <= texts(svg)


def test_an_instantaneous_run_has_a_picture():
    """A task that took no time at all can be drawn."""
    assert bars(draw_picture(run_result(file_result("one.txt", 0, 0))), "succeeded") == 1


def test_tasks_that_never_ran_are_not_drawn():
    """Files whose tasks never started have no bars; where there are no others there is no picture."""
    never = [FileResult("lost.txt", None, problem="no task"), file_result("late.txt", 0, None, problem="x")]
    assert picture_markdown(run_result(*never)) == ""
    assert bars(draw_picture(run_result(*never, file_result("one.txt", 0, 9))), "succeeded") == 1


def test_the_picture_says_how_many_unfinished_files_it_lacks():
    """Of a run that ended early; one whose output alone is missing is there."""
    done, left = file_result("one.txt", 0, 9), FileResult("left.txt", None, problem=NOT_COMPLETED)
    not_fetched = replace(done, name="two.txt", output_path=None, problem=NOT_FETCHED)
    said = [
        " ".join(texts(draw_picture(run_result(done, *others))))
        for others in ((not_fetched,), (left, not_fetched), (left, left))
    ]
    assert "not drawn" not in said[0]
    assert "1 unfinished file is not drawn." in said[1]
    assert "2 unfinished files are not drawn." in said[2]


def test_the_markdown_holds_the_whole_picture():
    """The artifact is one image with an alternative text, its data in it: no address is fetched."""
    result = run_result(file_result("one.txt", 0, 20))
    alternative, _, encoded = picture_markdown(result).partition("](data:image/svg+xml;base64,")
    assert alternative == "![1 file, 1 succeeded, 0 failed in 0:01:23"
    assert texts(b64decode(encoded.removesuffix(")")).decode()) == texts(draw_picture(result))


def test_a_picture_that_cannot_be_drawn_is_a_warning(log_records: list[logging.LogRecord]):
    """A run is never failed by its picture: the log says what went wrong."""
    endless = FileResult("one.txt", TaskResult("one", NOON, 0, "node-1", seconds=float("inf")))
    publish_picture(run_result(endless))
    assert [record.levelname for record in log_records] == ["WARNING"]
    assert "picture of this run is left out" in log_records[0].getMessage()


@pytest.fixture
def log_records() -> Iterator[list[logging.LogRecord]]:
    """What is logged outside of any run."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = run_logger()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)
