"""Colours and shapes of the picture of a run."""

GROUND, TEXT, QUIET, RULE = "#161b25", "#eceff4", "#aab4c5", "#343e51"
# Told apart by those who are colour-blind, of whatever kind, and not by hue alone.
SUCCEEDED, FAILED = "#56b4e9", "#f2802e"
SUCCEEDED_LOOK = {"facecolor": SUCCEEDED, "edgecolor": GROUND}
FAILED_LOOK = {"facecolor": FAILED, "edgecolor": "#431400", "hatch": "//////"}
MARK_LOOK = {
    "linestyle": "none",
    "marker": "X",
    "markersize": 6.5,
    "markerfacecolor": "#ffffff",
    "markeredgecolor": "#431400",
    "markeredgewidth": 0.9,
}


def printable(text: str) -> str:
    """The text with a mark in the place of what XML or a line can't hold; file names are data."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
