"""When each Batch task ran and where, as rows of a chart: what a picture of a run is drawn from."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import accumulate, chain, groupby, islice, pairwise
from operator import attrgetter
from typing import NamedTuple

from tasks.base.packed import Interned, PackedSequence, PackedTexts, Selection
from tasks.spec.file_results import FileResult, TaskResult


class Span(NamedTuple):
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


class Spans(PackedSequence[Span]):
    """The spans of many files, in the order of these."""

    def __init__(self, files: Iterable[FileResult], first: datetime):
        self._names, self._nodes, self._node_ids = PackedTexts(), array("I"), Interned[str]()
        self.starts, self._ends, self._succeeded = array("d"), array("d"), bytearray()
        for file, task in _list_ran(files):
            self._names.append(file.name)
            self._nodes.append(self._node_ids.add(task.node_id))
            # Differences of times, which are exact: one task may start at the very moment that another ends.
            self.starts.append((_find_start(task) - first).total_seconds())
            self._ends.append((task.changed_at - first).total_seconds())
            self._succeeded.append(file.state != "failed")

    def __len__(self) -> int:
        return len(self._names)

    def _make(self, number: int) -> Span:
        return Span(
            self._names[number],
            self._node_ids[self._nodes[number]],
            self.starts[number],
            self._ends[number],
            bool(self._succeeded[number]),
        )


def build_spans(files: Sequence[FileResult], began_at: datetime | None = None) -> Sequence[Span]:
    """The tasks that ran on a node, by start; failed is also one that left its file without an output.

    The service tells when a task completed; its start is as much earlier as it ran. Seconds count from
    `began_at`, if the first task began after that.
    """
    first = find_begin(files, began_at)
    return [] if first is None else build_spans_since(files, first)


def build_spans_since(files: Iterable[FileResult], first: datetime) -> Sequence[Span]:
    """The same where it is known when the first task began, or the run."""
    spans = Spans(files, first)
    return Selection(spans, sorted(range(len(spans)), key=spans.starts.__getitem__))


def find_begin(files: Iterable[FileResult], began_at: datetime | None = None) -> datetime | None:
    """The moment from which seconds count; None if no task has run."""
    began = min((_find_start(task) for _, task in _list_ran(files)), default=None)
    return min(began, began_at) if began and began_at else began


def _list_ran(files: Iterable[FileResult]) -> Iterator[tuple[FileResult, TaskResult]]:
    return ((file, file.task) for file in files if file.task and has_run(file))


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


def group_by_node(spans: Sequence[Span]) -> dict[str, Sequence[Span]]:
    """The spans of each node; the node that began first comes first."""
    return {node_id: Selection(spans, numbers) for node_id, numbers in _number_by_node(spans).items()}


def _number_by_node(spans: Sequence[Span]) -> dict[str, array]:
    nodes: dict[str, array] = {}
    for number, span in enumerate(spans):
        nodes.setdefault(span.node_id, array("I")).append(number)
    return nodes


def _fill_slots(spans: Sequence[Span]) -> list[Sequence[Span]]:
    """Spans of one node, in order of start, laid into as few slots as hold them with none over another."""
    slots: list[array] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for number, span in enumerate(spans):
        while busy and busy[0][0] <= span.start_seconds:
            heappush(free, heappop(busy)[1])
        if not free:
            heappush(free, len(slots))
            slots.append(array("I"))
        slot = heappop(free)
        slots[slot].append(number)
        heappush(busy, (span.end_seconds, slot))
    return [Selection(spans, numbers) for numbers in slots]


def merge_rows(spans: Sequence[Span], rows_max: int) -> list[ChartRow]:
    """A row for each node or, if there are more nodes than rows, for as many neighbours as it takes; the
    spans are in order of start."""
    nodes = _number_by_node(spans)
    per_row = -(-len(nodes) // rows_max)
    return [_merge_nodes(spans, nodes, at, per_row) for at in range(0, len(nodes), per_row)]


def _merge_nodes(spans: Sequence[Span], nodes: dict[str, array], at: int, count: int) -> ChartRow:
    """The row of so many of the nodes, from one on."""
    merged = dict(islice(nodes.items(), at, at + count))
    label = next(iter(merged)) if len(merged) == 1 else f"nodes {at + 1} to {at + len(merged)}"
    slots = sum(len(_fill_slots(Selection(spans, numbers))) for numbers in merged.values())
    return ChartRow(label, Selection(spans, sorted(chain(*merged.values()))), slots)


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
    starts, ends = array("d"), array("d")
    for span in spans:
        starts.append(span.start_seconds)
        ends.append(span.end_seconds)
    begun, ended = _sum_seconds_since(starts, bounds), _sum_seconds_since(ends, bounds)
    run = [since_start - since_end for since_start, since_end in zip(begun, ended, strict=True)]
    widths = [after - before for before, after in pairwise(bounds)]
    return [(after - before) / width for (before, after), width in zip(pairwise(run), widths, strict=True)]


def _sum_seconds_since(moments: Iterable[float], bounds: Sequence[float]) -> list[float]:
    """For each bound the sum, over the moments before it, of the seconds from moment to bound."""
    # By how many there are between two bounds, and their sum: there may be a million.
    counts, sums = [0] * (len(bounds) + 1), [0.0] * (len(bounds) + 1)
    for moment in moments:
        at = bisect_right(bounds, moment)
        counts[at] += 1
        sums[at] += moment
    before = zip(bounds, accumulate(counts), accumulate(sums), strict=False)
    return [count * bound - total for bound, count, total in before]


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
