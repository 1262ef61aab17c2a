"""Operators: which types each takes, from the table "Operations" of the documentation page.

A doubleVec of one element stands for its element where the table has no row for the doubleVec.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from batch_emulator.autoscale.problems import Problem
from batch_emulator.autoscale.values import (
    TimeInterval,
    Timestamp,
    Value,
    to_double,
    type_name,
    unwrap,
)

_Doubles = Callable[[float, float], float]
_Rule = Callable[..., Value]


def _divide(dividend: float, divisor: float) -> float:
    """Division of IEEE 754: by zero gives an infinity or not-a-number, never an error."""
    if divisor:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def _each_with_each(function: _Doubles) -> _Rule:
    def combine(left: tuple[float, ...], right: tuple[float, ...]) -> Value:
        if len(left) != len(right):
            raise Problem(f"The doubleVecs have different lengths: {len(left)} and {len(right)}")
        return tuple(map(function, left, right))

    return combine


def _rules_of_doubles(function: _Doubles) -> dict[tuple[type, type], _Rule]:
    return {
        (float, float): function,
        (tuple, float): lambda vector, number: tuple(function(item, number) for item in vector),
        (float, tuple): lambda number, vector: tuple(function(number, item) for item in vector),
        (tuple, tuple): _each_with_each(function),
    }


def _interval(ticks: float) -> TimeInterval:
    if not math.isfinite(ticks):
        raise Problem("The timeinterval is out of range")
    return TimeInterval(round(ticks))


_ARITHMETIC: dict[str, dict[tuple[type, type], _Rule]] = {
    "+": {
        **_rules_of_doubles(operator.add),
        (TimeInterval, TimeInterval): lambda left, right: TimeInterval(left.ticks + right.ticks),
        (TimeInterval, Timestamp): lambda left, right: Timestamp(left.ticks + right.ticks),
        (Timestamp, TimeInterval): lambda left, right: Timestamp(left.ticks + right.ticks),
    },
    "-": {
        **_rules_of_doubles(operator.sub),
        (TimeInterval, TimeInterval): lambda left, right: TimeInterval(left.ticks - right.ticks),
        (Timestamp, Timestamp): lambda left, right: TimeInterval(left.ticks - right.ticks),
    },
    "*": {
        **_rules_of_doubles(operator.mul),
        (TimeInterval, float): lambda interval, factor: _interval(interval.ticks * factor),
        (float, TimeInterval): lambda factor, interval: _interval(factor * interval.ticks),
    },
    "/": {
        **_rules_of_doubles(_divide),
        (TimeInterval, float): lambda interval, divisor: _interval(_divide(interval.ticks, divisor)),
    },
}

_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
    "!=": operator.ne,
}


def apply_binary(mark: str, left: Value, right: Value) -> Value:
    """The value of `left mark right`, for all but `&&` and `||`; Problem for types that it does not take."""
    if mark in _COMPARISONS:
        return _compare(mark, unwrap(left), unwrap(right))
    rules = _ARITHMETIC[mark]
    rule = rules.get((type(left), type(right)))
    if rule is None:
        left, right = unwrap(left), unwrap(right)
        rule = rules.get((type(left), type(right)))
    if rule is None:
        raise _mismatch(mark, left, right)
    return rule(left, right)


def _compare(mark: str, left: Value, right: Value) -> float:
    if type(left) is not type(right) or isinstance(left, tuple):
        raise _mismatch(mark, left, right)
    return float(_COMPARISONS[mark](left, right))


def _mismatch(mark: str, left: Value, right: Value) -> Problem:
    return Problem(f"Operator '{mark}' cannot be applied to {type_name(left)} and {type_name(right)}")


def apply_unary(mark: str, operand: Value) -> Value:
    """The value of `-operand` or `!operand`."""
    if mark == "!":
        return float(not is_true(operand))
    if isinstance(operand, TimeInterval):
        return TimeInterval(-operand.ticks)
    return -to_double(operand)


def is_true(value: Value) -> bool:
    """Nonzero is true, as the documentation says of the ternary operator."""
    return to_double(value) != 0
