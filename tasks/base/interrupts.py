"""Signals that end a run, held back for a moment: what belongs together is done whole, or not at all."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Of Ctrl-C, of whoever stops a process, and of a terminal that is closed, which Windows has not.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A short block that no signal interrupts; what came meanwhile is handled at its end.

    Python handles signals in its main thread, between any two of its steps: in other threads there is nothing
    to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # A handler that is not Python's own can't be put back.
    before = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)
