"""The agents of a location that are there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil


def agents_of(location: Path) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            if str(location / "agent") in one.cmdline():
                found.append(one)
    return found
