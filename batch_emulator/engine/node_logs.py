"""What the service noted of each node: the log that Upload Batch Service Logs uploads."""

from __future__ import annotations

from collections import deque

from batch_emulator.ticks import format_ticks

_MOST_LINES = 2_000


class NodeLogs:
    """The last lines of each node, with their times in ticks; they are not kept over a restart."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[int, str]]] = {}

    def note(self, node_id: str, time: int, line: str) -> None:
        lines = self._lines.get(node_id)
        if lines is None:
            lines = self._lines[node_id] = deque(maxlen=_MOST_LINES)
        lines.append((time, line))

    def forget(self, node_id: str) -> None:
        """The node's machine is gone, and its log with it."""
        self._lines.pop(node_id, None)

    def read(self, node_id: str, start: int, end: int | None) -> str:
        """The whole log if any line of it is from between `start` and `end` (ticks), as the service uploads
        whole files; otherwise nothing."""
        lines = self._lines.get(node_id, ())
        if not any(start <= time and (end is None or time <= end) for time, _ in lines):
            return ""
        return "".join(f"{format_ticks(time)} {line}\n" for time, line in lines)
