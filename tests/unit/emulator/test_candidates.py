"""What a list of tasks looks at: the indexes leave out nothing that a filter matches, and little else."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_emulator.api.candidates import task_candidates
from batch_emulator.api.fields import TASKS
from batch_emulator.api.odata import compile_filter
from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Task
from batch_emulator.ticks import TICKS_PER_SECOND, format_ticks, from_unix

START = from_unix(1_700_000_000)


def make_tasks(count: int, seed: int = 0) -> JobTasks:
    """A job's tasks, one a second since `START`: most completed, some failed, the last ones still waiting."""
    rng, tasks = random.Random(seed), JobTasks()
    for number in range(count):
        now = START + number * TICKS_PER_SECOND
        task = Task("job", f"Task-{rng.getrandbits(24):06x}-{number}", {}, number, now, now, now)
        tasks.add(task, ready=True)
    for number, task in enumerate(sorted(tasks.by_id.values(), key=lambda each: each.number)):
        now = START + (count + number) * TICKS_PER_SECOND
        if number < count * 0.95:
            start(tasks, task, now)
        if number < count * 0.9:
            finish(tasks, task, now + 1, exit_code=int(number % 10 == 0))
    return tasks


make_tasks_once = cache(make_tasks)
"""For tests that change nothing of them."""


def start(tasks: JobTasks, task: Task, now: int) -> None:
    task.started = now
    tasks.move(task, "running", now)


def finish(tasks: JobTasks, task: Task, now: int, *, exit_code: int) -> None:
    task.ended, task.exit_code = now, exit_code
    task.result = "failure" if exit_code else "success"
    tasks.move(task, "completed", now)


def time(second: int) -> str:
    return f"DateTime'{format_ticks(START + second * TICKS_PER_SECOND)}'"


CONDITIONS = st.one_of(
    st.builds(
        "state {} '{}'".format, st.sampled_from(["eq", "ne"]), st.sampled_from(["active", "completed"])
    ),
    st.just("(state eq 'active' or state eq 'running')"),
    st.sampled_from(["executionInfo/result eq 'failure'", "executionInfo/exitCode ne 0", "id ne 'x'"]),
    st.builds("startswith(id, 'task-{}')".format, st.sampled_from(["", "0", "a", "ff"])),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(
            ["stateTransitionTime", "executionInfo/endTime", "executionInfo/startTime", "creationTime"]
        ),
        st.sampled_from(["ge", "gt", "lt"]),
        st.integers(0, 450).map(time),
    ),
    st.just("state ne 'completed'"),
)


@given(
    st.lists(CONDITIONS, min_size=1, max_size=3),
    st.sampled_from([" and ", " or "]),
    st.one_of(st.none(), st.sampled_from(["task-4", "task-8c", "task-ffffff-9", "a", "u"])),
)
def test_indexes_find_what_a_scan_finds(conditions, word, after):
    """For every filter the candidates that match are those of a scan of all tasks, in order of id."""
    tasks = make_tasks_once(300)
    wanted = compile_filter(word.join(conditions), TASKS)
    found = [key for key, task in task_candidates(tasks, wanted, after) if wanted.matches(task)]
    assert found == [
        key for key, task in tasks.by_id.items() if wanted.matches(task) and (after is None or key > after)
    ]


@pytest.mark.parametrize(
    "condition",
    [
        f"state eq 'completed' and stateTransitionTime ge {time(19_890)}",
        f"executionInfo/endTime ge {time(19_890)}",
        "state eq 'preparing'",
        "state ne 'completed' and state ne 'active' and state ne 'running'",
        "startswith(id, 'task-00f')",
    ],
)
def test_little_is_looked_at(condition):
    """What polls ask for looks at a few of 10,000 tasks."""
    tasks = make_tasks_once(10_000)
    looked_at = list(task_candidates(tasks, compile_filter(condition, TASKS), None))
    assert len(looked_at) < 1100


def test_failures_are_found_among_themselves():
    """A list of failed tasks looks at no others."""
    tasks = make_tasks_once(10_000)
    for condition in (
        "executionInfo/result eq 'failure'",
        "state eq 'completed' and executionInfo/exitCode ne 0",
    ):
        looked_at = [task for _, task in task_candidates(tasks, compile_filter(condition, TASKS), None)]
        assert len(looked_at) == tasks.counts.failed == 900
        assert all(task.result == "failure" for task in looked_at)


def test_changed_tasks_are_found_after_many_changes():
    """A task that goes back and forth is found once, at its last change, and old changes are dropped."""
    tasks = make_tasks(10)
    (task, *_) = tasks.by_id.values()
    now = START + 1000 * TICKS_PER_SECOND
    for _ in range(5000):
        now += 1000
        tasks.move(task, "active", now)
        now += 1000
        tasks.move(task, "running", now)
    assert list(tasks.ids_changed_since(now, None)) == [task.key]
    assert tasks.count_changed_since(0) < 2000


def test_removed_task_is_not_found():
    """A task that is gone is no candidate, also where another has taken its id."""
    tasks = make_tasks(20)
    gone = tasks.by_id.peekitem(0)[1]
    tasks.remove(gone)
    assert gone.key not in list(tasks.ids_changed_since(0, None))
    now = START + 10**6 * TICKS_PER_SECOND
    tasks.add(Task("job", gone.id, {}, 99, now, now, now), ready=True)
    assert list(tasks.ids_changed_since(0, None)).count(gone.key) == 1
