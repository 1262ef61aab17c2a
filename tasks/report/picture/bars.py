"""Each Batch task of a run as a bar in the row of its slot."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from tasks.report.picture.failure_marks import draw_marks
from tasks.report.picture.style import FAILED, FAILED_LOOK, GROUND, SUCCEEDED, SUCCEEDED_LOOK, printable
from tasks.report.picture.timeline import Row, Span

# A task of a moment in a run of hours is to be seen too.
WIDTH_MIN = 1 / 600
MARGIN = 0.14
NAMES_MAX = 150
NAME_LETTERS_MIN = 7
NAME_POINTS = 8.0
ROW_POINTS_MIN = 9.0
# The width of an average letter as a share of the font's size.
LETTER = 0.6
POINTS_PER_INCH = 72


def draw_bars(axes: Axes, rows: Sequence[Row], unit_seconds: float) -> None:
    """Draw into axes whose limits are set: failed tasks with a mark at their end, wide bars with a name."""
    bars = [(number, span) for number, row in enumerate(rows) for span in row.spans]
    line = min(1.0, 40 / max(len(row.spans) for row in rows))
    for succeeded, look in ((True, SUCCEEDED_LOOK), (False, FAILED_LOOK)):
        boxes = [box(axes, at, span, unit_seconds) for at, span in bars if span.succeeded == succeeded]
        if boxes:
            path = Path.make_compound_path_from_polys(np.array(boxes))
            axes.add_patch(
                PathPatch(path, gid="succeeded" if succeeded else "failed", linewidth=line, **look)
            )
    draw_marks(axes, rows, unit_seconds)
    for at, span, name in names_that_fit(axes, bars, unit_seconds):
        ground = SUCCEEDED if span.succeeded else FAILED
        write_name(axes, at, span.start_seconds / unit_seconds, name, ground)


def box(axes: Axes, at: int, span: Span, unit_seconds: float) -> list[tuple[float, float]]:
    """The corners of a task's bar."""
    length = axes.get_xlim()[1]
    left, right = span.start_seconds / unit_seconds, span.end_seconds / unit_seconds
    left = min(left, length * (1 - WIDTH_MIN))
    right = max(right, left + length * WIDTH_MIN)
    top, bottom = at + MARGIN, at + 1 - MARGIN
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def names_that_fit(
    axes: Axes, bars: Sequence[tuple[int, Span]], unit_seconds: float
) -> Iterator[tuple[int, Span, str]]:
    """The bars that are wide enough for (a part of) their names; none where there would be too many."""
    width, height = axes.get_position().size * axes.figure.get_size_inches() * POINTS_PER_INCH
    rows, length = axes.get_ylim()[0], axes.get_xlim()[1]
    if len(bars) > NAMES_MAX or height / rows < ROW_POINTS_MIN:
        return
    for at, span in bars:
        points = (span.end_seconds - span.start_seconds) / unit_seconds / length * width
        # A mark stands at the end of one that failed.
        letters = int((points - (6 if span.succeeded else 12)) / (NAME_POINTS * LETTER))
        if letters >= min(NAME_LETTERS_MIN, len(span.name)):
            yield at, span, shortened(printable(span.name), letters)


def shortened(name: str, letters: int) -> str:
    """The end of the name where the whole is too long: files of one run mostly begin alike."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def write_name(axes: Axes, at: int, x: float, name: str, ground: str) -> None:
    """Write into a bar; a ground of its colour keeps the name legible where the bar has a pattern."""
    axes.annotate(
        name,
        (x, at + 0.5),
        (4, 0),
        textcoords="offset points",
        size=NAME_POINTS,
        color=GROUND,
        va="center_baseline",
        parse_math=False,
        bbox={"facecolor": ground, "linewidth": 0, "pad": 1.2},
    )
