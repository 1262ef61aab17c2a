"""What can be wrong with an autoscale formula.

FormulaError                what is wrong and where, with what had been evaluated until then
    InsufficientSampleData  a metric has fewer samples than the formula asks for
"""

from __future__ import annotations

from batch_emulator.autoscale.problems import MissingSamples, Problem
from batch_emulator.autoscale.results import Evaluation
from batch_emulator.autoscale.syntax import Position


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


def place_problem(problem: Problem, position: Position) -> FormulaError:
    """The error that tells of a problem, now that its place is known."""
    kind = InsufficientSampleData if isinstance(problem, MissingSamples) else FormulaError
    return kind(position, str(problem))
