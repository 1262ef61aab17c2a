"""Sequences that are kept as bytes: they are what lists of the same things would be."""

import pickle
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.known_texts import KnownTexts, TextsByName
from tasks.base.packed import PackedTexts, Selection
from tasks.spec.blob_places import InputBlob
from tasks.spec.file_results import FileResult, TaskResult
from tasks.spec.packed_results import IS_SKIPPED, IS_UNCHANGED, FileResults
from tasks.spec.work import WorkItems, make_item
from tasks.watch.awaited_tasks import AwaitedTasks
from tasks.watch.collected import OutputMd5s, TaskResults
from tasks.watch.completed_tasks import Seen

# With what os.fsdecode makes of bytes that are no characters.
TEXTS = st.lists(st.text(st.characters(exclude_categories=())), max_size=40)


@given(TEXTS)
def test_packed_texts_are_the_texts(texts):
    packed = PackedTexts(texts)

    assert packed == texts
    assert [packed[number] for number in range(len(texts))] == texts


@given(TEXTS, st.slices(40), st.slices(40))
def test_slices_are_views_that_can_be_sliced_again(texts, first, second):
    assert PackedTexts(texts)[first][second] == texts[first][second]


@given(TEXTS)
def test_known_texts_are_numbered_as_they_come(texts):
    known = KnownTexts()
    numbers = {text: len(list(dict.fromkeys(texts[: texts.index(text)]))) for text in texts}

    assert [known.add(text) for text in texts] == [numbers[text] for text in texts]
    assert {text: known.find(text) for text in texts} == numbers
    assert len(known) == len(numbers)


def test_many_known_texts_are_found_and_others_not():
    known = KnownTexts(f"{number}.txt" for number in range(5_000))

    assert [known.find(f"{number}.txt") for number in range(5_000)] == list(range(5_000))
    assert not any(f"{number}.out" in known for number in range(5_000))


def test_a_selection_has_its_own_order():
    chosen = Selection(PackedTexts("abcd"), [3, 0, 0])

    assert chosen == ["d", "a", "a"]
    assert chosen[1:] == ["a", "a"]
    assert chosen[-1] == "a"
    with pytest.raises(IndexError):
        chosen[3]


def test_a_packed_text_takes_little_more_than_its_characters():
    tracemalloc.start()
    try:
        packed, known = PackedTexts(), KnownTexts()
        for number in range(5_000):
            packed.append(f"part-{number:06}.txt")
            known.add(f"part-{number:06}.txt")
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert taken / len(packed) < sys.getsizeof("part-000000.txt") + 16


ZONES = st.sampled_from([timezone.utc, timezone(timedelta(hours=-10))])
TIMES = st.datetimes(min_value=datetime(1970, 1, 1), timezones=ZONES)
MANY = st.integers() | st.none()
TASK_RESULTS = st.builds(
    TaskResult,
    task_id=st.text(),
    changed_at=TIMES,
    exit_code=MANY,
    node_id=st.sampled_from(["", "node-1", "node-2"]),
    seconds=st.none() | st.floats(0, 1e9),
    tries=st.integers(1),
    category=st.sampled_from(["", "UserError"]),
    code=st.sampled_from(["", "FailureExitCode"]),
    message=st.text(max_size=3),
)
FILE_RESULTS = st.builds(
    FileResult,
    name=st.text(),
    task=st.none() | TASK_RESULTS,
    output_path=st.none() | st.text() | st.from_regex(r"(/?[ab]/)?[ab]", fullmatch=True),
    problem=st.sampled_from(["", "exit code 1"]),
    stderr=st.sampled_from(["", "no such file"]),
    unchanged=st.booleans(),
    skipped=st.booleans(),
)


@given(st.lists(FILE_RESULTS, max_size=20))
def test_packed_results_are_the_results(results):
    packed = FileResults(results)

    assert packed == results
    assert pickle.loads(pickle.dumps(packed)) == results


@given(st.lists(TASK_RESULTS, max_size=20, unique_by=lambda result: result.task_id))
def test_the_first_result_of_a_task_counts(results):
    numbered = [*enumerate(results)]
    packed = TaskResults(reversed(numbered))
    again = [packed.add(number, replace(result, tries=result.tries + 1)) for number, result in numbered]

    assert not any(again)
    assert [packed.get(number, result.task_id) for number, result in numbered] == results
    assert [packed.find_seconds(number) for number, _ in numbered] == [result.seconds for result in results]
    assert packed.failed == sum(not result.succeeded for result in results)
    assert packed.get(len(results), "another") is None
    assert len(results) not in packed


def test_an_output_has_its_latest_md5():
    md5s, first, second = OutputMd5s(), "0a" * 16, "ff" * 16
    for number, md5 in ((1, first), (5, None), (2, ""), (1, second), (5, first), (3, None)):
        md5s.note(number, md5)

    assert [md5s.get(number) for number in range(7)] == [None, second, "", None, None, first, None]
    assert [number for number in range(7) if number in md5s] == [1, 2, 3, 5]
    assert [number for number in range(7) if md5s.has_output(number)] == [1, 2, 5]
    assert (len(md5s), md5s.found) == (4, 3)


BLOB = InputBlob("account", "container", "a.txt", etag="0x1", size_bytes=1)


def test_packed_work_is_the_work_and_found_by_its_task():
    items = [
        make_item("a.txt", "a.out", "0a" * 16, "recipe"),
        make_item("b.txt", "b.out", BLOB.etag, "recipe", BLOB),
        make_item("sub/\udcff", "sub/\udcff.out", "ff" * 16, "recipe"),
    ]
    packed = WorkItems(items[:1])

    assert packed.find(items[1].task_id) is None
    packed.extend(items[1:])
    assert packed == items
    assert [packed.find(item.task_id) for item in items] == [0, 1, 2]
    assert [packed.find_named(item.name) for item in items] == [0, 1, 2]
    assert packed.find_named("c.txt") is None
    assert packed[1:][::-1] == items[:0:-1]


@pytest.mark.parametrize(("kind", "is_seen"), [(list, False), (WorkItems, True)])
def test_a_task_is_awaited_until_it_has_come_once(kind, is_seen):
    """Results have the numbers of the work; in any other list a number may be that of something else."""
    items = [make_item(f"{name}.txt", f"{name}.out", name * 32, "recipe") for name in "abc"]
    seen = TaskResults([(0, TaskResult(items[0].task_id, datetime(2026, 1, 1, tzinfo=timezone.utc), 0))])
    awaited = AwaitedTasks(kind(items), Seen(seen.mark_known()))

    assert [awaited.take(items[number].task_id) for number in (0, 1, 1)] == [not is_seen, True, False]
    assert not awaited.take("another")
    assert (awaited.left_count, [*awaited.list_left()]) == (1, [items[2].task_id])
    assert (items[0].task_id in awaited, "another" in awaited) == (True, False)


@given(st.lists(FILE_RESULTS, max_size=20))
def test_packed_results_are_counted_as_the_results_are(results):
    packed = FileResults(results)

    assert packed.count_states() == Counter(result.state for result in results)
    assert packed.with_problems == [result for result in results if result.problem]
    assert packed.unchanged == [result for result in results if result.unchanged]
    assert packed.outputs == {one.name: one.output_path for one in results if one.output_path is not None}
    assert packed.output_count == len([one for one in results if one.output_path is not None])
    assert packed.with_tasks == [one for one in results if one.task]
    told, silent = packed.split_by_interest()
    assert told == [one for one in results if one.task or one.problem]
    assert [results[number].name for number, _ in silent] == [
        one.name for one in results if not (one.task or one.problem)
    ]


@given(
    st.lists(st.tuples(st.text(), st.from_regex(r"([ab]/)?[ab]", fullmatch=True), st.booleans())),
    st.sampled_from(["/out/", "https://a.b/c/d/"]),
)
def test_files_that_were_not_run_are_the_same_as_their_results(files, folder):
    packed = FileResults()
    for name, output_name, is_skipped in files:
        packed.append_settled(name, folder, output_name, IS_SKIPPED if is_skipped else IS_UNCHANGED)

    assert packed == [
        FileResult(name, None, folder + output_name, unchanged=not is_skipped, skipped=is_skipped)
        for name, output_name, is_skipped in files
    ]
    assert [*packed.list_settled()] == [(one.name, one.state, one.output_path) for one in packed]


@given(st.lists(st.tuples(st.text(), st.text())))
def test_texts_are_found_by_their_names_as_in_a_dictionary(pairs):
    """Of a name that stands twice the first."""
    packed, expected = TextsByName(pairs), dict(reversed(pairs))
    assert len(packed) == len(expected)
    assert {name: packed.get(name) for name in expected} == expected
    assert packed.get("".join(expected) + ".") is None
