"""Whether every name of a formula is defined where it is used, also in branches that are not evaluated."""

from __future__ import annotations

from collections.abc import Iterable

from batch_emulator.autoscale.errors import FormulaError
from batch_emulator.autoscale.functions import FUNCTIONS, Function
from batch_emulator.autoscale.metrics import METHODS, Method
from batch_emulator.autoscale.symbols import (
    CONSTANTS,
    READ_WRITE,
    TARGET_ALIASES,
    TIMESTAMP_FIELDS,
    metric_name,
)
from batch_emulator.autoscale.syntax import Call, Member, MethodCall, Name, Node, Position, Statement, walk


def check_names(statements: Iterable[Statement]) -> None:
    """FormulaError at the first name that is not defined, or not assignable, where it stands."""
    defined: set[str] = {*READ_WRITE, *TARGET_ALIASES, *CONSTANTS}
    for statement in statements:
        if statement.target is not None:
            _check_target(statement.target, statement.position)
        for node in walk(statement.value):
            _check_node(node, defined)
        if statement.target is not None:
            defined.add(statement.target)


def _check_target(target: str, position: Position) -> None:
    if target in CONSTANTS or metric_name(target):
        raise FormulaError(position, f"Cannot assign to read-only symbol: {target}")


def _check_node(node: Node, defined: set[str]) -> None:
    match node:
        case Name():
            _check_name(node, defined)
        case Call():
            _check_call(node, node.function, FUNCTIONS)
        case MethodCall():
            _check_subject(node, defined)
            _check_call(node, node.method, METHODS)
        case Member():
            if node.field.name not in TIMESTAMP_FIELDS:
                raise _undefined(node.field)


def _check_name(name: Name, defined: set[str]) -> None:
    if name.name not in defined and not metric_name(name.name):
        raise _undefined(name)


def _check_subject(node: MethodCall, defined: set[str]) -> None:
    if isinstance(node.subject, Name):
        _check_name(node.subject, defined)
        if metric_name(node.subject.name):
            return
    raise FormulaError(node.method.position, f"{node.method.name} is a method of sampled variables only")


def _check_call(node: Call | MethodCall, name: Name, known: dict[str, Function] | dict[str, Method]) -> None:
    if name.name not in known:
        raise _undefined(name)
    if not known[name.name].takes(len(node.arguments)):
        raise FormulaError(node.position, f"Wrong number of arguments for {name.name}: {len(node.arguments)}")


def _undefined(name: Name) -> FormulaError:
    return FormulaError(name.position, f"Undefined symbol: {name.name}")
