"""A limit for what knows none: the system's search for a host's address ends when it likes."""

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from threading import Thread
from typing import Any, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=Closable)


def open_within(seconds: float | None, open_it: Callable[[], Opened]) -> Opened:
    """What is opened in a thread that is waited for so long; None: for as long as it takes. Raises
    TimeoutError, and closes what comes later."""
    future: Future[Opened] = Future()
    Thread(target=_open, args=(future, open_it), name="opening", daemon=True).start()
    wait([future], seconds)
    if future.cancel():
        raise TimeoutError(f"No connection within {seconds:.3g} s.")
    return future.result(0)


def _open(future: Future[Opened], open_it: Callable[[], Opened]) -> None:
    try:
        opened = open_it()
    except Exception as error:
        _hand_over(future.set_exception, error)
        return
    if not _hand_over(future.set_result, opened):
        opened.close()


def _hand_over(hand: Callable[[Any], None], what: Any) -> bool:
    """Whether somebody still waits for it."""
    try:
        hand(what)
    except InvalidStateError:
        return False
    return True
