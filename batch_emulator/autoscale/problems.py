"""What an operator, function or conversion refuses, before its place in the formula is known.

Problem             what is wrong; `errors.place_problem` makes a FormulaError of it
    MissingSamples  becomes InsufficientSampleData

Nothing of these leaves the package.
"""

from __future__ import annotations


class Problem(Exception):
    """Something that an operator, function or conversion refuses; the interpreter knows where."""


class MissingSamples(Problem):
    """Too few samples of a metric; both figures are percentages of those that the window could hold."""

    def __init__(self, metric: str, wanted: float, received: float):
        super().__init__(
            f"Insufficient data from data set: {metric} wanted {wanted:.6g}%, received {received:.6g}%"
        )
