"""Evaluating the statements of a formula, in order, on a scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from batch_emulator.autoscale.errors import place_problem
from batch_emulator.autoscale.functions import FUNCTIONS, Moment, Stopped
from batch_emulator.autoscale.metrics import METHODS, Metric, latest_value
from batch_emulator.autoscale.operators import apply_binary, apply_unary, is_true
from batch_emulator.autoscale.problems import Problem
from batch_emulator.autoscale.samples import Samples
from batch_emulator.autoscale.symbols import (
    CONSTANTS,
    DEALLOCATION_OPTIONS,
    NODE_DEALLOCATION_OPTION,
    TARGET_ALIASES,
    TARGETS,
    TIMESTAMP_FIELDS,
    metric_name,
)
from batch_emulator.autoscale.syntax import (
    Binary,
    Call,
    Conditional,
    Member,
    MethodCall,
    Name,
    Node,
    Number,
    Position,
    Statement,
    Text,
    Unary,
    Vector,
)
from batch_emulator.autoscale.values import (
    Timestamp,
    Value,
    render,
    to_datetime,
    to_double,
    to_vector,
    type_name,
)


@dataclass
class Scope:
    """What a formula can read, and what it has assigned until now, with the place of the last assignment.

    `current` holds the values of service variables before the evaluation, by their full names.
    """

    moment: Moment
    samples: Samples
    current: Mapping[str, Value]
    assigned: dict[str, Value] = field(default_factory=dict)
    places: dict[str, Position] = field(default_factory=dict)


def run(statements: Iterable[Statement], scope: Scope) -> None:
    """Evaluate to the end or to stop(); FormulaError leaves in the scope what was assigned before it."""
    try:
        for statement in statements:
            _execute(statement, scope)
    except Stopped:
        pass


def _execute(statement: Statement, scope: Scope) -> None:
    value = _evaluate(statement.value, scope)
    if statement.target is None:
        return
    try:
        scope.assigned[statement.target] = _fit(statement.target, value)
    except Problem as problem:
        raise place_problem(problem, statement.position) from None
    scope.places[statement.target] = statement.position


def _fit(target: str, value: Value) -> Value:
    """The value as the variable can hold it: numbers for targets, one of four words for the option."""
    if TARGET_ALIASES.get(target, target) in TARGETS:
        return to_double(value)
    if target == NODE_DEALLOCATION_OPTION and value not in DEALLOCATION_OPTIONS:
        raise Problem(f"Invalid value for {target}: {render(value)}")
    return value


def read_variable(name: str, scope: Scope) -> Value:
    """A variable as assigned, by its alias if that alone was assigned, or as it was before."""
    full = TARGET_ALIASES.get(name, name)
    aliases = [alias for alias, meant in TARGET_ALIASES.items() if meant == full]
    for known in (name, full, *aliases):
        if known in scope.assigned:
            return scope.assigned[known]
    return scope.current[full]


def _evaluate(node: Node, scope: Scope) -> Value:
    try:
        return _RULES[type(node)](node, scope)
    except Problem as problem:
        raise place_problem(problem, node.position) from None


def _name(node: Name, scope: Scope) -> Value:
    if node.name in CONSTANTS:
        return CONSTANTS[node.name]
    sampled = metric_name(node.name)
    if sampled is None:
        return read_variable(node.name, scope)
    if sampled in scope.current:
        return scope.current[sampled]
    return latest_value(Metric(sampled, scope.samples, scope.moment.now))


def _binary(node: Binary, scope: Scope) -> Value:
    left = _evaluate(node.left, scope)
    if node.operator in ("&&", "||"):
        settled = is_true(left) == (node.operator == "||")
        return float(is_true(left if settled else _evaluate(node.right, scope)))
    return apply_binary(node.operator, left, _evaluate(node.right, scope))


def _conditional(node: Conditional, scope: Scope) -> Value:
    chosen = node.accepted if is_true(_evaluate(node.test, scope)) else node.otherwise
    return _evaluate(chosen, scope)


def _call(node: Call, scope: Scope) -> Value:
    arguments = [_evaluate(argument, scope) for argument in node.arguments]
    return FUNCTIONS[node.function.name].apply(arguments, scope.moment)


def _method_call(node: MethodCall, scope: Scope) -> Value:
    arguments = [_evaluate(argument, scope) for argument in node.arguments]
    sampled = metric_name(node.subject.name) if isinstance(node.subject, Name) else None
    if sampled is None:
        raise Problem(f"{node.method.name} is a method of sampled variables only")
    metric = Metric(sampled, scope.samples, scope.moment.now)
    return METHODS[node.method.name].apply(metric, arguments)


def _member(node: Member, scope: Scope) -> Value:
    subject = _evaluate(node.subject, scope)
    if not isinstance(subject, Timestamp):
        raise Problem(f"{type_name(subject)} has no member {node.field.name}")
    return float(TIMESTAMP_FIELDS[node.field.name](to_datetime(subject)))


_RULES: dict[type, Callable[..., Value]] = {
    Number: lambda node, _: node.value,
    Text: lambda node, _: node.value,
    Name: _name,
    Vector: lambda node, scope: to_vector([_evaluate(item, scope) for item in node.items]),
    Unary: lambda node, scope: apply_unary(node.operator, _evaluate(node.operand, scope)),
    Binary: _binary,
    Conditional: _conditional,
    Call: _call,
    Member: _member,
    MethodCall: _method_call,
}
