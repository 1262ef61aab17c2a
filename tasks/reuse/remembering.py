"""Outputs, remembered as they arrive, also by a run that is stopped; and those that are stale."""

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import tee
from pathlib import Path

from tasks.azure.places import find_at
from tasks.base.packed import PackedSequence, Selection
from tasks.base.printable import say_count
from tasks.downloads import local_path
from tasks.errors import PermanentError
from tasks.logs import run_logger
from tasks.outputs.delivered import is_output
from tasks.prefect.observing import left_out_on_failure
from tasks.reuse.output_records import read_records, write_records
from tasks.reuse.record_lines import OutputRecord, put_in_order
from tasks.sharding import in_threads
from tasks.spec.naming import EARLIER_FOLDER
from tasks.spec.work import WorkItem, WorkItems
from tasks.watch.downloading import Outputs
from tasks.watch.early_outputs import EarlyOutputs

# The record of a folder is written as a whole: each time for at least twice as many as before.
FIRST_RECORDED = 50


class Memory:
    """Remembers the outputs of a run while it goes on."""

    def __init__(self, folder: Path | None, outputs: Outputs):
        """No folder: outputs stay in blob storage, and say themselves what made them."""
        self.folder = folder
        self.outputs = outputs
        self.recorded = 0

    def keep_up(self) -> None:
        """Remember what has arrived, if that is much more than what is remembered."""
        if len(self.outputs.fetched) >= max(FIRST_RECORDED, 2 * self.recorded):
            self.record()

    def record(self) -> None:
        if self.folder is not None and self.outputs.fetched.found:
            write_records(self.folder, list_records(self.outputs, self.outputs.items))
        self.recorded = len(self.outputs.fetched)


def list_records(known: Outputs | EarlyOutputs, items: WorkItems) -> Sequence[tuple[str, OutputRecord]]:
    """What is to be remembered of those outputs of the items that are on disk, by the names of the inputs,
    and in the order in which it is remembered."""
    there = array("I", filter(known.fetched.has_output, range(len(items))))
    return Selection(_Records(known, items), put_in_order(there, items.names))


class _Records(PackedSequence[tuple[str, OutputRecord]]):
    """What is to be remembered of work whose output is there; each is made when it is asked for."""

    def __init__(self, known: Outputs | EarlyOutputs, items: WorkItems):
        self._known, self._items = known, items

    def __len__(self) -> int:
        return len(self._items)

    def _make(self, number: int) -> tuple[str, OutputRecord]:
        return self._describe(number, self._items[number])

    def make_all(self, numbers: Iterable[int]) -> Iterator[tuple[str, OutputRecord]]:
        numbers, for_items = tee(numbers)
        return map(self._describe, numbers, self._items.make_all(for_items))

    def _describe(self, number: int, item: WorkItem) -> tuple[str, OutputRecord]:
        md5, seconds = self._known.fetched.get(number), self._known.tasks.find_seconds(number)
        return item.name, OutputRecord(item.source, md5 or "", seconds)


@contextmanager
def remembered(folder: Path | None, outputs: Outputs) -> Iterator[Memory]:
    """A block in which outputs arrive: whatever ends it, Ctrl-C too, what lies on disk is remembered."""
    memory = Memory(folder, outputs)
    try:
        yield memory
    except BaseException:
        try:
            outputs.stop()
        finally:
            memory.record()
        raise


@contextmanager
def early_remembered(folder: Path | None, early: EarlyOutputs, items: WorkItems) -> Iterator[None]:
    """A block in which outputs of these items arrive early: if it fails, what lies on disk is remembered."""
    try:
        yield
    except BaseException:
        if folder is not None and early.fetched.found:
            write_records(folder, list_records(early, items))
        raise


def set_stale_aside(folder: Path, outputs: Outputs) -> list[str]:
    """Move away the outputs of earlier runs that stand under the names of files that have failed now.

    One stays that is of the very same work, if that has not been run now. The names of those moved.
    """
    there = [item for item in outputs.find_failed() if _is_there(folder, item)]
    records = read_records(folder) if there else {}
    stale = [
        item for item in there if outputs.has_ended(item) or not _is_same_work(records.get(item.name), item)
    ]
    return sorted(_move(folder, stale))


def tell_stale(outputs: Outputs) -> None:
    """Say which outputs of earlier runs stand in blob storage under the names of files that have failed now:
    nothing there is moved or deleted."""
    with left_out_on_failure("A look for outputs of earlier runs"):
        failed = outputs.find_failed()
        there = in_threads(lambda item: find_at(outputs.outputs.locate(item.output_name)), failed)
        pairs = zip(failed, there, strict=True)
        stale = [item.output_name for item, blob in pairs if blob and not is_output(blob, item)]
        if stale:
            run_logger().warning(
                "%s of earlier runs are still there, whose files have failed now: %s first, in %s",
                say_count(len(stale), "output"),
                stale[0],
                outputs.outputs.url,
            )


def _is_there(folder: Path, item: WorkItem) -> bool:
    try:
        return os.path.isfile(local_path(folder, item.output_name))
    except PermanentError:
        return False


def _is_same_work(record: OutputRecord | None, item: WorkItem) -> bool:
    return record is not None and record.source == item.source


def _move(folder: Path, items: Iterable[WorkItem]) -> Iterator[str]:
    for item in items:
        path = local_path(folder, item.output_name)
        try:
            aside = local_path(folder, f"{EARLIER_FOLDER}/{item.output_name}")
            os.makedirs(os.path.dirname(aside), exist_ok=True)
            os.replace(path, aside)
            yield item.output_name
        except (OSError, PermanentError) as error:
            run_logger().warning(
                "%s is of an earlier run, as its file has failed now, and can't be moved: %s",
                path,
                getattr(error, "strerror", error),
            )
