"""Inputs into blobs and Batch tasks into the job, at the same time: the first task need not wait for the last
upload.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial

from flows.renewing import Renewer
from tasks.base.pacing import Pace
from tasks.base.printable import say_count
from tasks.batch_tasks import COLLECTION_MAX, add_first_tasks, add_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.bodies.bundles import find_live_bundles
from tasks.jobs import Job
from tasks.logs import run_logger
from tasks.plans import Plan
from tasks.spec.bundles import Unit, make_bundles
from tasks.spec.inputs import InputFile
from tasks.spec.work import WorkItem, make_item
from tasks.step import opaque
from tasks.upload_watch import UploadWatch
from tasks.uploads import upload_inputs
from tasks.watch.early_outputs import EarlyOutputs

# Tasks wait so long for others to be added with, if they are fewer than one request may bring.
GATHERING_SECONDS = 2.0
# And of many files so many steps at most, which Prefect shows.
ADDED_TIMES = 20


@dataclass
class Feed:
    """The files of an attempt on their way into its job."""

    plan: Plan
    task_plan: TaskPlan
    job: Job
    computed: list[WorkItem]
    """The work that earlier attempts have done."""

    renewer: Renewer
    """Sees that nothing runs out meanwhile."""

    early: EarlyOutputs
    """The outputs that are fetched meanwhile."""

    upload_watch: UploadWatch
    """What is looked at meanwhile, and may end the uploads."""

    is_new: bool
    """Whether the job has no tasks of earlier attempts. Only then can tasks be added before all are known:
    which of the others are good, or in the way, is a matter of the whole."""

    items: dict[str, WorkItem] = field(default_factory=dict)
    """By the names of their files."""

    ready: list[WorkItem] = field(default_factory=list)
    """Those whose inputs are uploaded, and whose tasks are not added."""

    added: dict[str, Unit] = field(default_factory=dict)
    """The tasks that are added, by their ids: a file each, or several."""

    uploaded_at: datetime = field(default_factory=partial(datetime.now, timezone.utc))
    """When the last input had been uploaded that was."""

    pace: Pace = field(default_factory=lambda: Pace(GATHERING_SECONDS))

    def run(self) -> tuple[list[WorkItem], list[Unit]]:
        """Upload all files, and see that each has its Batch task; the work, in the order of the files, and
        what tasks do it. If the uploads had to be ended, only what has a task by then.

        Raises the first error of a shard when those under way have ended. Raises JobEndedError if the job
        ends meanwhile.
        """
        names = self.plan.names
        with closing(upload_inputs(names.input_container, self.plan.files)) as uploads:
            for files, digests in uploads:
                self._take(files, digests)
                self.renewer.look(self.added.values())
                if self.is_new and self._is_worth_a_request():
                    self._add_first()
                self.early.look(self.added)
                if self.upload_watch.look():
                    return self._leave_rest()
        self._note_uploaded()
        uploaded = sum(not file.blob for file in self.plan.files)
        run_logger().info("Uploaded: %s", say_count(uploaded, "input"))
        items = [self.items[file.name] for file in self.plan.files]
        # In the order of the files, in which Batch runs them: uploads end in any.
        left = {item.name for item in self.ready}
        ready = [item for item in items if item.name in left]
        units = [*self.added.values(), *self._share(ready)] if self.is_new else self._share_all(items)
        self.renewer.finish(self.added.values())
        add_tasks(self.job, opaque(units), opaque(self.task_plan), opaque(frozenset(self.added)))
        return items, units

    def _leave_rest(self) -> tuple[list[WorkItem], list[Unit]]:
        """Only what has a Batch task by now: the others are to have none. Which of those have one that are in
        a job of an earlier attempt, their outputs say: none is waited for by its name."""
        self._note_uploaded()
        waiting = {item.name for item in self.ready} if self.is_new else set[str]()
        added = [self.items[file.name] for file in self.plan.files if file.name in self.items]
        return [item for item in added if item.name not in waiting], [*self.added.values()]

    def _note_uploaded(self) -> None:
        self.uploaded_at = datetime.now(timezone.utc)

    def _share(self, items: list[WorkItem]) -> list[Unit]:
        """Which files share a Batch task."""
        size = self.plan.files_per_task
        return [*items] if size == 1 else [*make_bundles(items, size)]

    def _share_all(self, items: list[WorkItem]) -> list[Unit]:
        """The same where an earlier attempt may have bundles under way: they stay as they are."""
        if self.plan.files_per_task == 1:
            return [*items]
        live = find_live_bundles(self.plan.names, self.job.id, items, self.computed)
        under_way = {item.task_id for bundle in live for item in bundle.items}
        return [*live, *self._share([item for item in items if item.task_id not in under_way])]

    def _take(self, files: Sequence[InputFile], digests: list[str]) -> None:
        for file, digest in zip(files, digests, strict=True):
            recipe, outputs = self.task_plan.recipe, self.plan.outputs.identity
            item = make_item(file.name, file.output_name, digest, recipe, file.blob, outputs)
            self.items[file.name] = item
            self.ready.append(item)

    def _is_worth_a_request(self) -> bool:
        each = self.plan.files_per_task
        is_due = len(self.ready) >= each and self.pace.is_due
        return is_due or len(self.ready) >= max(COLLECTION_MAX * each, len(self.plan.files) / ADDED_TIMES)

    def _add_first(self) -> None:
        """Add what is ready: whole requests if there is one, else what has waited, but no half bundles."""
        each, count = self.plan.files_per_task, len(self.ready)
        taken = count - count % (COLLECTION_MAX * each) or count - count % each
        units = self._share(self.ready[:taken])
        first = len(self.items) - count + 1
        label = f"{first} to {first + taken - 1} of {len(self.plan.files)}"
        self.renewer.note_added()
        add_first_tasks(label, self.job, opaque(units), opaque(self.task_plan))
        self.added.update({unit.task_id: unit for unit in units})
        del self.ready[:taken]
        self.pace.note()
