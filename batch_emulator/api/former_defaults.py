"""Defaults of API versions before 2019-08: what their clients get where they say nothing, and are not told.

Source: the change log of the official client 8.0, and answers recorded in December 2018.
"""

from __future__ import annotations

from typing import Any

_FIRST_WITH_TODAYS = "2019-08"
_UNTOLD = {("autoUser", "scope"): "pool", ("networkConfiguration", "dynamicVNetAssignmentScope"): "none"}
"""Part and property -> the default that the version does not tell."""


def with_former_defaults(body: Any, version: str) -> Any:
    """A body of the version with its own defaults: a node did not wait for its start task to succeed."""
    return body if version >= _FIRST_WITH_TODAYS else _filled(body)


def _filled(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if not isinstance(value, dict):
        return value
    filled = {name: _filled(part) for name, part in value.items()}
    if isinstance(filled.get("startTask"), dict):
        filled["startTask"].setdefault("waitForSuccess", False)
    return filled


def without_untold(wire: Any, version: str) -> Any:
    """An answer without the defaults that the version does not tell."""
    return wire if version >= _FIRST_WITH_TODAYS else _told(wire)


def _told(value: Any, part: str = "") -> Any:
    if isinstance(value, list):
        return [_told(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _told(inner, name) for name, inner in value.items() if not _is_untold(part, name, inner)}


def _is_untold(part: str, name: str, value: Any) -> bool:
    return (part, name) in _UNTOLD and value == _UNTOLD[part, name]
