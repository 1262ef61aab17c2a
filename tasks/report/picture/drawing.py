"""The picture of a run, drawn: nodes over time with their Batch tasks, and how many ran at once.

It has a ground of its own, because Prefect's pages are dark or light; failed tasks differ from the others in
hue, pattern and a mark, for those who tell no red from green.
"""

import io
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from tasks.report.picture.phase_bars import (
    FLOW_LABEL,
    LOOKS,
    WORDS,
    describe_phases,
    draw_phases,
    list_kinds,
)
from tasks.report.picture.phases import Kind, Phases
from tasks.report.picture.rows import (
    FAILED_LOOK,
    GROUND,
    MARK_LOOK,
    QUIET,
    RULE,
    SUCCEEDED,
    TEXT,
    draw_bars,
    draw_shades,
    printable,
)
from tasks.report.picture.timeline import (
    ChartRow,
    Span,
    group_by_node,
    group_rows,
    merge_rows,
    running_means,
    running_steps,
    slot_rows,
)

ROWS_MAX = 48
BARS_MAX = 1500
BARS_IN_ROW_MAX = 100
STEPS_MAX = 1000
NODE_LABELS_MAX = 24
# How many run at once one sees in so few rows.
COUNTABLE_ROWS = 8

# Nearly as wide as Prefect's page of an artifact, so that letters keep their size.
WIDTH_INCHES = 9.5
ROW_HEIGHT_INCHES = 0.34
ROWS_HEIGHT_INCHES = (0.9, 7.0)
RUNNING_HEIGHT_INCHES = 0.9
LEFT_INCHES, RIGHT_INCHES, TOP_INCHES, GAP_INCHES, BOTTOM_INCHES = 1.5, 0.3, 1.2, 0.25, 0.95

NO_PHASES = Phases()

# Matplotlib's settings and Python's warning filters belong to the process.
_rendering = threading.Lock()


def draw(
    spans: Sequence[Span],
    title: str,
    note: str = "",
    phases: Phases = NO_PHASES,
    bundles: int = 0,
    left_out: int = 0,
) -> str:
    """The SVG, as text, of tasks on their nodes: each task a bar or, where that would be too fine, shades.

    There must be a span; it is a file if files share Batch tasks, `bundles` of them; `left_out` are
    unfinished files of which there is none. The size stays under 300 kB however many there are.
    """
    rows = slots if len(slots := slot_rows(spans)) <= ROWS_MAX else merge_rows(spans, ROWS_MAX)
    are_bars = rows is slots and _fit_as_bars(rows)
    length_seconds = max(phases.length_seconds, *(span.end_seconds for span in spans))
    unit_seconds, unit = _choose_time_unit(length_seconds)
    top = -1 if phases.of_flow else 0
    figure, upper, lower = _build_frame(top, len(rows), _has_to_count(rows, are_bars))
    lowest = lower or upper
    lowest.set_xlim(0, max(length_seconds, 1e-3) / unit_seconds)
    lowest.set_xlabel(f"{unit} since the run began", loc="left")
    _label_rows(upper, rows, has_flow=bool(phases.of_flow))
    (draw_bars if are_bars else draw_shades)(upper, rows, unit_seconds)
    draw_phases(upper, rows, phases, unit_seconds)
    if lower is not None:
        _draw_running(lower, spans, unit_seconds)
    first_seconds = min(span.start_seconds for span in spans)
    subtitle = _write_subtitle(spans, rows, are_bars, bundles) + _describe_left_out(left_out)
    told = [subtitle, describe_phases(phases, first_seconds)]
    _write_head(figure, title, note, told)
    _draw_legend(figure, list_kinds(phases), {span.succeeded for span in spans})
    return _render_svg(figure, title)


def _has_to_count(rows: Sequence[ChartRow], are_bars: bool) -> bool:
    """Whether the rows don't say by themselves how many tasks run."""
    return len(rows) > COUNTABLE_ROWS or (not are_bars and sum(row.slots for row in rows) > 1)


def _fit_as_bars(rows: Sequence[ChartRow]) -> bool:
    counts = [len(row.spans) for row in rows]
    return sum(counts) <= BARS_MAX and max(counts) <= BARS_IN_ROW_MAX


def _write_subtitle(spans: Sequence[Span], rows: Sequence[ChartRow], are_bars: bool, bundles: int) -> str:
    nodes, slots = len(group_by_node(spans)), sum(row.slots for row in rows)
    line = {slots: "a slot of a node", nodes: "a node"}.get(len(rows), "several nodes")
    # Batch tells these of a task not apart.
    bar = ", a bar a file's program" if bundles else ", a bar a Batch task with its download and upload"
    look = bar if are_bars else ", brighter where more of it is in use"
    ran = _plural(bundles or len(spans), "Batch task")
    files = f"{_plural(len(spans), 'file')} in " if bundles else ""
    return f"{files}{ran} on {_plural(nodes, 'node')}. A line is {line}{look}."


def _describe_left_out(count: int) -> str:
    return f" {_plural(count, 'unfinished file')} {'is' if count == 1 else 'are'} not drawn." if count else ""


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _choose_time_unit(length_seconds: float) -> tuple[float, str]:
    """The unit that suits an axis of this length: its seconds and its name."""
    if length_seconds <= 180:
        return 1.0, "seconds"
    return (60.0, "minutes") if length_seconds <= 3 * 3600 else (3600.0, "hours")


def _build_frame(top: int, rows: int, has_lower: bool) -> tuple[Figure, Axes, Axes | None]:
    """A figure with axes for the rows from `top` on, the first uppermost; below, where they say more than
    the rows, axes for the number of running tasks."""
    least, most = ROWS_HEIGHT_INCHES
    rows_height = min(most, max(least, (rows - top) * ROW_HEIGHT_INCHES))
    upper_bottom = BOTTOM_INCHES + (RUNNING_HEIGHT_INCHES + GAP_INCHES) * has_lower
    figure = Figure(figsize=(WIDTH_INCHES, upper_bottom + rows_height + TOP_INCHES), facecolor=GROUND)
    lower = _add_axes(figure, BOTTOM_INCHES, RUNNING_HEIGHT_INCHES) if has_lower else None
    upper = _add_axes(figure, upper_bottom, rows_height, sharex=lower)
    upper.tick_params(labelbottom=not has_lower)
    upper.set_ylim(rows, top)
    return figure, upper, lower


def _add_axes(figure: Figure, bottom_inches: float, height_inches: float, **options: Any) -> Axes:
    width, height = figure.get_size_inches()
    inner = width - LEFT_INCHES - RIGHT_INCHES
    box = (LEFT_INCHES / width, bottom_inches / height, inner / width, height_inches / height)
    axes = figure.add_axes(box, facecolor=GROUND, **options)
    axes.tick_params(colors=QUIET, labelsize=8, length=3)
    axes.xaxis.label.set(color=QUIET, fontsize=9)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(color=RULE, visible=side in ("left", "bottom"))
    return axes


def _label_rows(axes: Axes, rows: Sequence[ChartRow], has_flow: bool) -> None:
    """Name each node beside its rows, or every few nodes if there are many; draw a rule between nodes."""
    groups = group_rows(rows)
    every = -(-len(groups) // NODE_LABELS_MAX)
    named = groups[::every]
    places = {at + count / 2: _shorten_label(label) for label, at, count in named}
    if has_flow:
        places[-0.5] = FLOW_LABEL
    axes.set_yticks(list(places), list(places.values()))
    axes.tick_params(axis="y", length=0, labelcolor=TEXT)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    if len(rows) > len(groups):
        axes.hlines([at for _, at, _ in groups[1:]], 0, 1, RULE, lw=0.8, transform=axes.get_yaxis_transform())


def _shorten_label(label: str) -> str:
    """A node's id as far as there is room; of Azure's 72 characters the first few tell nodes apart."""
    label = printable(label)
    return label if len(label) <= 20 else f"{label[:14]}…{label[-2:]}"


def _draw_running(axes: Axes, spans: Sequence[Span], unit_seconds: float) -> None:
    """How many tasks run, as a step line; averages where the steps would be too fine."""
    moments, running = running_steps(spans)
    if len(moments) > STEPS_MAX:
        moments, running = running_means(spans, STEPS_MAX // 2)
    axes.step(moments / unit_seconds, running, where="post", color=TEXT, linewidth=1.1, gid="running")
    axes.fill_between(moments / unit_seconds, running, step="post", color=SUCCEEDED, alpha=0.25, linewidth=0)
    axes.set_ylim(0, max(1, running.max()) * 1.15)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    axes.set_ylabel("running", color=QUIET, fontsize=9)


def _write_head(figure: Figure, title: str, note: str, told: Sequence[str]) -> None:
    width, height = figure.get_size_inches()
    left, right = 0.25 / width, 1 - RIGHT_INCHES / width
    figure.text(left, 1 - 0.32 / height, title, color=TEXT, size=13, weight="bold", va="center")
    figure.text(right, 0.52 / height, note, color=QUIET, size=8, va="center", ha="right")
    for number, line in enumerate(told):
        figure.text(left, 1 - (0.62 + 0.22 * number) / height, line, color=QUIET, size=9, va="center")


def _draw_legend(figure: Figure, phases: Sequence[Kind], outcomes: set[bool]) -> None:
    """What the colours mean that the picture has: True stands for tasks that succeeded."""
    width, height = figure.get_size_inches()
    kinds: list[Artist] = [Patch(**LOOKS[kind], label=WORDS[kind]) for kind in phases]
    kinds += [Patch(facecolor=SUCCEEDED, label="succeeded")] if True in outcomes else []
    if False in outcomes:
        kinds += [Patch(**FAILED_LOOK, label="failed"), Line2D([], [], **MARK_LOOK, label="failed here")]
    figure.legend(
        handles=kinds,
        loc="center right",
        bbox_to_anchor=(1 - RIGHT_INCHES / width, 0.24 / height),
        ncols=len(kinds),
        frameon=False,
        fontsize=8,
        columnspacing=1.2,
        handlelength=1.4,
        handletextpad=0.5,
        labelcolor=TEXT,
        borderpad=0,
        borderaxespad=0,
    )


def _render_svg(figure: Figure, title: str) -> str:
    """The figure as SVG whose text is text: small, and in the reader's fonts whatever script a name has."""
    file = io.StringIO()
    with _rendering, matplotlib.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        # Only the measuring lacks those glyphs.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        FigureCanvasSVG(figure).print_svg(file, metadata={"Title": title, "Date": None})
    return file.getvalue()
