"""The numbers of the work, where outputs come early and where several files share a Batch task."""

from datetime import datetime, timezone
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.azure import blobs
from tasks.downloads import Fetched
from tasks.errors import NotFoundError
from tasks.outputs.evidence import LogFolder
from tasks.spec.bundles import make_bundles
from tasks.spec.file_results import TaskResult
from tasks.spec.output_places import OutputPlace
from tasks.spec.work import WorkItems, make_item
from tasks.watch import bundle_outcomes
from tasks.watch.awaited_tasks import AwaitedTasks
from tasks.watch.bundle_watch import BundleWatch
from tasks.watch.completed_tasks import Seen
from tasks.watch.downloading import Outputs
from tasks.watch.early_outputs import EarlyOutputs

NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)
ITEMS = WorkItems(make_item(f"{letter}.txt", f"{letter}.out", "0a" * 16, "recipe") for letter in "abcdef")


def has_succeeded(number: int) -> TaskResult:
    return TaskResult(ITEMS[number].task_id, NOW, exit_code=0, seconds=float(number))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_files_that_are_done_are_not_taken_for_bundles_that_are(size):
    """A wait that is tried again knows of files by then. Their numbers are not those of the bundles."""
    seen = Seen(bytes([1, 1, 1]), NOW)
    bundles = make_bundles(ITEMS, size)
    assert [*AwaitedTasks(bundles, seen).list_left()] == [bundle.task_id for bundle in bundles]
    assert [*AwaitedTasks(ITEMS, seen).list_left()] == [item.task_id for item in ITEMS[3:]]


def test_what_became_of_a_bundle_is_told_once_however_often_a_wait_is_tried_again(tmp_path, monkeypatch):
    """A wait that is tried again hears of all that has completed; what could not be read is read then."""
    logs, bundles = LogFolder("key", "job", "output", tmp_path, OutputPlace("output")), make_bundles(ITEMS, 3)
    watch = BundleWatch(logs, bundles, max_tries=1)
    watch.pace.note(rest_seconds=3600)
    ended = [TaskResult(bundle.task_id, NOW, exit_code=0) for bundle in bundles]

    def read_blob(_container, name):
        if is_away:
            raise OSError("storage is away")
        raise NotFoundError(name)

    monkeypatch.setattr(blobs, "read_blob", read_blob)
    monkeypatch.setattr(bundle_outcomes, "has_output", lambda _outputs, _item: True)
    is_away = True
    with pytest.raises(OSError, match="away"):
        watch.read(ended[:1])
    is_away = False
    told = [[one.task_id for one in watch.read(completed)] for completed in (ended[:1], ended, ended)]
    assert told == [[item.task_id for item in ITEMS[:3]], [item.task_id for item in ITEMS[3:]], []]


def test_what_completed_is_not_lost_with_what_could_not_be_begun(tmp_path, monkeypatch):
    """A wait that is tried again hands nothing on that it has handed on before."""

    def start_nothing(_outputs, _numbers):
        raise RuntimeError("can't start new thread")

    outputs = Outputs(LogFolder("key", "job", "output", tmp_path, OutputPlace("output")), ITEMS)
    monkeypatch.setattr(Outputs, "_download", start_nothing)
    monkeypatch.setattr(Outputs, "_report", start_nothing)
    failed = TaskResult(ITEMS[0].task_id, NOW, exit_code=1)
    with pytest.raises(RuntimeError, match="thread"):
        outputs.begin([failed, has_succeeded(1), has_succeeded(2)])
    assert ([*outputs.failed], [*outputs.pending]) == ([0], [1, 2])


class Ended:
    """A download that has brought its outputs."""

    def __init__(self, items):
        self.whole = [[Fetched(f"{number:032x}", "0x1") for number, _ in enumerate(items)]]

    def result(self, **_):
        return self.whole

    def add_done_callback(self, call):
        call(self)


def test_what_downloads_have_brought_is_taken_out_while_a_list_is_read(tmp_path, monkeypatch):
    """Of a million files it was kept as objects until all pages were there, and told all at once."""
    started = []

    def start(_outputs, items):
        started.append(Ended(items))
        return started[-1]

    monkeypatch.setattr(Outputs, "_start_download", start)
    outputs = Outputs(LogFolder("key", "job", "output", tmp_path, OutputPlace("output")), ITEMS)
    for number in range(len(ITEMS)):
        outputs.begin([has_succeeded(number)])
        assert [one.whole for one in started] == [[]] * (number + 1)
    assert [[file.name for file in files] for files in outputs.take()] == [[item.name] for item in ITEMS]


def test_work_that_stands_twice_has_no_number():
    """All that comes after it would be found by the number of another."""
    items = WorkItems([*ITEMS[:2], ITEMS[0], ITEMS[3]])
    with pytest.raises(ValueError, match=r"two pieces of work"):
        items.find(ITEMS[3].task_id)
    with pytest.raises(ValueError, match=r"a\.txt"):
        items.find_named("d.txt")


@given(st.permutations(range(len(ITEMS))), st.lists(st.integers(1, 3), max_size=3))
def test_what_came_early_is_told_once_as_what_it_is(tmp_path_factory, order, sizes):
    """Downloads that had brought all before there was a wait, in whatever order."""
    folder, early, left = (
        tmp_path_factory.getbasetemp(),
        EarlyOutputs("job", "output", None, size=1),
        [*order],
    )
    for size in sizes:
        numbers, left = left[:size], left[size:]
        for number in numbers:
            early.tasks.add(number, has_succeeded(number))
            early.fetched.note(number, f"{number:032x}")
        early.arrived.append(numbers)
    logs = LogFolder("key", "job", "output", folder, OutputPlace("output"))
    outputs = Outputs(logs, ITEMS)
    outputs.go_on_with(early)
    told = [*chain.from_iterable(outputs.take())]
    came = order[: len(order) - len(left)]
    assert [one.name for one in told] == [ITEMS[number].name for number in came]
    assert [one.task for one in told] == [has_succeeded(number) for number in came]
    assert {one.output_path for one in told} == {str(folder / ITEMS[number].output_name) for number in came}
    assert [*outputs.take()] == []


def test_what_a_wait_hears_is_not_taken_for_what_was_seen_before_it(tmp_path):
    """Else one that is tried again would not look whether tasks that ended did so with their job."""
    early = EarlyOutputs("job", "output", tmp_path, size=100)
    early.tasks.add(0, has_succeeded(0))
    outputs = Outputs(LogFolder("key", "job", "output", tmp_path, OutputPlace("output")), ITEMS)
    outputs.go_on_with(early)
    outputs.tasks.add(1, has_succeeded(1))
    assert [number for number in range(len(ITEMS)) if number in outputs.tasks] == [0, 1]
    assert [*AwaitedTasks(ITEMS, outputs.seen).list_left()] == [item.task_id for item in ITEMS[1:]]
