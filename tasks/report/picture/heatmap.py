"""The Batch tasks of a large run as shades: how much of each row was in use, and where tasks failed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from tasks.report.picture.failure_marks import draw_marks
from tasks.report.picture.style import FAILED, GROUND, SUCCEEDED
from tasks.report.picture.timeline import Row, running_between

BINS = 400
# A row that is in use at all is to be seen.
SHADE_MIN = 0.25


def draw_shades(axes: Axes, rows: Sequence[Row], unit_seconds: float) -> None:
    """Draw into axes whose limits are set: a line of shades for each row, marks where most tasks failed."""
    length = axes.get_xlim()[1]
    bounds = np.linspace(0, length * unit_seconds, BINS + 1)
    image = np.stack([shades(row, bounds) for row in rows])
    limits = axes.get_ylim()
    axes.imshow(image, extent=(0, length, len(rows), 0), aspect="auto", interpolation="none", zorder=1)
    axes.set(xlim=(0, length), ylim=limits)
    axes.hlines(np.arange(1, len(rows)), 0, length, GROUND, lw=min(2.0, 40 / len(rows)))
    draw_marks(axes, rows, unit_seconds)


def shades(row: Row, bounds: np.ndarray) -> np.ndarray:
    """A row's colours between the bounds, (bins, 3): towards blue or orange the more slots are in use."""
    used = running_between(row.spans, bounds)
    failed = running_between([span for span in row.spans if not span.succeeded], bounds)
    share = np.divide(failed, used, out=np.zeros_like(used), where=used > 1e-9)[:, None]
    hue = (1 - share) * to_rgb(SUCCEEDED) + share * to_rgb(FAILED)
    strength = np.clip(used / row.slots, 0, 1)
    strength = np.where(strength > 1e-9, SHADE_MIN + (1 - SHADE_MIN) * strength, 0)[:, None]
    return strength * hue + (1 - strength) * to_rgb(GROUND)
