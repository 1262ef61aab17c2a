"""Which tasks of a job a list looks at: where its filter allows, those of an index instead of all.

The order is always that of the ids. Whatever comes from here the filter itself must still be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from batch_emulator.api.odata import Filter
from batch_emulator.resources.job_tasks import JobTasks
from batch_emulator.resources.model import Task
from batch_emulator.resources.transitions import TASK

#: Times of a task that are never later than the last change of its state.
_NO_LATER_THAN_CHANGE = (
    "stateTransitionTime",
    "creationTime",
    "executionInfo/startTime",
    "executionInfo/endTime",
)
#: An index of times needs a sort: that is worth it if it leaves this part of the tasks, or this many.
_WORTH_A_SORT_SHARE = 1 / 8
_WORTH_A_SORT = 2000


class Source(NamedTuple):
    """A way to find the tasks that can match: how many it looks at, and those behind an id, in order."""

    size: int
    ids: Callable[[str | None], Iterator[str]]


def task_candidates(tasks: JobTasks, wanted: Filter | None, after: str | None) -> Iterator[tuple[str, Task]]:
    """(key, task) of every task behind the key `after` that can match, in order of id."""
    sources = _sources(tasks, wanted) if wanted else []
    everything = Source(len(tasks.by_id), lambda after: tasks.ids(None, after))
    best = min([*sources, everything], key=lambda source: source.size)
    for task_key in best.ids(after):
        yield task_key, tasks.by_id[task_key]


def _sources(tasks: JobTasks, wanted: Filter) -> Iterator[Source]:
    states = _possible_states(wanted)
    if states is not None:
        size = sum(len(tasks.by_state[state]) for state in states)
        yield Source(size, lambda after: tasks.ids(states, after))
    if _wants_failures(wanted, states):
        yield Source(len(tasks.failed), lambda after: tasks.failed.irange(after, inclusive=(False, True)))
    since = _changed_since(wanted)
    if since is not None:
        size = tasks.count_changed_since(since)
        if size <= max(_WORTH_A_SORT, len(tasks.by_id) * _WORTH_A_SORT_SHARE):
            yield Source(size, lambda after: tasks.ids_changed_since(since, after))
    prefix = wanted.required_equalities().get("id") or wanted.required_prefixes().get("id")
    if prefix:
        yield Source(tasks.count_with_prefix(prefix), lambda after: tasks.ids_with_prefix(prefix, after))


def _possible_states(wanted: Filter) -> frozenset[str] | None:
    """The states that a match can have; None where it can have any."""
    possible = frozenset[str](TASK)
    for path, operator, value in wanted.conjuncts:
        if path == "state" and operator == "eq":
            possible &= {value}
        elif path == "state" and operator == "in":
            possible &= value
        elif path == "state" and operator == "ne":
            possible -= {value}
    return possible if len(possible) < len(TASK) else None


def _wants_failures(wanted: Filter, states: frozenset[str] | None) -> bool:
    """Whether every match has failed, by its result or by its exit code."""
    equal = wanted.required_equalities()
    if equal.get("executionInfo/result") == "failure":
        return True
    completed = states == {"completed"}
    return completed and any(
        path == "executionInfo/exitCode" and (operator, value) in (("ne", 0), ("gt", 0), ("ge", 1))
        for path, operator, value in wanted.conjuncts
    )


def _changed_since(wanted: Filter) -> int | None:
    """The latest time, in ticks, after which the state of every match has changed."""
    bounds = wanted.lower_bounds()
    return max((bounds[path][0] for path in _NO_LATER_THAN_CHANGE if path in bounds), default=None)
