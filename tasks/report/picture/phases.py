"""What a run does beside its Batch tasks: how its nodes start, and what the flow itself is at.

Batch tells of a task when it came to its node and when it had ended, so its bar holds the download of its
input and the upload of its output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tasks.report.picture.node_starts import NodeStart
from tasks.report.picture.timeline import Span
from tasks.spec.run_results import RunResult

Kind = Literal["boots", "start task", "waits", "prepares", "uploads", "fetches"]


@dataclass(frozen=True)
class Phase:
    """A part of a line of the picture; seconds count from the start of the run."""

    kind: Kind
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True)
class Phases:
    """Those of the flow, and those of each node before its first Batch task, by its id."""

    of_flow: Sequence[Phase] = ()
    of_nodes: Mapping[str, Sequence[Phase]] = field(default_factory=dict)
    length_seconds: float = 0.0
    """Of the whole run."""


def build_phases(
    result: RunResult, spans: Sequence[Span], starts: Sequence[NodeStart], began_at: datetime
) -> Phases:
    """The phases of a run whose picture begins at `began_at`."""
    known = {start.node_id: start for start in starts}
    firsts: dict[str, float] = {}
    for span in spans:
        firsts[span.node_id] = min(span.start_seconds, firsts.get(span.node_id, span.start_seconds))
    of_nodes = {
        node_id: split_node_start(known.get(node_id), first, began_at) for node_id, first in firsts.items()
    }
    last = max(span.end_seconds for span in spans)
    return Phases(_split_flow(result, last, began_at), of_nodes, _end_seconds(result, began_at, last))


def split_node_start(start: NodeStart | None, first_seconds: float, began_at: datetime) -> list[Phase]:
    """What a node did before its first Batch task, as far as the run was there; waiting, if nobody knows."""
    # One that booted later was started anew.
    if start is None or (start.booted_at - began_at).total_seconds() > first_seconds:
        return _drop_empty([Phase("waits", 0, first_seconds)])
    moments = [
        min(max(0.0, (moment - began_at).total_seconds()), first_seconds)
        for moment in (start.allocated_at, start.booted_at, start.ready_at)
    ]
    allocated, booted, ready = moments
    return _drop_empty([Phase("boots", allocated, booted), Phase("start task", booted, ready)])


def _split_flow(result: RunResult, last_seconds: float, began_at: datetime) -> list[Phase]:
    """What the flow did by itself: before and while it sent inputs, and after the last Batch task."""
    phases = []
    if result.uploaded_at is not None:
        began, ended = ((moment - began_at).total_seconds() for moment in result.uploaded_at)
        phases = [Phase("prepares", 0, began), Phase("uploads", began, ended)]
    # Behind the last task that had ended, a run that was stopped still waited for others.
    if not result.counts["unfinished"]:
        phases.append(Phase("fetches", last_seconds, _end_seconds(result, began_at, last_seconds)))
    return _drop_empty(phases)


def _end_seconds(result: RunResult, began_at: datetime, last_seconds: float) -> float:
    """When the run had its result; by the flow's clock, which may be behind the service's."""
    if result.ended_at is None:
        return last_seconds
    return max(last_seconds, (result.ended_at - began_at).total_seconds())


def _drop_empty(phases: Sequence[Phase]) -> list[Phase]:
    return [phase for phase in phases if phase.seconds > 0]
