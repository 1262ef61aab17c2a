"""Marks where Batch tasks failed, in the picture of a run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from tasks.report.picture.style import MARK_LOOK
from tasks.report.picture.timeline import Row, failed_cells

# More would hide what they stand on, and each takes 170 bytes.
MARKS_MAX = 250
BINS = (80, 40, 20, 10, 5)


def draw_marks(axes: Axes, rows: Sequence[Row], unit_seconds: float) -> None:
    """Draw into axes whose limits are set."""
    places = failed_places(rows, axes.get_xlim()[1] * unit_seconds)
    if places:
        seconds, at = np.array(places).T
        axes.plot(seconds / unit_seconds, at, **MARK_LOOK, clip_on=False, gid="failures")


def failed_places(rows: Sequence[Row], length_seconds: float) -> list[tuple[float, float]]:
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
    for bins in BINS:
        cells = failed_cells(rows, np.linspace(0, length_seconds, bins + 1))
        if len(cells) <= MARKS_MAX:
            break
    return [((bin_ + 0.5) * length_seconds / bins, at + 0.5) for at, bin_ in cells]
