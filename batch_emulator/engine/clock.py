"""The service's time."""

from __future__ import annotations

import time

from batch_emulator import ticks


class Clock:
    """Starts at real time and runs `speed` times as fast; in ticks, and never the same twice."""

    def __init__(self, speed: float):
        self._speed = speed
        self._began = time.time()
        self._origin = ticks.from_unix(self._began)
        self._last = 0

    def now(self) -> int:
        elapsed = ticks.from_seconds((time.time() - self._began) * self._speed)
        self._last = max(self._origin + elapsed, self._last + 1)
        return self._last

    def go_on_from(self, moment: int) -> None:
        """Not earlier than `moment`: what is known to have happened then is not in the future."""
        self._origin = max(self._origin, moment)
