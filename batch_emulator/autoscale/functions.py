"""The predefined functions, from the table "Functions" of the documentation page.

A doubleVecList is joined to one doubleVec before the function sees it. Of no elements avg, max, min, norm,
percentile, range, std, sum and val are 0: formulas in wide use take them of a metric without samples, and the
service does not refuse those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from batch_emulator.autoscale.problems import Problem
from batch_emulator.autoscale.times import parse_time
from batch_emulator.autoscale.values import Timestamp, Value, render, to_double, to_vector, type_name

_Vector = tuple[float, ...]


class Stopped(Exception):
    """The formula called stop(): evaluation ends here, with what has been assigned."""


@dataclass(frozen=True)
class Moment:
    """What functions may know besides their arguments."""

    now: Timestamp
    random: Random


@dataclass(frozen=True)
class Function:
    """`most` is None where any number of arguments is taken."""

    fewest: int
    most: int | None
    apply: Callable[[Sequence[Value], Moment], Value]

    def takes(self, count: int) -> bool:
        return count >= self.fewest and (self.most is None or count <= self.most)


def _average(vector: _Vector) -> float:
    return sum(vector) / len(vector)


def _deviation(vector: _Vector) -> float:
    """The sample standard deviation (divisor n - 1)."""
    if len(vector) < 2:
        return 0.0
    mean = _average(vector)
    return math.sqrt(sum((item - mean) * (item - mean) for item in vector) / (len(vector) - 1))


def _norm(vector: _Vector) -> float:
    return math.sqrt(sum(item * item for item in vector))


_SUMMARIES: dict[str, Callable[[_Vector], float]] = {
    "avg": _average,
    "max": max,
    "min": min,
    "norm": _norm,
    "range": lambda vector: max(vector) - min(vector),
    "std": _deviation,
    "sum": lambda vector: float(sum(vector)),
}


def _summary(function: Callable[[_Vector], float]) -> Function:
    def apply(arguments: Sequence[Value], _: Moment) -> Value:
        vector = to_vector(arguments)
        return function(vector) if vector else 0.0

    return Function(0, None, apply)


def _logarithm(function: Callable[[float], float]) -> Callable[[float], float]:
    """The logarithm of IEEE 754, which refuses nothing."""

    def apply(number: float) -> float:
        if number > 0:
            return function(number)
        return -math.inf if number == 0 else math.nan

    return apply


def _rounding(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda number: float(function(number)) if math.isfinite(number) else number


def _round_half_away(number: float) -> float:
    whole = math.trunc(number)
    return whole + math.copysign(1, number) if abs(number - whole) >= 0.5 else whole


_COMPONENTWISE: dict[str, Callable[[float], float]] = {
    "ceil": _rounding(math.ceil),
    "floor": _rounding(math.floor),
    "round": _rounding(_round_half_away),
    "lg": _logarithm(math.log2),
    "ln": _logarithm(math.log),
    "log": _logarithm(math.log10),
}


def _componentwise(function: Callable[[float], float]) -> Function:
    def apply(arguments: Sequence[Value], _: Moment) -> Value:
        if len(arguments) == 1 and isinstance(arguments[0], float):
            return function(arguments[0])
        return tuple(map(function, to_vector(arguments)))

    return Function(1, None, apply)


def _percentile(arguments: Sequence[Value], _: Moment) -> float:
    """The element at or below which `p` percent of the vector lies (nearest rank)."""
    ordered = sorted(to_vector(arguments[:1]))
    percent = to_double(arguments[1])
    if not 0 <= percent <= 100:
        raise Problem(f"Invalid percentile: {render(percent)}")
    return ordered[max(math.ceil(percent * len(ordered) / 100), 1) - 1] if ordered else 0.0


def _element(arguments: Sequence[Value], _: Moment) -> float:
    vector = to_vector(arguments[:1])
    index = to_double(arguments[1])
    if not vector:
        return 0.0
    if not 0 <= index < len(vector):
        raise Problem(f"Index out of range: {render(index)} of {len(vector)} elements")
    return vector[int(index)]


def _time(arguments: Sequence[Value], moment: Moment) -> Timestamp:
    text = arguments[0] if arguments else ""
    if not isinstance(text, str):
        raise Problem(f"Cannot convert {type_name(text)} to string")
    return parse_time(text) if text else moment.now


def _stop(_: Sequence[Value], __: Moment) -> Value:
    raise Stopped


FUNCTIONS: dict[str, Function] = {
    **{name: _summary(function) for name, function in _SUMMARIES.items()},
    **{name: _componentwise(function) for name, function in _COMPONENTWISE.items()},
    "len": Function(0, None, lambda arguments, _: float(len(to_vector(arguments)))),
    "percentile": Function(2, 2, _percentile),
    "rand": Function(0, 0, lambda _, moment: moment.random.random()),
    "stop": Function(0, 0, _stop),
    "time": Function(0, 1, _time),
    "val": Function(2, 2, _element),
    "vec": Function(0, None, lambda arguments, _: to_vector(arguments)),
}
