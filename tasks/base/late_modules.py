"""Modules that are loaded when something of them is first used."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def load_late(name: str) -> None:
    """Have a module, for whoever imports it by its name from here on, loaded when something of it is used."""
    if name in sys.modules:
        return
    stand_in = ModuleType(name)

    def load(attribute: str) -> Any:
        # Whoever looks through all modules asks for these.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    stand_in.__getattr__ = load  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules[name] = stand_in
