"""What a formula came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batch_emulator.autoscale.symbols import (
    NODE_DEALLOCATION_OPTION,
    READ_WRITE,
    TARGET_ALIASES,
    TARGET_DEDICATED_NODES,
    TARGET_LOW_PRIORITY_NODES,
    DeallocationOption,
)
from batch_emulator.autoscale.values import Value, render


@dataclass(frozen=True)
class Evaluation:
    """What a formula came to; `variables` are those it assigned, in the order of their first assignment."""

    variables: Mapping[str, Value]
    target_dedicated_nodes: int
    target_low_priority_nodes: int
    node_deallocation_option: DeallocationOption

    @property
    def results(self) -> str:
        """`results` of the service's AutoScaleRun: its own variables, then the formula's, sorted by name."""
        service = {
            TARGET_DEDICATED_NODES: str(self.target_dedicated_nodes),
            TARGET_LOW_PRIORITY_NODES: str(self.target_low_priority_nodes),
            NODE_DEALLOCATION_OPTION: self.node_deallocation_option,
        }
        own = sorted(self.variables.keys() - {*READ_WRITE, *TARGET_ALIASES})
        values = {**service, **{name: render(self.variables[name]) for name in own}}
        return ";".join(f"{name}={value}" for name, value in values.items())
