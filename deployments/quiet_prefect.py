"""`prefect` that shows the log of a run which it watches, and not each event: the log is more readable.

`./run` starts this file where a command watches; Prefect has no option for it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# How an event begins, in colours or without; a line of a log begins with another sign.
EVENT = re.compile(r"(\x1b\[[\d;]*m)*●")


class WithoutEvents:
    """Standard output but for events: Prefect writes each as a piece, of one or more lines."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text: str) -> int:
        return len(text) if EVENT.match(text) else self.stream.write(text)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def main() -> None:
    # A script's folder comes first: names in it would stand before those of packages.
    here = str(Path(__file__).parent)
    sys.path[:] = [path for path in sys.path if path != here]
    from prefect.cli import app

    sys.stdout = WithoutEvents(sys.stdout)
    sys.exit(app())


if __name__ == "__main__":
    main()
