"""Passwords of container registries: kept to pull images, told to nobody."""

from __future__ import annotations

from typing import Any

import orjson

from batch_emulator.resources.model import Wire

_NAME = "password"
_ENCODED_NAME = f'"{_NAME}":'.encode()
_REGISTRIES = frozenset({"registry", "containerRegistries"})


def encode(wire: Wire) -> bytes:
    """An answer as JSON. All that tell of resources come by here: nearly each kind may name a registry."""
    encoded = orjson.dumps(wire)
    # Few answers have one, and a copy of the others would cost more than to look.
    return orjson.dumps(_without_passwords(wire, False)) if _ENCODED_NAME in encoded else encoded


def _without_passwords(value: Any, is_of_registry: bool) -> Any:
    if isinstance(value, list):
        return [_without_passwords(each, is_of_registry) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_passwords(each, is_of_registry or name in _REGISTRIES)
        for name, each in value.items()
        if not (is_of_registry and name == _NAME)
    }
