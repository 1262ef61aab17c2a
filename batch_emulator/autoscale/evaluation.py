"""Evaluating a formula: what the service computes for `evaluateautoscale` and at each autoscale interval."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import cast

from batch_emulator.autoscale.errors import FormulaError, place_problem
from batch_emulator.autoscale.functions import Moment
from batch_emulator.autoscale.interpreter import Scope, read_variable, run
from batch_emulator.autoscale.names import check_names
from batch_emulator.autoscale.parser import parse
from batch_emulator.autoscale.problems import Problem
from batch_emulator.autoscale.results import Evaluation
from batch_emulator.autoscale.samples import Samples
from batch_emulator.autoscale.symbols import (
    NODE_DEALLOCATION_OPTION,
    TARGET_ALIASES,
    TARGET_DEDICATED_NODES,
    TARGET_LOW_PRIORITY_NODES,
    TARGETS,
    DeallocationOption,
)
from batch_emulator.autoscale.syntax import Position
from batch_emulator.autoscale.values import Value, from_datetime, to_double, to_integer

_MAX_NODES = 2**31 - 1


def evaluate(
    formula: str, *, now: datetime, samples: Samples, current: Mapping[str, float | str]
) -> Evaluation:
    """Evaluate `formula` at `now`, a pure function of its arguments (rand() too: it is drawn from `now`).

    `current` holds the pool's present values of $TargetDedicatedNodes, $TargetLowPriorityNodes and
    $NodeDeallocationOption (0, 0 and requeue where left out), which stand where the formula assigns none.
    It may hold the present value of any read-only service variable ($CurrentDedicatedNodes,
    $TaskSlotsPerNode, ...) for its use as a number; without one its last sample is taken.
    Raises FormulaError and nothing else.
    """
    scope = Scope(
        moment=Moment(from_datetime(now), Random(now.isoformat())),
        samples=samples,
        current=_complete(current),
    )
    try:
        statements = parse(formula)
        check_names(statements)
        run(statements, scope)
        return _evaluation(scope, {name: _settled_target(name, scope) for name in TARGETS})
    except FormulaError as error:
        error.partial = _evaluation(scope, {name: _salvaged_target(name, scope) for name in TARGETS})
        raise


def _complete(current: Mapping[str, float | str]) -> dict[str, Value]:
    given = {name: value if isinstance(value, str) else float(value) for name, value in current.items()}
    return {
        TARGET_DEDICATED_NODES: 0.0,
        TARGET_LOW_PRIORITY_NODES: 0.0,
        NODE_DEALLOCATION_OPTION: "requeue",
    } | given


def _evaluation(scope: Scope, targets: Mapping[str, int]) -> Evaluation:
    return Evaluation(
        variables=dict(scope.assigned),
        target_dedicated_nodes=targets[TARGET_DEDICATED_NODES],
        target_low_priority_nodes=targets[TARGET_LOW_PRIORITY_NODES],
        node_deallocation_option=cast(DeallocationOption, read_variable(NODE_DEALLOCATION_OPTION, scope)),
    )


def _settled_target(name: str, scope: Scope) -> int:
    try:
        return _to_nodes(name, scope)
    except Problem as problem:
        raise place_problem(problem, _place(name, scope)) from None


def _salvaged_target(name: str, scope: Scope) -> int:
    """The target assigned before the error, or the present one where that is no number of nodes."""
    try:
        return _to_nodes(name, scope)
    except Problem:
        return int(to_double(scope.current[name]))


def _to_nodes(name: str, scope: Scope) -> int:
    nodes = to_integer(read_variable(name, scope), name)
    if not 0 <= nodes <= _MAX_NODES:
        raise Problem(f"Invalid value for {name}: {nodes}")
    return nodes


def _place(name: str, scope: Scope) -> Position:
    aliases = (alias for alias, meant in TARGET_ALIASES.items() if meant == name)
    return next((scope.places[known] for known in (name, *aliases) if known in scope.places), Position(1, 1))
