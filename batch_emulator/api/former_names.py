"""Names that properties had in earlier API versions: as their clients send, select and get them.

Source: the change logs of the official clients, and recorded answers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

_FORMER = {"taskSlotsPerNode": ("maxTasksPerNode", "2020-09"), "httpUrl": ("blobSource", "2018-12")}
"""Today's name -> the former one, and the first API version that has today's."""

_LAST_CHANGE = max(first for _, first in _FORMER.values())


@functools.lru_cache(maxsize=64)
def _former(version: str) -> Mapping[str, str]:
    """Today's names of what the version calls otherwise, and how."""
    return {name: former for name, (former, first) in _FORMER.items() if version < first}


def former_name(name: str, version: str) -> str:
    """A property as the version calls it."""
    return _former(version).get(name, name)


def in_former_names(wire: Any, version: str) -> Any:
    """An answer as the version words it."""
    return wire if version >= _LAST_CHANGE else _rename(wire, _former(version))


def in_todays_names(body: Any, version: str) -> Any:
    """A body of the version in the words that this service reads."""
    if version >= _LAST_CHANGE:
        return body
    return _rename(body, {former: name for name, former in _former(version).items()})


def find_todays_name(body: Any, version: str) -> str | None:
    """A property in a body of the version that has its name of later versions only."""
    return (
        next((name for name in _names(body) if name in _former(version)), None) if _former(version) else None
    )


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
