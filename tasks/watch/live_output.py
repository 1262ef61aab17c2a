"""What the program of one file prints, in the run's log as it comes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from azure.batch import BatchClient
from azure.core.exceptions import AzureError

from tasks.azure.azure_errors import redacted
from tasks.azure.clients import batch_client
from tasks.base.deadlines import glance
from tasks.base.printable import make_printable
from tasks.errors import FanOutError
from tasks.logs import run_logger
from tasks.outputs.evidence import LogFolder
from tasks.spec.naming import LOGS

BYTES_AT_ONCE = 256 * 1024
# A log is for reading: beyond, the file itself is the place to look.
LINES_MAX = 2000


class LiveOutput:
    """What the Batch tasks of some files print, which a run asks for now and then."""

    def __init__(self, logs: LogFolder, names: Mapping[str, str]):
        """`names` are those of the files, by the ids of their work."""
        self.streams = [_Stream(logs, task_id, name) for task_id, name in names.items()]

    def log(self, is_last: bool = False) -> None:
        """Log what has been printed since the last call; a line without its end only if it is the last."""
        for stream in self.streams:
            stream.log(is_last)


@dataclass
class _Stream:
    """The lines that the program of one file has printed so far. Whatever goes wrong with them is no
    reason to fail a run: then there are none."""

    logs: LogFolder
    task_id: str
    name: str
    offsets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LOGS, 0))
    partial: dict[str, bytes] = field(default_factory=lambda: dict.fromkeys(LOGS, b""))
    lines: int = 0

    def log(self, is_last: bool) -> None:
        if self.lines >= LINES_MAX:
            return
        try:
            with glance(), batch_client(f"Reading what {self.name} prints") as client:
                for log in LOGS:
                    self.log_lines(self.fresh_lines(client, log, is_last))
        except FanOutError as error:
            run_logger().debug("%s", error)

    def fresh_lines(self, client: BatchClient, log: str, is_last: bool) -> Iterator[str]:
        while block := self.fresh_block(client, log):
            *whole, self.partial[log] = (self.partial[log] + block).split(b"\n")
            yield from map(_decode, whole)
            if len(self.partial[log]) >= BYTES_AT_ONCE:
                yield _decode(self.cut(log))
        if is_last and self.partial[log]:
            yield _decode(self.cut(log))

    def cut(self, log: str) -> bytes:
        """What there is of a line whose end is not awaited."""
        partial, self.partial[log] = self.partial[log], b""
        return partial

    def fresh_block(self, client: BatchClient, log: str) -> bytes:
        """What the file has beyond what was read, up to a limit; nothing while the task has no such file."""
        begin = self.offsets[log]
        end = min(self._find_size(client, log), begin + BYTES_AT_ONCE)
        if end <= begin:
            return b""
        part = f"bytes={begin}-{end - 1}"
        block = b"".join(client.download_task_file(*self._locate(log), ocp_range=part))
        self.offsets[log] = end
        return block

    def _locate(self, log: str) -> tuple[str, str, str]:
        """The job, the Batch task and the path of a log on its node."""
        return (self.logs.job_id, *self.logs.locate_on_node(self.task_id, log))

    def _find_size(self, client: BatchClient, log: str) -> int:
        try:
            return client.get_task_file_properties(*self._locate(log)).content_length or 0
        except AzureError:
            # It has not begun, or its node is gone.
            return 0

    def log_lines(self, lines: Iterator[str]) -> None:
        for line in islice(lines, LINES_MAX - self.lines):
            self.lines += 1
            run_logger().info("%s | %s", self.name, line)
            if self.lines == LINES_MAX:
                run_logger().info("%s | ... is not shown beyond %d lines", self.name, LINES_MAX)


def _decode(line: bytes) -> str:
    return make_printable(redacted(line.decode(errors="replace")))
