"""Who hears how a run goes besides Prefect: a terminal, say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[object], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have it called with the news of the flows that are called in the block, in their order.

    News are `tasks.watch.progress.Counts` while Batch tasks run, and at the end
    `tasks.spec.run_results.RunResult`.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def notify(news: object) -> None:
    listener = _listener.get()
    if listener is not None:
        listener(news)
