"""The picture of a run, drawn: nodes over time with their Batch tasks, and how many ran at once.

It has a ground of its own, because Prefect's pages are dark or light; failed tasks differ from the others in
hue, pattern and a mark, for those who tell no red from green.
"""

from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

from tasks.report.picture.phase_bars import (
    COLOURS,
    FLOW_LABEL,
    WORDS,
    describe_phases,
    draw_phases,
    list_kinds,
)
from tasks.report.picture.phases import Kind, Phases
from tasks.report.picture.rows import (
    FAILED_FILL,
    GROUND,
    MARK,
    QUIET,
    RULE,
    STRIPES,
    SUCCEEDED,
    TEXT,
    draw_bars,
    draw_shades,
    printable,
)
from tasks.report.picture.svg import (
    FONT,
    Plot,
    draw_line,
    element,
    find_ticks,
    group,
    measure_text,
    write_text,
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

# In points. Nearly as wide as Prefect's page of an artifact, so that letters keep their size.
WIDTH = 684.0
ROW_HEIGHT = 24.5
ROWS_HEIGHT = (65.0, 504.0)
RUNNING_HEIGHT = 65.0
LEFT, RIGHT, TOP, GAP, BOTTOM = 108.0, 21.6, 86.4, 18.0, 68.4
MARGIN = 18.0
LEGEND_SIZE = 8.0
TICKS_MAX = 10

NO_PHASES = Phases()


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
    length_seconds = max(phases.length_seconds, 1e-3, *(span.end_seconds for span in spans))
    upper = _place_rows(-1 if phases.of_flow else 0, len(rows), length_seconds)
    lower = _place_running(upper, spans) if _has_to_count(rows, are_bars) else None
    lowest = lower or upper
    subtitle = _write_subtitle(spans, rows, are_bars, bundles) + _describe_left_out(left_out)
    told = [subtitle, describe_phases(phases, min(span.start_seconds for span in spans))]
    height = lowest.bottom + BOTTOM
    return _write_svg(
        title,
        height,
        [
            *_draw_time_axis(lowest, upper, length_seconds),
            *_label_rows(upper, rows, has_flow=bool(phases.of_flow)),
            *(draw_shades(upper, rows) if not are_bars else ()),
            *draw_phases(upper, rows, phases),
            *(draw_bars(upper, rows) if are_bars else ()),
            *(_draw_running(lower, spans) if lower else ()),
            *_write_head(title, told),
            *_draw_legend(height, list_kinds(phases), {span.succeeded for span in spans}),
            write_text(WIDTH - RIGHT, height - 37, note, 8.0, QUIET, text_anchor="end"),
        ],
    )


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


def _place_rows(top: int, rows: int, length_seconds: float) -> Plot:
    """Where the rows lie, from `top` on, the first uppermost."""
    least, most = ROWS_HEIGHT
    height = min(most, max(least, (rows - top) * ROW_HEIGHT))
    return Plot(LEFT, TOP, WIDTH - LEFT - RIGHT, height, length_seconds, top, rows)


def _place_running(upper: Plot, spans: Sequence[Span]) -> Plot:
    """Where, below the rows and where they don't say it, the number of running tasks is."""
    most = max(1.0, *(running for _, running in _count_running(spans)))
    return Plot(
        upper.left, upper.bottom + GAP, upper.width, RUNNING_HEIGHT, upper.length_seconds, 1.15 * most, 0.0
    )


def _count_running(spans: Sequence[Span]) -> Sequence[tuple[float, float]]:
    """Averages where the steps would be too fine."""
    return running_steps(spans) if 2 * len(spans) <= STEPS_MAX else running_means(spans, STEPS_MAX // 2)


def _draw_time_axis(lowest: Plot, upper: Plot, length_seconds: float) -> Iterator[str]:
    """The axis below all, its grid behind them."""
    unit_seconds, unit = _choose_time_unit(length_seconds)
    for tick in find_ticks(length_seconds / unit_seconds, TICKS_MAX):
        x = lowest.x(tick * unit_seconds)
        yield draw_line([(x, upper.top), (x, lowest.bottom + 3)], stroke=RULE, stroke_width=0.6)
        yield write_text(x, lowest.bottom + 10, f"{tick:g}", 8.0, QUIET, text_anchor="middle")
    for plot in {id(upper): upper, id(lowest): lowest}.values():
        corner = [(plot.left, plot.top), (plot.left, plot.bottom), (plot.right, plot.bottom)]
        yield draw_line(corner, stroke=RULE, stroke_width=0.8, fill="none")
    yield write_text(lowest.left, lowest.bottom + 23, f"{unit} since the run began", 9.0, QUIET)


def _label_rows(plot: Plot, rows: Sequence[ChartRow], has_flow: bool) -> Iterator[str]:
    """Name each node beside its rows, or every few nodes if there are many; draw a rule between nodes."""
    groups = group_rows(rows)
    every = -(-len(groups) // NODE_LABELS_MAX)
    places = [(at + count / 2, _shorten_label(label)) for label, at, count in groups[::every]]
    for at, label in [*places, *([(-0.5, FLOW_LABEL)] if has_flow else [])]:
        yield write_text(plot.left - 5, plot.y(at), label, 8.0, TEXT, text_anchor="end")
    if len(rows) > len(groups):
        for _, at, _ in groups[1:]:
            ends = [(plot.left, plot.y(at)), (plot.right, plot.y(at))]
            yield draw_line(ends, stroke=RULE, stroke_width=0.8)


def _shorten_label(label: str) -> str:
    """A node's id as far as there is room; of Azure's 72 characters the first few tell nodes apart."""
    label = printable(label)
    return label if len(label) <= 20 else f"{label[:14]}…{label[-2:]}"


def _draw_running(plot: Plot, spans: Sequence[Span]) -> Iterator[str]:
    """How many tasks run, as a step line over its area."""
    steps = _list_corners(plot, _count_running(spans))
    area = [(steps[0][0], plot.bottom), *steps, (steps[-1][0], plot.bottom)]
    yield draw_line(area, fill=SUCCEEDED, fill_opacity=0.25)
    yield group("running", [draw_line(steps, stroke=TEXT, stroke_width=1.1, fill="none")])
    for tick in find_ticks(plot.first, 3):
        if tick == int(tick):
            yield write_text(plot.left - 5, plot.y(tick), f"{tick:,.0f}", 8.0, QUIET, text_anchor="end")
    yield write_text(MARGIN, plot.top + plot.height / 2, "running", 9.0, QUIET)


def _list_corners(plot: Plot, steps: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of a line that goes on at each number until the next moment."""
    corners: list[tuple[float, float]] = []
    for seconds, running in steps:
        x = plot.x(seconds)
        corners += [(x, corners[-1][1])] if corners else []
        corners.append((x, plot.y(running)))
    return corners


def _write_head(title: str, told: Sequence[str]) -> Iterator[str]:
    yield write_text(MARGIN, 23.0, title, 13.0, TEXT, font_weight="bold")
    for number, line in enumerate(told):
        yield write_text(MARGIN, 44.6 + 15.8 * number, line, 9.0, QUIET)


def _draw_legend(height: float, phases: Sequence[Kind], outcomes: set[bool]) -> Iterator[str]:
    """What the colours mean that the picture has, from the right: True stands for tasks that succeeded."""
    y, x = height - 17, WIDTH - RIGHT
    kinds = [(WORDS[kind], COLOURS[kind]) for kind in phases]
    kinds += [("succeeded", SUCCEEDED)] if True in outcomes else []
    kinds += [("failed", FAILED_FILL), ("failed here", "")] if False in outcomes else []
    for words, fill in reversed(kinds):
        x -= measure_text(words, LEGEND_SIZE)
        yield write_text(x, y, words, LEGEND_SIZE, TEXT)
        if fill:
            yield element("rect", x=x - 15, y=y - 3, width=11, height=6, fill=fill)
        else:
            yield element("use", href="#mark", x=x - 9.5, y=y)
        x -= 24


def _write_svg(title: str, height: float, drawn: Iterable[str]) -> str:
    """The picture, whose text is text: small, and in the reader's fonts whatever script a name has."""
    ground = element("rect", width=WIDTH, height=height, fill=GROUND)
    return element(
        "svg",
        "".join([element("title", escape(title)), element("defs", STRIPES + MARK), ground, *drawn]),
        xmlns="http://www.w3.org/2000/svg",
        width=f"{WIDTH:.0f}pt",
        height=f"{height:.0f}pt",
        viewBox=f"0 0 {WIDTH:.2f} {height:.2f}",
        font_family=FONT,
    )
