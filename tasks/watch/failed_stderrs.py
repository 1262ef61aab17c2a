"""What the programs of files that failed have printed to their standard errors."""

from collections.abc import Iterable
from itertools import islice

from tasks.azure.node_logs import read_task_stderr
from tasks.outputs.delivered import read_log_tail
from tasks.outputs.evidence import LogFolder, read_tail
from tasks.sharding import in_threads
from tasks.spec.work import WorkItem

# The results of more would fill the memory; what all of them printed lies beside the outputs.
STDERRS_MAX = 500
# Where it could not be kept there: each takes a few requests.
STDERRS_FROM_NODES_MAX = 50
LOG = "stderr.txt"


class FailedStderrs:
    """The ends of the standard errors of the first that failed, by the numbers of their work."""

    def __init__(self, logs: LogFolder):
        self._logs, self._known = logs, dict[int, str]()

    def get(self, number: int) -> str:
        """What one printed, at its end; "" if it isn't known."""
        return self._known.get(number, "")

    def read(self, failed: Iterable[tuple[int, WorkItem]]) -> None:
        """Read those of tasks that failed, while they are among the first."""
        first = dict(islice(failed, max(0, STDERRS_MAX - len(self._known))))
        self._known.update(zip(first, in_threads(self._read, first.values()), strict=True))

    def _read(self, item: WorkItem) -> str:
        logs, task_id = self._logs, item.task_id
        if logs.output_folder is None:
            blob = logs.outputs.name_log(logs.run_key, item.name, task_id, LOG)
            if tail := read_log_tail(logs.outputs, blob):
                return tail
        elif (path := logs.locate(logs.output_folder, item.name, LOG)).is_file():
            return read_tail(path)
        if len(self._known) >= STDERRS_FROM_NODES_MAX:
            return ""
        # Of a bundle that ended before its turn came, what that has printed tells more.
        return read_task_stderr(logs.job_id, logs.bundled.get(task_id, task_id), logs.container)
