"""SIGHUP, which a terminal sends that is closed, or a broken ssh session: it ends a run as SIGTERM does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from prefect.exceptions import TerminationSignal


@contextmanager
def hangup_ends_run() -> Iterator[None]:
    """Let SIGHUP raise what Prefect lets SIGTERM raise, so that the run is cleaned up and Prefect told.

    Once: a closed terminal sends it again, and clean-up that has begun isn't to be interrupted. Whoever
    ignores it, as `nohup` does, or handles it, goes on to do so.
    """
    # Windows has none.
    number = getattr(signal, "SIGHUP", None)
    is_main = threading.current_thread() is threading.main_thread()
    if number is None or not is_main or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, _end_run)
    try:
        yield
    finally:
        if signal.getsignal(number) is _end_run:
            signal.signal(number, signal.SIG_DFL)


def _end_run(number: int, _frame: FrameType | None) -> None:
    # Prefect sets it back at the end, and lets it end the process.
    signal.signal(number, signal.SIG_IGN)
    raise TerminationSignal(signal=number)
