"""What a run does beside its Batch tasks, drawn: the flow itself, and nodes until their first task."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from matplotlib.axes import Axes

from tasks.report.picture.phases import Kind, Phase, Phases
from tasks.report.picture.rows import BAR_MARGIN, RULE
from tasks.report.picture.timeline import ChartRow

FLOW_LABEL = "the flow"
# The flow's in violet, the nodes' in grey: none is taken for a Batch task.
LOOKS: dict[Kind, dict[str, Any]] = {
    "prepares": {"facecolor": "#5d4f86"},
    "uploads": {"facecolor": "#a08fd6"},
    "fetches": {"facecolor": "#d9a5cf"},
    "boots": {"facecolor": "#323d54"},
    "start task": {"facecolor": "#7c89a3"},
    "waits": {"facecolor": "#252d3c"},
}
WORDS: dict[Kind, str] = {
    "prepares": "flow prepares",
    "uploads": "uploads inputs",
    "fetches": "fetches the rest",
    "boots": "node boots",
    "start task": "start task",
    "waits": "until its first task",
}
# What takes a moment of a run of hours is to be seen too.
BAR_WIDTH_MIN = 1 / 400


def draw_phases(axes: Axes, rows: Sequence[ChartRow], phases: Phases, unit_seconds: float) -> None:
    """Draw into axes whose limits are set: the flow's line is the one above the first."""
    for number, row in enumerate(rows):
        _draw_line(axes, number, phases.of_nodes.get(row.label, ()), unit_seconds)
    if phases.of_flow:
        _draw_line(axes, -1, phases.of_flow, unit_seconds)
        axes.hlines([0], 0, 1, RULE, lw=0.8, transform=axes.get_yaxis_transform())


def _draw_line(axes: Axes, at: int, phases: Sequence[Phase], unit_seconds: float) -> None:
    height, least = 1 - 2 * BAR_MARGIN, axes.get_xlim()[1] * BAR_WIDTH_MIN
    for phase in phases:
        left = min(phase.start_seconds / unit_seconds, axes.get_xlim()[1] - least)
        width = max(phase.seconds / unit_seconds, least)
        axes.barh(
            at + 0.5, width, height, left=left, linewidth=0, zorder=1.5, gid=phase.kind, **LOOKS[phase.kind]
        )


def list_kinds(phases: Phases) -> list[Kind]:
    """Those that the picture has, in the order of a run."""
    all_phases = [*phases.of_flow, *(phase for of_node in phases.of_nodes.values() for phase in of_node)]
    found = {phase.kind for phase in all_phases}
    return [kind for kind in LOOKS if kind in found]


def describe_phases(phases: Phases, first_task_seconds: float) -> str:
    """How long each took, as a sentence; "" of a run of which nothing is known but its Batch tasks."""
    flow = {phase.kind: phase.seconds for phase in phases.of_flow}
    if not flow:
        return ""
    lengths: dict[str, float | None] = {
        "prepared in": flow.get("prepares"),
        "inputs uploaded in": flow.get("uploads"),
        "a node booted in": _find_median(phases, "boots"),
        "its start task took": _find_median(phases, "start task"),
        "first Batch task after": first_task_seconds,
        "the rest fetched in": flow.get("fetches"),
    }
    said = ", ".join(
        f"{words} {say_seconds(length)}" for words, length in lengths.items() if length is not None
    )
    return f"{said[0].upper()}{said[1:]}."


def _find_median(phases: Phases, kind: Kind) -> float | None:
    found = [phase.seconds for of_node in phases.of_nodes.values() for phase in of_node if phase.kind == kind]
    return median(found) if found else None


def say_seconds(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
