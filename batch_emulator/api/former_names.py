"""Names that properties had in API versions before 2020-09: as their clients send and expect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIRST_WITH_SLOTS = "2020-09"
_FORMER = {"taskSlotsPerNode": "maxTasksPerNode"}
_TODAYS = {former: name for name, former in _FORMER.items()}


def in_former_names(wire: Any, version: str) -> Any:
    """An answer as the version words it."""
    return wire if version >= _FIRST_WITH_SLOTS else _rename(wire, _FORMER)


def in_todays_names(body: Any, version: str) -> Any:
    """A body of the version in the words that this service reads."""
    return body if version >= _FIRST_WITH_SLOTS else _rename(body, _TODAYS)


def _rename(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_rename(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    return {names.get(name, name): _rename(part, names) for name, part in value.items()}
