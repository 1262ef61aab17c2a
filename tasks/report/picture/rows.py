"""The rows of the chart, drawn: Batch tasks as bars or, in a large run, as shades; marks for failures."""

from collections.abc import Iterator, Sequence

from tasks.report.picture.svg import (
    LETTER,
    Box,
    Plot,
    draw_boxes,
    draw_line,
    draw_pixels,
    element,
    group,
    measure_text,
    write_text,
)
from tasks.report.picture.timeline import ChartRow, Span, divide, failed_cells, running_between

GROUND, TEXT, QUIET, RULE = "#161b25", "#eceff4", "#aab4c5", "#343e51"
# Told apart by those who are colour-blind, of whatever kind, and not by hue alone.
SUCCEEDED, FAILED, FAILED_EDGE = "#56b4e9", "#f2802e", "#431400"
STRIPES = element(
    "pattern",
    element("path", d="M0 0H5V5H0z", fill=FAILED)
    + element("path", d="M-1 1L1 -1M0 5L5 0M4 6L6 4", stroke=FAILED_EDGE),
    id="stripes",
    width=5,
    height=5,
    patternUnits="userSpaceOnUse",
)
_CROSS = "M-2.5 -2.5L2.5 2.5M-2.5 2.5L2.5 -2.5"
MARK = element(
    "g",
    element("path", d=_CROSS, stroke=FAILED_EDGE, stroke_width=3.8, stroke_linecap="square")
    + element("path", d=_CROSS, stroke="#ffffff", stroke_width=2, stroke_linecap="square"),
    id="mark",
)
FAILED_FILL = "url(#stripes)"

# A task of a moment in a run of hours is to be seen too.
BAR_WIDTH_MIN = 1 / 600
BAR_MARGIN = 0.14
NAMES_MAX = 150
NAME_LETTERS_MIN = 7
NAME_SIZE = 8.0
ROW_HEIGHT_MIN = 9.0

SHADE_BINS = 400
# A row that is in use at all is to be seen.
SHADE_MIN = 0.25

_BLUE, _ORANGE, _DARK = (bytes.fromhex(colour[1:]) for colour in (SUCCEEDED, FAILED, GROUND))

# More would hide what they stand on, and each takes some 50 bytes.
MARKS_MAX = 250
MARK_BINS = (80, 40, 20, 10, 5)


def draw_bars(plot: Plot, rows: Sequence[ChartRow]) -> Iterator[str]:
    """A bar a task: failed ones with a mark at their end, wide ones with a name."""
    bars = [(number, span) for number, row in enumerate(rows) for span in row.spans]
    line = min(1.0, 40 / max(len(row.spans) for row in rows))
    for succeeded, name, fill, edge in (
        (True, "succeeded", SUCCEEDED, GROUND),
        (False, "failed", FAILED_FILL, FAILED_EDGE),
    ):
        boxes = (_find_box(plot, at, span) for at, span in bars if span.succeeded == succeeded)
        yield draw_boxes(name, boxes, fill=fill, stroke=edge, stroke_width=line)
    yield _draw_marks(plot, rows)
    for at, span, name in _names_that_fit(plot, bars):
        yield from _write_name(plot, at, span, name)


def _find_box(plot: Plot, at: int, span: Span) -> Box:
    """Where a task's bar lies."""
    least = plot.width * BAR_WIDTH_MIN
    left = min(plot.x(span.start_seconds), plot.right - least)
    right = max(plot.x(span.end_seconds), left + least)
    return left, plot.y(at + BAR_MARGIN), right, plot.y(at + 1 - BAR_MARGIN)


def _names_that_fit(plot: Plot, bars: Sequence[tuple[int, Span]]) -> Iterator[tuple[int, Span, str]]:
    """The bars that are wide enough for (a part of) their names; none where there would be too many."""
    if len(bars) > NAMES_MAX or plot.height / (plot.last - plot.first) < ROW_HEIGHT_MIN:
        return
    for at, span in bars:
        width = plot.x(span.end_seconds) - plot.x(span.start_seconds)
        # A mark stands at the end of one that failed.
        letters = int((width - (6 if span.succeeded else 12)) / (NAME_SIZE * LETTER))
        if letters >= min(NAME_LETTERS_MIN, len(span.name)):
            yield at, span, _shorten(printable(span.name), letters)


def _shorten(name: str, letters: int) -> str:
    """The end of the name where the whole is too long: files of one run mostly begin alike."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def _write_name(plot: Plot, at: int, span: Span, name: str) -> Iterator[str]:
    """Write into a bar; where that has a pattern, a ground of its colour keeps the name legible."""
    x, y = plot.x(span.start_seconds) + 4, plot.y(at + 0.5)
    if not span.succeeded:
        width = measure_text(name, NAME_SIZE)
        yield element("rect", x=x - 1.2, y=y - 5, width=width + 2.4, height=10, fill=FAILED)
    yield write_text(x, y, name, NAME_SIZE, GROUND)


def draw_shades(plot: Plot, rows: Sequence[ChartRow]) -> Iterator[str]:
    """A line of shades for each row, marks where most tasks failed."""
    bounds = divide(plot.length_seconds, SHADE_BINS)
    yield draw_pixels(plot, [_shade_row(row, bounds) for row in rows], plot.bottom - plot.y(0))
    for at in range(1, len(rows)):
        ends = [(plot.left, plot.y(at)), (plot.right, plot.y(at))]
        yield draw_line(ends, stroke=GROUND, stroke_width=min(2.0, 40 / len(rows)))
    yield _draw_marks(plot, rows)


def _shade_row(row: ChartRow, bounds: Sequence[float]) -> list[tuple[int, int, int]]:
    """A row's colours between the bounds: towards blue or orange the more slots are in use."""
    used = running_between(row.spans, bounds)
    failed = running_between([span for span in row.spans if not span.succeeded], bounds)
    return [
        _shade(busy / row.slots, bad / busy if busy > 1e-9 else 0.0)
        for busy, bad in zip(used, failed, strict=True)
    ]


def _shade(share_used: float, share_failed: float) -> tuple[int, int, int]:
    strength = SHADE_MIN + (1 - SHADE_MIN) * min(1.0, share_used) if share_used > 1e-9 else 0.0
    hue = _mix(_BLUE, _ORANGE, min(1.0, max(0.0, share_failed)))
    red, green, blue = (round(part) for part in _mix(_DARK, hue, strength))
    return red, green, blue


def _mix(one: Sequence[float], other: Sequence[float], share_other: float) -> list[float]:
    return [(1 - share_other) * a + share_other * b for a, b in zip(one, other, strict=True)]


def _draw_marks(plot: Plot, rows: Sequence[ChartRow]) -> str:
    places = _place_marks(rows, plot.length_seconds)
    marks = [element("use", href="#mark", x=plot.x(seconds), y=plot.y(at)) for seconds, at in places]
    return group("failures", marks) if marks else ""


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
        cells = failed_cells(rows, divide(length_seconds, bins))
        if len(cells) <= MARKS_MAX:
            break
    return [((bin_ + 0.5) * length_seconds / bins, at + 0.5) for at, bin_ in cells]


def printable(text: str) -> str:
    """The text with a mark in the place of what XML or a line can't hold; file names are data."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
