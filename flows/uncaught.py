"""What a script of one's own shows of an error of ours that it doesn't catch: where and why, and no more.

The forty lines between are Prefect's and ours, and say nothing; with DEBUG logging all are shown.
"""

import logging
import os
import site
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from traceback import FrameSummary, extract_tb
from types import TracebackType
from typing import Any

from prefect.logging import get_logger

from tasks.errors import FanOutError
from tasks.logs import was_told

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]
ROOT = Path(__file__).parents[1]
LIBRARIES = tuple(
    os.path.join(folder, "")
    for folder in (
        *(str(ROOT / own) for own in ("flows", "tasks")),
        *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    )
)
# What `python -c` and an interpreter's prompt call what they are given.
TYPED = {"<string>", "<stdin>"}


def show_errors_plainly() -> None:
    """Let errors of ours that nobody catches end a process without the frames of libraries."""
    sys.excepthook = _build_hook(sys.excepthook)


def _build_hook(otherwise: Hook) -> Hook:
    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        is_debugged = get_logger("flow_runs").isEnabledFor(logging.DEBUG)
        call = None if is_debugged else _find_call(trace)
        if isinstance(error, FanOutError) and call is not None:
            print(f"{call}\n{_describe(error)}", file=sys.stderr)
        else:
            otherwise(kind, error, trace)

    return show


def _describe(error: FanOutError) -> str:
    """Why it failed; of what the log has told already the first line."""
    message = str(error)
    said = message.partition("\n")[0] if was_told(error) else message
    return f"{type(error).__name__}: {said}"


def _find_call(trace: TracebackType | None) -> str | None:
    """The script's innermost line, whatever libraries run it or call it back; None if it has none."""
    frames = [frame for frame in extract_tb(trace) if not _is_of_library(frame)]
    return f'File "{frames[-1].filename}", line {frames[-1].lineno}, in {frames[-1].name}' if frames else None


def _is_of_library(frame: FrameSummary) -> bool:
    is_made = frame.filename.startswith("<") and frame.filename not in TYPED
    return is_made or frame.filename.startswith(LIBRARIES)
