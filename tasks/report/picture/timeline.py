"""When each Batch task ran and where, as rows of a chart: what a picture of a run is drawn from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import groupby
from operator import attrgetter

import numpy as np

from tasks.spec.run_results import FileResult, TaskResult


@dataclass(frozen=True)
class Span:
    """One Batch task on its node; seconds count from the start of the run."""

    name: str
    node_id: str
    start_seconds: float
    end_seconds: float
    succeeded: bool


@dataclass(frozen=True)
class ChartRow:
    """A line of the chart: one slot of a node, a whole node, or several nodes.

    `slots` is how many tasks it could hold at once, as far as the run shows.
    """

    label: str
    spans: Sequence[Span]
    slots: int = 1


def build_spans(files: Sequence[FileResult], began_at: datetime | None = None) -> list[Span]:
    """The tasks that ran on a node, by start; failed is also one that left its file without an output.

    The service tells when a task completed; its start is as much earlier as it ran. Seconds count from
    `began_at`, if the first task began after that.
    """
    ran = _list_ran(files)
    if not ran:
        return []
    first = find_begin(files, began_at)
    # Differences of times, which are exact: one task may start at the very moment that another ends.
    spans = [
        Span(
            file.name,
            task.node_id,
            (_find_start(task) - first).total_seconds(),
            (task.changed_at - first).total_seconds(),
            file.state != "failed",
        )
        for file, task in ran
    ]
    return sorted(spans, key=attrgetter("start_seconds", "name"))


def find_begin(files: Sequence[FileResult], began_at: datetime | None = None) -> datetime:
    """The moment from which seconds count; a task must have run."""
    began = [_find_start(task) for _, task in _list_ran(files)]
    return min([*began, began_at] if began_at else began)


def _list_ran(files: Iterable[FileResult]) -> list[tuple[FileResult, TaskResult]]:
    return [(file, file.task) for file in files if file.task and has_run(file)]


def has_run(file: FileResult) -> bool:
    """Whether one knows when and where its Batch task ran: the service says it at its end."""
    return file.task is not None and file.task.seconds is not None


def _find_start(task: TaskResult) -> datetime:
    return task.changed_at - timedelta(seconds=task.seconds or 0)


def slot_rows(spans: Sequence[Span]) -> list[ChartRow]:
    """A row for each slot of each node; Batch names no slots, so each task takes the first free one."""
    return [
        ChartRow(node_id, slot)
        for node_id, of_node in group_by_node(spans).items()
        for slot in _fill_slots(of_node)
    ]


def group_by_node(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """The spans of each node; the node that began first comes first."""
    nodes: dict[str, list[Span]] = {}
    for span in spans:
        nodes.setdefault(span.node_id, []).append(span)
    return nodes


def _fill_slots(spans: Sequence[Span]) -> list[list[Span]]:
    """Spans of one node, in order of start, laid into as few slots as hold them with none over another."""
    slots: list[list[Span]] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for span in spans:
        while busy and busy[0][0] <= span.start_seconds:
            heappush(free, heappop(busy)[1])
        if not free:
            heappush(free, len(slots))
            slots.append([])
        slot = heappop(free)
        slots[slot].append(span)
        heappush(busy, (span.end_seconds, slot))
    return slots


def merge_rows(spans: Sequence[Span], rows_max: int) -> list[ChartRow]:
    """A row for each node or, if there are more nodes than rows, for as many neighbours as it takes."""
    nodes = list(group_by_node(spans).items())
    per_row = -(-len(nodes) // rows_max)
    return [_merge_nodes(nodes[at : at + per_row], at) for at in range(0, len(nodes), per_row)]


def _merge_nodes(nodes: Sequence[tuple[str, list[Span]]], at: int) -> ChartRow:
    label = nodes[0][0] if len(nodes) == 1 else f"nodes {at + 1} to {at + len(nodes)}"
    spans = sorted((span for _, of_node in nodes for span in of_node), key=attrgetter("start_seconds"))
    return ChartRow(label, spans, sum(len(_fill_slots(of_node)) for _, of_node in nodes))


def running_steps(spans: Sequence[Span]) -> tuple[np.ndarray, np.ndarray]:
    """How many tasks run from each moment on: the moments in seconds, and the numbers."""
    starts, ends = _sort_edges(spans)
    moments = np.unique(np.concatenate([starts, ends]))
    running = np.searchsorted(starts, moments, side="right") - np.searchsorted(ends, moments, side="right")
    return moments, running


def running_means(spans: Sequence[Span], bins: int) -> tuple[np.ndarray, np.ndarray]:
    """As `running_steps`, but the averages in that many equal bins from 0 to the end."""
    bounds = np.linspace(0, max(span.end_seconds for span in spans), bins + 1)
    means = running_between(spans, bounds)
    return bounds, np.append(means, means[-1:])


def running_between(spans: Sequence[Span], bounds: np.ndarray) -> np.ndarray:
    """How many tasks run on average between each bound, in seconds, and the next."""
    starts, ends = _sort_edges(spans)
    return np.diff(_sum_seconds_since(starts, bounds) - _sum_seconds_since(ends, bounds)) / np.diff(bounds)


def _sum_seconds_since(moments: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """For each bound the sum, over the (sorted) moments before it, of the seconds from moment to bound."""
    before = np.searchsorted(moments, bounds)
    sums = np.concatenate([[0.0], np.cumsum(moments)])
    return before * bounds - sums[before]


def _sort_edges(spans: Sequence[Span]) -> tuple[np.ndarray, np.ndarray]:
    """The starts and the ends, each sorted."""
    return (
        np.sort(np.array([span.start_seconds for span in spans], dtype=float)),
        np.sort(np.array([span.end_seconds for span in spans], dtype=float)),
    )


def failed_cells(rows: Sequence[ChartRow], bounds: np.ndarray) -> set[tuple[int, int]]:
    """Where failed tasks ended: the number of the row, and of the bin between two bounds."""
    cells = set()
    for number, row in enumerate(rows):
        ends = [span.end_seconds for span in row.spans if not span.succeeded]
        bins = np.clip(np.searchsorted(bounds, ends, side="left") - 1, 0, len(bounds) - 2)
        cells.update((number, int(bin_)) for bin_ in bins)
    return cells


def group_rows(rows: Sequence[ChartRow]) -> list[tuple[str, int, int]]:
    """Neighbouring rows of one label: the label, the first row's number, and how many there are."""
    groups, at = [], 0
    for label, members in groupby(rows, attrgetter("label")):
        count = len(list(members))
        groups.append((label, at, count))
        at += count
    return groups
