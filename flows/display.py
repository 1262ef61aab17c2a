"""A run as one watches it in a terminal: Prefect's log, and under it a line that moves as tasks complete."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.theme import Theme

from tasks.errors import FanOutError
from tasks.watch.progress import Counts


@contextmanager
def live_display() -> Iterator[Callable[[Counts], None]]:
    """A progress line on standard error, which the yielded function moves; none if that is no terminal.

    It is drawn on the console of Prefect's log, so that log lines scroll above it.
    """
    handler = _find_console_handler()
    console = handler.console if handler else Console(stderr=True)
    is_live = sys.stderr.isatty() and not console.is_dumb_terminal
    # Prefect's console knows only the styles of the log.
    with console.use_theme(Theme()), Progress(*_columns(), console=console, disable=not is_live) as progress:
        line = progress.add_task("preparing", total=None, detail="")
        yield lambda counts: progress.update(
            line,
            description="files" if counts.files else "Batch tasks",
            total=counts.done[1],
            completed=counts.done[0],
            detail=_describe_counts(counts),
        )


def _columns() -> list:
    return [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    ]


def _describe_counts(counts: Counts) -> str:
    count = counts.files.failed if counts.files else counts.failed
    failed = f" [bold red]{count} failed[/]" if count else ""
    return f"{counts.running} running {counts.waiting} waiting{failed}"


def _find_console_handler() -> PrefectConsoleHandler | None:
    """The handler that shows Prefect's log; None where the logging was set up otherwise."""
    handlers = [*logging.getLogger("prefect").handlers, *logging.getLogger().handlers]
    return next((one for one in handlers if isinstance(one, PrefectConsoleHandler)), None)


@contextmanager
def expected_errors_hidden() -> Iterator[None]:
    """Keep our own errors from the terminal's log: their message comes last, their tracebacks Prefect has."""
    handler = _find_console_handler()
    if handler is None:
        yield
        return
    handler.addFilter(_is_news)
    try:
        yield
    finally:
        handler.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record says what the message at the run's end doesn't."""
    has_traceback = record.exc_info and isinstance(record.exc_info[1], FanOutError)
    # `tasks.logs` takes the traceback off, and marks the record.
    is_expected = has_traceback or getattr(record, "is_expected", False)
    return not is_expected and not record.getMessage().startswith("Finished in state Failed")
