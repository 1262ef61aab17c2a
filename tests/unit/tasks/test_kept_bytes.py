"""What a run keeps of its files: few bytes of each, however it comes."""

import ctypes
import gc
import tracemalloc
from array import array
from datetime import datetime, timezone

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.azure.uploaded_blobs import UploadedBlobs
from tasks.base import derived_texts
from tasks.base.derived_texts import DerivedTexts
from tasks.base.free_memory import return_memory
from tasks.base.packed import append_number
from tasks.spec.file_results import FileResult, TaskResult
from tasks.spec.input_files import InputFiles
from tasks.spec.packed_results import FileResults
from tasks.spec.work import WorkItems, make_item
from tasks.watch.awaited_tasks import AwaitedTasks
from tasks.watch.collected import OutputMd5s, TaskResults
from tasks.watch.completed_tasks import Seen

COUNT = 3_000
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


def keep_all(count: int) -> list[object]:
    """What is there at the end of a run of so many files."""
    files, items, tasks, md5s = InputFiles(), WorkItems(expected=count), TaskResults(), OutputMd5s()
    for number in range(count):
        files.append("/in/", f"{number // 1000:04}/{number:07}.txt", make_output_name(number), 20)
    for number, file in enumerate(files):
        items.append(make_item(file.name, file.output_name, f"{number:032x}", "recipe"))
    awaited = AwaitedTasks(items, Seen())
    for number, item in enumerate(items):
        assert awaited.take(item.task_id)
        tasks.add(number, TaskResult(item.task_id, NOW, 0, f"node-{number % 100}", 0.25))
        md5s.note(number, f"{number:032x}")
    results = FileResults(names=files.names)
    for number, item in enumerate(items):
        assert items.find_named(item.name) == number
        task = tasks.get(number, item.task_id)
        results.append(FileResult(item.name, task, f"/out/{item.output_name}"))
    return [files, items, tasks, md5s, awaited, results]


def make_output_name(number: int) -> str:
    return f"{number // 1000:04}/{number:07}_OUTPUT.txt"


def test_of_a_file_that_was_run_little_more_is_kept_than_its_digests_and_times():
    """Names once, of 16 characters here; four digests of 16 bytes each, and the rest by a few numbers."""
    keep_all(10)
    gc.collect()
    tracemalloc.start()
    try:
        kept = keep_all(COUNT)
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept
    assert kept_bytes / COUNT < 215


PATHS = st.text("ab/.%", max_size=6)


@given(st.lists(st.tuples(PATHS, PATHS, PATHS)), st.sampled_from([1, 3, 200]))
def test_derived_texts_are_the_texts_however_they_are_made(texts, ways_max):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(derived_texts, "WAYS_MAX", ways_max)
        derived = DerivedTexts()
        for text, source, root in texts:
            derived.append(text, source, root)
        made = [derived.make(number, source) for number, (_, source, _) in enumerate(texts)]
        if derived.differ_as_sources:
            pairs = {(text, source) for text, source, _ in texts}
            assert len({text for text, _ in pairs}) == len({source for _, source in pairs})
    assert made == [text for text, _, _ in texts]


def test_a_column_has_room_for_numbers_of_any_size():
    column = array("B")
    numbers = [0, 255, 256, 65_536, 2**32 - 1, 2**32, 1]
    for number in numbers:
        column = append_number(column, number)
    assert [*column] == numbers


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library can't")
def test_memory_that_is_free_between_what_is_kept_is_given_back():
    pieces = [bytearray(100_000) for _ in range(500)]
    del pieces[::2]
    process = psutil.Process()
    held_bytes = process.memory_info().rss
    return_memory()
    assert held_bytes - process.memory_info().rss > 20_000_000
    assert len(pieces) == 250


def test_of_a_blob_that_was_uploaded_before_little_more_is_kept_than_its_digests(monkeypatch):
    """Its MD5, hexadecimal, its ETag, and a digest of its name, of a listing that has much more."""

    def list_blobs(_container):
        for number in range(COUNT):
            yield (
                f"{number:032x}/{number:07}.txt",
                Blob(20, number.to_bytes(16, "big"), f"0x{number:015X}", NOW),
            )
        yield "unknown.txt", Blob(20, None, "0x1", NOW)

    monkeypatch.setattr(blobs, "list_blobs", list_blobs)
    gc.collect()
    tracemalloc.start()
    try:
        uploaded = UploadedBlobs("input")
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert uploaded.find(f"{7:032x}/{7:07}.txt") == (f"{7:032x}", f"0x{7:015X}")
    assert (len(uploaded), uploaded.find("unknown.txt"), uploaded.find("other")) == (COUNT, None, None)
    assert kept_bytes / COUNT < 110
