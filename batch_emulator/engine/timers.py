"""Calls to be made later, which can be kept and taken up again by another process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import orjson

from batch_emulator.ticks import TICKS_PER_SECOND

Function = Callable[..., Any]

_PACKAGE = "batch_emulator."
_MOVED = {"batch_emulator.scheduler.mishaps": "batch_emulator.scheduler.node_faults"}
"""Modules that journals of this format know by another name."""


class Call(NamedTuple):
    """`due` is in ticks of the service's time."""

    due: int
    function: Function
    arguments: tuple


class Timers:
    """Pending calls by name. `call` makes one when it falls due; `speed` is that of the service's time."""

    def __init__(self, call: Callable[..., Any], speed: float):
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._speed = speed
        self._pending: dict[str, tuple[Call, asyncio.TimerHandle]] = {}
        self.changed: dict[str, None] = {}

    def start(self, name: str, due: int, now: int, function: Function, arguments: tuple) -> None:
        """Have a module's `function` called with `arguments`, which are JSON, when `due`; soon if it was."""
        delay_seconds = max(0, due - now) / TICKS_PER_SECOND / self._speed
        handle = self._loop.call_later(delay_seconds, self._fire, name)
        self._pending[name] = Call(due, function, arguments), handle
        self.changed[name] = None

    def _fire(self, name: str) -> None:
        call, _ = self._pending.pop(name)
        self.changed[name] = None
        self._call(call.function, *call.arguments)

    def record(self, name: str) -> bytes | None:
        """A pending call as JSON; None if it is not pending any more."""
        if name not in self._pending:
            return None
        call, _ = self._pending[name]
        return orjson.dumps([call.due, name_function(call.function), call.arguments])

    def restore(self, name: str, record: bytes, now: int) -> None:
        """Take up a call of an earlier process."""
        due, function, arguments = orjson.loads(record)
        self.start(name, due, now, find_function(function), tuple(arguments))

    def cancel(self) -> None:
        """Make no call any more."""
        for _, handle in self._pending.values():
            handle.cancel()
        self._pending.clear()


def name_function(function: Function) -> str:
    name = f"{function.__module__}:{function.__qualname__}"
    if find_function(name) is not function:
        raise TypeError(f"{name} cannot be called by another process: it is not a function of a module")
    return name


def find_function(name: str) -> Function:
    """The function that a journal names. Raises ValueError for one that is not of this package."""
    module, _, function = name.partition(":")
    if not module.startswith(_PACKAGE):
        raise ValueError(f"{name} is not a function of this service")
    return getattr(import_module(_MOVED.get(module, module)), function)
