"""What a run does beside its Batch tasks, drawn: the flow itself, and nodes until their first task."""

from collections.abc import Iterator, Sequence
from statistics import median

from tasks.report.picture.phases import Kind, Phase, Phases
from tasks.report.picture.rows import BAR_MARGIN, RULE
from tasks.report.picture.svg import Box, Plot, draw_boxes, draw_line
from tasks.report.picture.timeline import ChartRow

FLOW_LABEL = "the flow"
# The flow's in violet, the nodes' in grey: none is taken for a Batch task.
COLOURS: dict[Kind, str] = {
    "prepares": "#5d4f86",
    "uploads": "#a08fd6",
    "fetches": "#d9a5cf",
    "boots": "#323d54",
    "start task": "#7c89a3",
    "waits": "#252d3c",
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


def draw_phases(plot: Plot, rows: Sequence[ChartRow], phases: Phases) -> Iterator[str]:
    """The flow's line is the one above the first."""
    lines = [(number, phases.of_nodes.get(row.label, ())) for number, row in enumerate(rows)]
    lines.append((-1, phases.of_flow))
    for kind, colour in COLOURS.items():
        boxes = [_find_box(plot, at, phase) for at, line in lines for phase in line if phase.kind == kind]
        yield draw_boxes(kind, boxes, fill=colour)
    if phases.of_flow:
        yield draw_line([(plot.left, plot.y(0)), (plot.right, plot.y(0))], stroke=RULE, stroke_width=0.8)


def _find_box(plot: Plot, at: int, phase: Phase) -> Box:
    least = plot.width * BAR_WIDTH_MIN
    left = min(plot.x(phase.start_seconds), plot.right - least)
    right = max(plot.x(phase.end_seconds), left + least)
    return left, plot.y(at + BAR_MARGIN), right, plot.y(at + 1 - BAR_MARGIN)


def list_kinds(phases: Phases) -> list[Kind]:
    """Those that the picture has, in the order of a run."""
    all_phases = [*phases.of_flow, *(phase for of_node in phases.of_nodes.values() for phase in of_node)]
    found = {phase.kind for phase in all_phases}
    return [kind for kind in COLOURS if kind in found]


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
        f"{words} {_say_seconds(length)}" for words, length in lengths.items() if length is not None
    )
    return f"{said[0].upper()}{said[1:]}."


def _find_median(phases: Phases, kind: Kind) -> float | None:
    found = [phase.seconds for of_node in phases.of_nodes.values() for phase in of_node if phase.kind == kind]
    return median(found) if found else None


def _say_seconds(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
