"""The rows of the chart, drawn: Batch tasks as bars or, in a large run, as shades; marks for failures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from tasks.report.picture.timeline import ChartRow, Span, failed_cells, running_between

GROUND, TEXT, QUIET, RULE = "#161b25", "#eceff4", "#aab4c5", "#343e51"
# Told apart by those who are colour-blind, of whatever kind, and not by hue alone.
SUCCEEDED, FAILED = "#56b4e9", "#f2802e"
SUCCEEDED_LOOK: dict[str, Any] = {"facecolor": SUCCEEDED, "edgecolor": GROUND}
FAILED_LOOK: dict[str, Any] = {"facecolor": FAILED, "edgecolor": "#431400", "hatch": "//////"}
MARK_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": "X",
    "markersize": 6.5,
    "markerfacecolor": "#ffffff",
    "markeredgecolor": "#431400",
    "markeredgewidth": 0.9,
}

# A task of a moment in a run of hours is to be seen too.
BAR_WIDTH_MIN = 1 / 600
BAR_MARGIN = 0.14
NAMES_MAX = 150
NAME_LETTERS_MIN = 7
NAME_POINTS = 8.0
ROW_POINTS_MIN = 9.0
# The width of an average letter as a share of the font's size.
LETTER = 0.6
POINTS_PER_INCH = 72

SHADE_BINS = 400
# A row that is in use at all is to be seen.
SHADE_MIN = 0.25

# More would hide what they stand on, and each takes 170 bytes.
MARKS_MAX = 250
MARK_BINS = (80, 40, 20, 10, 5)


def draw_bars(axes: Axes, rows: Sequence[ChartRow], unit_seconds: float) -> None:
    """Draw into axes whose limits are set: failed tasks with a mark at their end, wide bars with a name."""
    bars = [(number, span) for number, row in enumerate(rows) for span in row.spans]
    line = min(1.0, 40 / max(len(row.spans) for row in rows))
    for succeeded, look in ((True, SUCCEEDED_LOOK), (False, FAILED_LOOK)):
        boxes = [
            _bar_corners(axes, at, span, unit_seconds) for at, span in bars if span.succeeded == succeeded
        ]
        if boxes:
            path = Path.make_compound_path_from_polys(np.array(boxes))
            axes.add_patch(
                PathPatch(path, gid="succeeded" if succeeded else "failed", linewidth=line, **look)
            )
    _draw_marks(axes, rows, unit_seconds)
    for at, span, name in _names_that_fit(axes, bars, unit_seconds):
        ground = SUCCEEDED if span.succeeded else FAILED
        _write_name(axes, at, span.start_seconds / unit_seconds, name, ground)


def _bar_corners(axes: Axes, at: int, span: Span, unit_seconds: float) -> list[tuple[float, float]]:
    """The corners of a task's bar."""
    length = axes.get_xlim()[1]
    left, right = span.start_seconds / unit_seconds, span.end_seconds / unit_seconds
    left = min(left, length * (1 - BAR_WIDTH_MIN))
    right = max(right, left + length * BAR_WIDTH_MIN)
    top, bottom = at + BAR_MARGIN, at + 1 - BAR_MARGIN
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _names_that_fit(
    axes: Axes, bars: Sequence[tuple[int, Span]], unit_seconds: float
) -> Iterator[tuple[int, Span, str]]:
    """The bars that are wide enough for (a part of) their names; none where there would be too many."""
    width, height = axes.get_position().size * _measure_figure(axes) * POINTS_PER_INCH
    rows, length = axes.get_ylim()[0] - axes.get_ylim()[1], axes.get_xlim()[1]
    if len(bars) > NAMES_MAX or height / rows < ROW_POINTS_MIN:
        return
    for at, span in bars:
        points = (span.end_seconds - span.start_seconds) / unit_seconds / length * width
        # A mark stands at the end of one that failed.
        letters = int((points - (6 if span.succeeded else 12)) / (NAME_POINTS * LETTER))
        if letters >= min(NAME_LETTERS_MIN, len(span.name)):
            yield at, span, _shorten(printable(span.name), letters)


def _measure_figure(axes: Axes) -> np.ndarray:
    """The size in inches of the figure that the axes are in."""
    figure = axes.get_figure(root=True)
    return np.zeros(2) if figure is None else figure.get_size_inches()


def _shorten(name: str, letters: int) -> str:
    """The end of the name where the whole is too long: files of one run mostly begin alike."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def _write_name(axes: Axes, at: int, x: float, name: str, ground: str) -> None:
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


def draw_shades(axes: Axes, rows: Sequence[ChartRow], unit_seconds: float) -> None:
    """Draw into axes whose limits are set: a line of shades for each row, marks where most tasks failed."""
    length = axes.get_xlim()[1]
    bounds = np.linspace(0, length * unit_seconds, SHADE_BINS + 1)
    image = np.stack([_shade_row(row, bounds) for row in rows])
    limits = axes.get_ylim()
    axes.imshow(image, extent=(0, length, len(rows), 0), aspect="auto", interpolation="none", zorder=1)
    axes.set(xlim=(0, length), ylim=limits)
    axes.hlines(np.arange(1, len(rows)), 0, length, GROUND, lw=min(2.0, 40 / len(rows)))
    _draw_marks(axes, rows, unit_seconds)


def _shade_row(row: ChartRow, bounds: np.ndarray) -> np.ndarray:
    """A row's colours between the bounds, (bins, 3): towards blue or orange the more slots are in use."""
    used = running_between(row.spans, bounds)
    failed = running_between([span for span in row.spans if not span.succeeded], bounds)
    share = np.divide(failed, used, out=np.zeros_like(used), where=used > 1e-9)[:, None]
    hue = (1 - share) * to_rgb(SUCCEEDED) + share * to_rgb(FAILED)
    strength = np.clip(used / row.slots, 0, 1)
    strength = np.where(strength > 1e-9, SHADE_MIN + (1 - SHADE_MIN) * strength, 0)[:, None]
    return strength * hue + (1 - strength) * to_rgb(GROUND)


def _draw_marks(axes: Axes, rows: Sequence[ChartRow], unit_seconds: float) -> None:
    """Draw into axes whose limits are set."""
    places = _place_marks(rows, axes.get_xlim()[1] * unit_seconds)
    if places:
        seconds, at = np.array(places).T
        axes.plot(seconds / unit_seconds, at, **MARK_LOOK, clip_on=False, gid="failures")


def _place_marks(rows: Sequence[ChartRow], length_seconds: float) -> list[tuple[float, float]]:
    """Where marks belong, as (seconds, row): at the end of each failed task or, if these are too many, one
    for all that are near each other in a row."""
    ends = [
        (span.end_seconds, at + 0.5)
        for at, row in enumerate(rows)
        for span in row.spans
        if not span.succeeded
    ]
    if len(ends) <= MARKS_MAX:
        return ends
    bins, cells = 1, set()
    for bins in MARK_BINS:
        cells = failed_cells(rows, np.linspace(0, length_seconds, bins + 1))
        if len(cells) <= MARKS_MAX:
            break
    return [((bin_ + 0.5) * length_seconds / bins, at + 0.5) for at, bin_ in cells]


def printable(text: str) -> str:
    """The text with a mark in the place of what XML or a line can't hold; file names are data."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
