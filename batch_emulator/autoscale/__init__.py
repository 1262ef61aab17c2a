"""The autoscale formula language of Azure Batch, as a pure function of formula, time, samples and pool.

Source: the documentation page "Create a formula to automatically scale compute nodes in a Batch pool".
What is supported, and where it may differ from the service, stands in docs/autoscale.md.
"""

from batch_emulator.autoscale.errors import FormulaError, InsufficientSampleData
from batch_emulator.autoscale.evaluation import evaluate
from batch_emulator.autoscale.results import Evaluation
from batch_emulator.autoscale.samples import SAMPLE_PERIOD_SECONDS, Samples
from batch_emulator.autoscale.symbols import METRICS
from batch_emulator.autoscale.syntax import Position

__all__ = [
    "METRICS",
    "SAMPLE_PERIOD_SECONDS",
    "Evaluation",
    "FormulaError",
    "InsufficientSampleData",
    "Position",
    "Samples",
    "evaluate",
]
