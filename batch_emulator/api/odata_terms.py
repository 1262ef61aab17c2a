"""The single conditions of a `$filter`: typed literals, and comparisons compiled to closures."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from batch_emulator.api.times import parse_time

Predicate = Callable[[Any], bool]

EQUALITY = frozenset({"eq", "ne"})
ORDERING = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
TEXT = ORDERING | {"startswith"}

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}

CASELESS = frozenset({"id", "enum"})


@dataclass(frozen=True)
class Field:
    """One filterable property.

    `kind` is string, id or enum (both compared without regard to case), number, datetime or boolean; `get`
    takes the listed object to a value of that kind (ticks for datetime), or to None where it has none;
    `values`, where given, are the only ones that an enum may be compared with, in lower case.
    """

    kind: str
    get: Callable[[Any], Any]
    operators: frozenset[str] | set[str] = ORDERING
    values: frozenset[str] | None = None


class Token(NamedTuple):
    """`kind` is datetime, time, string, number, word, mark, bad or end; `value` is its text as written."""

    kind: str
    value: str
    position: int


class Comparison(NamedTuple):
    """One condition as the caller's index can use it; `value` in lower case for ids and enums.

    Beside the filter's own operators there is `in`, whose value is a frozenset.
    """

    path: str
    operator: str
    value: Any


def unquote(text: str) -> str:
    """The inside of a string literal with its doubled quotes undone."""
    return text.replace("''", "'")


def _read_string(token: Token) -> str:
    if token.kind != "string":
        raise ValueError(token.value)
    return unquote(token.value)


def _read_caseless(token: Token) -> str:
    return _read_string(token).lower()


def _read_number(token: Token) -> int | float:
    if token.kind != "number":
        raise ValueError(token.value)
    try:
        return int(token.value)
    except ValueError:
        return float(token.value)


def _read_datetime(token: Token) -> int:
    if token.kind not in ("datetime", "time"):
        raise ValueError(token.value)
    return parse_time(token.value)


def read_boolean(token: Token) -> bool:
    if token.kind != "word" or token.value.lower() not in ("true", "false"):
        raise ValueError(token.value)
    return token.value.lower() == "true"


LITERALS: dict[str, Callable[[Token], Any]] = {
    "string": _read_string,
    "id": _read_caseless,
    "enum": _read_caseless,
    "number": _read_number,
    "datetime": _read_datetime,
    "boolean": read_boolean,
}
"""Kind of field -> reader of a literal token; ValueError where the literal is of another kind."""


def compare(field: Field, name: str, literal: Any) -> Predicate:
    """The test `field name literal`; a missing value equals null alone and is in no order with anything."""
    get, test, caseless, is_ne = field.get, COMPARE[name], field.kind in CASELESS, name == "ne"

    def is_null(item: Any) -> bool:
        return get(item) is None

    def is_not_null(item: Any) -> bool:
        return get(item) is not None

    def compares(item: Any) -> bool:
        value = get(item)
        return is_ne if value is None else test(value, literal)

    def compares_caseless(item: Any) -> bool:
        value = get(item)
        return is_ne if value is None else test(value.lower(), literal)

    if literal is None:
        return {"eq": is_null, "ne": is_not_null}.get(name, lambda item: False)
    return compares_caseless if caseless else compares


def starts_with(field: Field, prefix: str) -> Predicate:
    """The test `startswith(field, prefix)`; `prefix` in lower case where the field disregards case."""
    get, caseless = field.get, field.kind in CASELESS

    def starts(item: Any) -> bool:
        value = get(item)
        return value is not None and (value.lower() if caseless else value).startswith(prefix)

    return starts


def require_all(tests: Sequence[Predicate]) -> Predicate:
    def every(item: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if not test(item):
                return False
        return True

    return every


def require_any(tests: Sequence[Predicate]) -> Predicate:
    def some(item: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if test(item):
                return True
        return False

    return some


def alternatives(branches: Sequence[tuple[Comparison, ...]]) -> tuple[Comparison, ...]:
    """What holds whichever of these branches does: operator `in` where each asks for one value of a path."""
    values = [{c.path: c.value for c in branch if c.operator == "eq"} for branch in branches]
    shared = [path for path in values[0] if all(path in each for each in values)]
    return tuple(Comparison(path, "in", frozenset(each[path] for each in values)) for path in shared)
