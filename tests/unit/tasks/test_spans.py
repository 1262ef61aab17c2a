"""What a run's picture counts: the spans of its tasks, the slots that they take, how many run at once."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.report.picture.artifact import draw_picture
from tasks.report.picture.timeline import (
    Span,
    build_spans,
    divide,
    failed_cells,
    group_rows,
    merge_rows,
    running_between,
    running_steps,
    slot_rows,
)
from tests.unit.tasks.pictured_runs import NOON, file_result, run_result, spans, texts


def test_spans_count_from_the_first_start():
    """A task began as long before its end as it ran; the first start of all is zero."""
    found = build_spans([file_result("late.txt", 50, 10), file_result("early.txt", 40, 30)])
    assert [(span.name, span.start_seconds, span.end_seconds) for span in found] == [
        ("early.txt", 0, 30),
        ("late.txt", 10, 20),
    ]


def test_the_start_of_nodes_is_seen_when_the_run_began_before_its_first_task():
    """From the beginning of the run to a node's first task there is a bar; seconds count from there."""
    files = (file_result("one.txt", 20, 5), file_result("two.txt", 30, 5, "node-2"))
    assert [span.start_seconds for span in build_spans(files, NOON)] == [20, 30]
    assert [span.start_seconds for span in build_spans(files, NOON + timedelta(minutes=1))] == [0, 10]
    assert "until its first task" in texts(draw_picture(replace(run_result(*files), started_at=NOON)))


def test_files_that_share_batch_tasks_are_no_batch_tasks():
    """The picture says how many there were, and what a bar is then."""
    files = [file_result(f"{n}.txt", n, 1) for n in range(4)]
    assert [
        [text.partition(".")[0] for text in texts(draw_picture(result)) if " on 1 node" in text]
        for result in (run_result(*files), replace(run_result(*files), bundles=2))
    ] == [["4 Batch tasks on 1 node"], ["4 files in 2 Batch tasks on 1 node"]]


def test_how_many_run_is_drawn_where_rows_do_not_say_it():
    """A few rows can be counted; of many there is a line below, and of one task at a time nothing to say."""
    few = run_result(*(file_result(f"{n}.txt", 0, 9, f"node-{n}") for n in range(8)))
    many = run_result(*(file_result(f"{n}.txt", 0, 9, f"node-{n}") for n in range(9)))
    assert "running" not in texts(draw_picture(few))
    assert "running" in texts(draw_picture(many))
    shades = [[file_result(f"{n}.txt", n, length) for n in range(4_000)] for length in (1, 2)]
    assert ["running" in texts(draw_picture(run_result(*files))) for files in shades] == [False, True]


def test_a_task_takes_the_first_free_slot():
    """Two at once take two slots; one that starts as another ends takes its slot."""
    rows = slot_rows(spans((0, 10), (0, 4), (4, 6), (7, 9), (10, 12)))
    assert [[span.start_seconds for span in row.spans] for row in rows] == [[0, 4, 7, 10], [0]]


MOMENTS = st.integers(0, 30)


TIMES = st.lists(st.tuples(MOMENTS, MOMENTS).map(sorted), min_size=1, max_size=40)


@given(TIMES)
def test_slots_hold_every_task_once_and_none_over_another(times: list[list[int]]):
    """However tasks lie, each is in one slot, those of a slot follow one another, and no slot is spare."""
    tasks = spans(*((start, end) for start, end in times))
    rows = slot_rows(tasks)
    assert sorted(span.name for row in rows for span in row.spans) == sorted(span.name for span in tasks)
    for row in rows:
        assert all(a.end_seconds <= b.start_seconds for a, b in zip(row.spans, row.spans[1:], strict=False))
    most = max(running for _, running in running_steps(tasks))
    assert len(rows) == max(1, most) or any(start == end for start, end in times)


@given(TIMES)
def test_averages_hold_all_the_time_that_tasks_ran(times: list[list[int]]):
    """The averages over all bins are the seconds of all tasks together, and no step is below zero."""
    tasks = spans(*((start, end) for start, end in times))
    bounds = [*divide(28, 7), 30]
    widths = [after - before for before, after in pairwise(bounds)]
    means = running_between(tasks, bounds)
    total = sum(mean * width for mean, width in zip(means, widths, strict=True))
    assert total == pytest.approx(sum(end - start for start, end in times))
    steps = running_steps(tasks)
    assert all(running >= 0 for _, running in steps)
    assert steps[-1][1] == 0
    assert [moment for moment, _ in steps] == sorted({moment for moment, _ in steps})


def test_steps_follow_starts_and_ends():
    """One task from 0 to 10 and one from 4 to 6: one, two, one, none."""
    assert running_steps(spans((0, 10), (4, 6))) == [(0, 1), (4, 2), (6, 1), (10, 0)]


def test_many_nodes_share_rows():
    """Ten nodes in at most four rows are three neighbours each, with all their slots and tasks."""
    tasks = [span for at in range(10) for span in spans((at, at + 5), (at, at + 5), node=f"n{at}")]
    rows = merge_rows(tasks, 4)
    assert [(row.label, row.slots, len(row.spans)) for row in rows] == [
        ("nodes 1 to 3", 6, 6),
        ("nodes 4 to 6", 6, 6),
        ("nodes 7 to 9", 6, 6),
        ("n9", 2, 2),
    ]


def test_rows_of_one_node_are_a_group():
    """The slots of a node stand together under its name."""
    rows = slot_rows([*spans((0, 5), (1, 5)), *spans((2, 3), node="node-2")])
    assert group_rows(rows) == [("node-1", 0, 2), ("node-2", 2, 1)]


def test_failures_are_found_where_they_ended():
    """A failed task belongs to the bin of its end, the last moment to the last bin."""
    failed = [Span("a", "n", 0, 10, False), Span("b", "n", 0, 30, False), Span("c", "n", 0, 5, True)]
    assert failed_cells(slot_rows(failed)[:1], divide(30, 3)) == {(0, 0)}
    assert failed_cells(merge_rows(failed, 1), divide(30, 3)) == {(0, 0), (0, 2)}
