"""What a script of one's own shows of an error of ours that it doesn't catch: where and why, and no more.

The forty lines between are Prefect's and ours, and say nothing; with DEBUG logging all are shown.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any

from prefect.logging import get_logger

from tasks.errors import FanOutError
from tasks.logs import was_told

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]
ROOT = Path(__file__).parents[1]
OTHERS = (str(ROOT / "flows"), str(ROOT / "tasks"), "<", sys.prefix, sys.base_prefix)


def show_errors_plainly() -> None:
    """Let errors of ours that nobody catches end a process without the frames of libraries."""
    sys.excepthook = _build_hook(sys.excepthook)


def _build_hook(otherwise: Hook) -> Hook:
    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        is_debugged = get_logger("flow_runs").isEnabledFor(logging.DEBUG)
        if isinstance(error, FanOutError) and not is_debugged:
            print(describe_uncaught(error, trace), file=sys.stderr)
        else:
            otherwise(kind, error, trace)

    return show


def describe_uncaught(error: FanOutError, trace: TracebackType | None) -> str:
    """Where the script called us and why that failed; of what the log has told already the first line."""
    message = str(error)
    said = message.partition("\n")[0] if was_told(error) else message
    return "\n".join([*_find_call(trace), f"{type(error).__name__}: {said}"])


def _find_call(trace: TracebackType | None) -> list[str]:
    """The script's last line before those of libraries."""
    call: list[str] = []
    for frame in extract_tb(trace):
        if frame.filename.startswith(OTHERS):
            break
        call = [f'File "{frame.filename}", line {frame.lineno}, in {frame.name}']
    return call
