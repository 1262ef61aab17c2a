"""What has become of the files of bundles, also of those that are not done."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.azure import blobs
from tasks.base.deadlines import glance
from tasks.base.pacing import Pace
from tasks.outputs.evidence import LogFolder
from tasks.prefect.observing import left_out_on_failure
from tasks.spec.bundles import Bundle, outcomes_blob
from tasks.spec.file_results import TaskResult
from tasks.watch.bundle_outcomes import read_results, read_results_so_far

# How often running bundles are looked at, at most.
LOOK_SECONDS = 5.0
# A look reads no more of them than this. It is for those that run long, which are not many.
READ_MAX = 64
AFTER_FAILURE_SECONDS = 300.0
# Of a blob of outcomes that has none.
EMPTY_BYTES = 2


@dataclass
class BundleWatch:
    """The bundles of a run's job, and what is known of those that are not done."""

    logs: LogFolder
    bundles: Sequence[Bundle]
    max_tries: int
    left: dict[str, Bundle] = field(init=False, repr=False)
    seen: dict[str, str] = field(default_factory=dict, repr=False)
    """The ETags of outcomes that have been read, by their blobs."""

    pace: Pace = field(default_factory=lambda: Pace(LOOK_SECONDS, done_seconds=-math.inf))

    def __post_init__(self) -> None:
        self.left = {bundle.task_id: bundle for bundle in self.bundles}

    def read(self, completed: Sequence[TaskResult]) -> list[TaskResult]:
        """What became of the files of bundles that have completed now, and now and then of those that are
        done in others. A file may be told again."""
        # Others than these were told before, if the wait is tried again.
        ended = [task for task in completed if task.task_id in self.left]
        results = read_results(self.logs, [self.left[task.task_id] for task in ended], ended)
        # Not before they have been read: that may fail.
        for task in ended:
            del self.left[task.task_id]
        if self.left and self.pace.is_due:
            self.pace.note(rest_seconds=AFTER_FAILURE_SECONDS)
            with left_out_on_failure("How far the running tasks of several files are"), glance():
                results += self._look()
                self.pace.note()
        return results

    def _look(self) -> list[TaskResult]:
        """The files that are done of bundles that have noted something since the last look."""
        blob_names = {
            outcomes_blob(self.logs.job_id, task_id): bundle for task_id, bundle in self.left.items()
        }
        listed = dict(
            blobs.list_blobs(self.logs.container, outcomes_blob(self.logs.job_id, "").removesuffix(".json"))
        )
        news = [
            name
            for name, blob in listed.items()
            if name in blob_names and blob.size_bytes > EMPTY_BYTES and self.seen.get(name) != blob.etag
        ][:READ_MAX]
        found = read_results_so_far(self.logs, [blob_names[name] for name in news])
        self.seen.update({name: listed[name].etag for name in news})
        # One that failed may be tried again.
        return [one for one in found if one.succeeded or one.tries >= self.max_tries]

    def read_so_far(self) -> list[TaskResult]:
        """What is known of all bundles that are not done, when nobody waits for them any more."""
        return read_results_so_far(self.logs, self.left.values())
