"""When each Batch task ran and where, as rows of a chart: what a picture of a run is drawn from."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import accumulate, groupby, pairwise
from operator import attrgetter

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


def divide(length: float, parts: int) -> list[float]:
    """The bounds of so many equal parts."""
    return [length * number / parts for number in range(parts + 1)]


def running_steps(spans: Sequence[Span]) -> list[tuple[float, int]]:
    """How many tasks run from each moment on: the moments in seconds, and the numbers."""
    changes = Counter(span.start_seconds for span in spans)
    changes.subtract(Counter(span.end_seconds for span in spans))
    moments = sorted(changes)
    return [*zip(moments, accumulate(changes[moment] for moment in moments), strict=True)]


def running_means(spans: Sequence[Span], bins: int) -> list[tuple[float, float]]:
    """As `running_steps`, but the averages in that many equal bins from 0 to the end."""
    bounds = divide(max(span.end_seconds for span in spans), bins)
    means = running_between(spans, bounds)
    return [*zip(bounds, [*means, means[-1]], strict=True)]


def running_between(spans: Sequence[Span], bounds: Sequence[float]) -> list[float]:
    """How many tasks run on average between each bound, in seconds, and the next."""
    begun = _sum_seconds_since([span.start_seconds for span in spans], bounds)
    ended = _sum_seconds_since([span.end_seconds for span in spans], bounds)
    run = [since_start - since_end for since_start, since_end in zip(begun, ended, strict=True)]
    widths = [after - before for before, after in pairwise(bounds)]
    return [(after - before) / width for (before, after), width in zip(pairwise(run), widths, strict=True)]


def _sum_seconds_since(moments: Iterable[float], bounds: Sequence[float]) -> list[float]:
    """For each bound the sum, over the moments before it, of the seconds from moment to bound."""
    moments = sorted(moments)
    sums = [0.0, *accumulate(moments)]
    before = [bisect_left(moments, bound) for bound in bounds]
    return [count * bound - sums[count] for count, bound in zip(before, bounds, strict=True)]


def failed_cells(rows: Sequence[ChartRow], bounds: Sequence[float]) -> set[tuple[int, int]]:
    """Where failed tasks ended: the number of the row, and of the bin between two bounds."""
    return {
        (number, min(max(bisect_left(bounds, span.end_seconds) - 1, 0), len(bounds) - 2))
        for number, row in enumerate(rows)
        for span in row.spans
        if not span.succeeded
    }


def group_rows(rows: Sequence[ChartRow]) -> list[tuple[str, int, int]]:
    """Neighbouring rows of one label: the label, the first row's number, and how many there are."""
    groups, at = [], 0
    for label, members in groupby(rows, attrgetter("label")):
        count = len(list(members))
        groups.append((label, at, count))
        at += count
    return groups
