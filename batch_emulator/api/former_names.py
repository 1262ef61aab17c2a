"""Names that properties had in API versions before 2020-09: as their clients send, select and get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_FIRST_WITH_SLOTS = "2020-09"
_FORMER = {"taskSlotsPerNode": "maxTasksPerNode"}
_TODAYS = {former: name for name, former in _FORMER.items()}


def former_name(name: str, version: str) -> str:
    """A property as the version calls it."""
    return name if version >= _FIRST_WITH_SLOTS else _FORMER.get(name, name)


def in_former_names(wire: Any, version: str) -> Any:
    """An answer as the version words it."""
    return wire if version >= _FIRST_WITH_SLOTS else _rename(wire, _FORMER)


def in_todays_names(body: Any, version: str) -> Any:
    """A body of the version in the words that this service reads."""
    return body if version >= _FIRST_WITH_SLOTS else _rename(body, _TODAYS)


def find_todays_name(body: Any, version: str) -> str | None:
    """A property in a body of the version that has its name of later versions only."""
    return None if version >= _FIRST_WITH_SLOTS else next((n for n in _names(body) if n in _FORMER), None)


def _names(value: Any) -> Iterator[str]:
    parts = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from value
        parts = value.values()
    for part in parts:
        yield from _names(part)


def _rename(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_rename(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    return {names.get(name, name): _rename(part, names) for name, part in value.items()}
