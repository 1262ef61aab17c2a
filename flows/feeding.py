"""Inputs into blobs and Batch tasks into the job, at the same time: the first task need not wait for the last
upload.
"""

from array import array
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial

from flows.renewing import Renewer
from tasks.base.pacing import Pace
from tasks.base.packed import Selection
from tasks.base.printable import say_count
from tasks.batch_tasks import COLLECTION_MAX, add_first_tasks, add_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.bodies.bundles import find_live_bundles
from tasks.jobs import Job
from tasks.logs import run_logger
from tasks.plans import Plan
from tasks.spec.bundles import Bundle, Unit, find_bundles, make_bundles
from tasks.spec.input_files import InputFile
from tasks.spec.work import WorkItem, WorkItems, make_item
from tasks.step import opaque
from tasks.uploads import upload_inputs
from tasks.watch.early_outputs import EarlyOutputs
from tasks.watch.upload_watch import UploadWatch

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
    computed: Sequence[WorkItem]
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

    items: WorkItems = field(init=False)
    """In the order in which their inputs were uploaded."""

    added_count: int = 0
    """Of how many of them, the first, the tasks are added."""

    bundles: list[Bundle] = field(default_factory=list)
    """The same tasks, where several files share each."""

    uploaded_at: datetime = field(default_factory=partial(datetime.now, timezone.utc))
    """When the last input had been uploaded that was."""

    pace: Pace = field(default_factory=lambda: Pace(GATHERING_SECONDS))

    def __post_init__(self):
        self.items = WorkItems(expected=len(self.plan.files))

    @property
    def added(self) -> Sequence[Unit]:
        """The Batch tasks that are added: a file each, or several."""
        return self.bundles if self.plan.files_per_task > 1 else self.items[: self.added_count]

    def run(self) -> tuple[WorkItems, Sequence[Unit]]:
        """Upload all files, and see that each has its Batch task; the work, and what tasks do it. If the
        uploads had to be ended, only what has a task by then.

        Raises the first error of a shard when those under way have ended. Raises JobEndedError if the job
        ends meanwhile.
        """
        names = self.plan.names
        with closing(upload_inputs(names.input_container, self.plan.files)) as uploads:
            for files, digests in uploads:
                self._take(files, digests)
                self.renewer.look(self.added)
                if self.is_new and self._is_worth_a_request():
                    self._add_first()
                if self.added_count:
                    self.early.look(self.items)
                if self.upload_watch.look():
                    return self._leave_rest()
        self._note_uploaded()
        uploaded = sum(not file.blob for file in self.plan.files)
        run_logger().info("Uploaded: %s", say_count(uploaded, "input"))
        self.renewer.finish(self.added)
        return self._add_rest()

    def _add_rest(self) -> tuple[WorkItems, Sequence[Unit]]:
        # In the order of the files, in which Batch runs them: uploads end in any.
        numbers = self._put_in_order()
        left = Selection(self.items, (number for number in numbers if number >= self.added_count))
        rest = self._share(left) if self.is_new else self._share_all(Selection(self.items, numbers))
        add_tasks(self.job, opaque(rest), opaque(self.task_plan), is_new=self.is_new)
        are_single = self.plan.files_per_task == 1
        return self.items, self.items if are_single else [*self.bundles, *rest]

    def _leave_rest(self) -> tuple[WorkItems, Sequence[Unit]]:
        """Only what has a Batch task by now: the others are to have none. Which of those have one that are in
        a job of an earlier attempt, their outputs say: none is waited for by its name."""
        self._note_uploaded()
        added = WorkItems(self.items[: self.added_count])
        return added if self.is_new else self.items, self.bundles if self.plan.files_per_task > 1 else added

    def _put_in_order(self) -> Sequence[int]:
        """The numbers of the work, in the order of the files."""
        found = (self.items.find_named(file.name) for file in self.plan.files)
        return array("I", (number for number in found if number is not None))

    def _note_uploaded(self) -> None:
        self.uploaded_at = datetime.now(timezone.utc)

    def _share(self, items: Sequence[WorkItem]) -> Sequence[Unit]:
        """Which files share a Batch task."""
        size = self.plan.files_per_task
        return items if size == 1 else make_bundles(items, size)

    def _share_all(self, items: Sequence[WorkItem]) -> Sequence[Unit]:
        """The same where an earlier attempt may have bundles under way: they stay as they are."""
        if self.plan.files_per_task == 1:
            return items
        live = find_live_bundles(self.plan.names, self.job.id, items, self.computed)
        under_way = {item.task_id for bundle in live for item in bundle.items}
        return [*live, *self._share([item for item in items if item.task_id not in under_way])]

    def _take(self, files: Sequence[InputFile], digests: list[str]) -> None:
        recipe, outputs = self.task_plan.recipe, self.plan.outputs.identity
        for file, digest in zip(files, digests, strict=True):
            self.items.append(make_item(file.name, file.output_name, digest, recipe, file.blob, outputs))

    def _is_worth_a_request(self) -> bool:
        each, ready = self.plan.files_per_task, len(self.items) - self.added_count
        is_due = ready >= each and self.pace.is_due
        return is_due or ready >= max(COLLECTION_MAX * each, len(self.plan.files) / ADDED_TIMES)

    def _add_first(self) -> None:
        """Add what is ready: whole requests if there is one, else what has waited, but no half bundles."""
        each, first = self.plan.files_per_task, self.added_count
        ready = len(self.items) - first
        end = first + (ready - ready % (COLLECTION_MAX * each) or ready - ready % each)
        units = self._share(self.items[first:end])
        label = f"{first + 1} to {end} of {len(self.plan.files)}"
        self.renewer.note_added()
        add_first_tasks(label, self.job, opaque(units), opaque(self.task_plan))
        if each > 1:
            self.bundles += find_bundles(units)
        self.added_count = end
        self.pace.note()
