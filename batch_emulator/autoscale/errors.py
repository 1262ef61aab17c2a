"""What can be wrong with an autoscale formula.

FormulaError                what is wrong and where, with what had been evaluated until then
    InsufficientSampleData  a metric has fewer samples than the formula asks for
Problem                     what is wrong, before its place is known; never leaves this package
    MissingSamples          becomes InsufficientSampleData
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from batch_emulator.autoscale.evaluation import Evaluation


class Position(NamedTuple):
    """A place in a formula; line and column count characters from 1."""

    line: int
    column: int


class FormulaError(Exception):
    """The formula cannot be evaluated. Its text is the `Message` value of the service's autoscale error.

    `code` and `summary` are the `code` and `message` of that error (AutoScaleRunError of the REST API);
    `partial` holds the values that the service reports beside it, and is set by `evaluate`.
    """

    code = "AutoScalingFormulaEvaluationError"
    summary = "The specified auto-scaling formula has evaluation error"

    def __init__(self, position: Position, detail: str):
        super().__init__(f"Line {position.line}, Col {position.column}: {detail}")
        self.position = position
        self.detail = detail
        self.partial: Evaluation | None = None


class InsufficientSampleData(FormulaError):
    """A metric has fewer samples in the window than the percentage that the formula demands."""

    code = "InsufficientSampleData"
    summary = "Autoscale evaluation failed due to insufficient sample data"


class Problem(Exception):
    """Something that an operator, function or conversion refuses; the interpreter knows where."""

    reported_as = FormulaError

    def at(self, position: Position) -> FormulaError:
        return self.reported_as(position, str(self))


class MissingSamples(Problem):
    """Too few samples of a metric; both figures are percentages of those that the window could hold."""

    reported_as = InsufficientSampleData

    def __init__(self, metric: str, wanted: float, received: float):
        super().__init__(
            f"Insufficient data from data set: {metric} wanted {wanted:.6g}%, received {received:.6g}%"
        )
