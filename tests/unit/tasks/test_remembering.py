"""What is remembered of outputs when a run is stopped, and what is set aside."""

import gc
import json
import math
import tracemalloc
from array import array
from itertools import starmap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.packed import PackedTexts
from tasks.reuse import output_records, record_lines, remembering
from tasks.reuse.output_records import read_records, write_records
from tasks.reuse.record_lines import (
    OutputRecord,
    OutputRecords,
    check_order,
    merge_lines,
    put_in_order,
    sort_lines,
    spell_record,
)
from tasks.reuse.remembering import list_records, remembered, set_stale_aside
from tasks.spec.work import WorkItem, WorkItems, make_item
from tasks.watch.collected import OutputMd5s, TaskResults

ITEM = WorkItem("a.txt", "a_OUTPUT.txt", "5eed", b"\x5e\xed")


def test_what_has_arrived_is_remembered_whatever_else_fails(monkeypatch):
    """Also if those that are still on their way can't be waited for."""
    written = {}
    monkeypatch.setattr(remembering, "write_records", lambda _folder, made: written.update(made))

    def stop():
        raise OSError("no more threads")

    items, fetched = WorkItems([make_item("a.txt", "a.out", "0a" * 16, "recipe")]), OutputMd5s()
    fetched.note(0, "0a1b")
    outputs = SimpleNamespace(items=items, fetched=fetched, tasks=TaskResults(), stop=stop)
    with pytest.raises(OSError, match="no more threads"), remembered(Path(), outputs):  # pyright: ignore
        raise KeyboardInterrupt
    assert written.keys() == {"a.txt"}


def test_a_stale_output_that_can_not_be_moved_is_told(tmp_path, caplog, monkeypatch):
    """The folder for such leads elsewhere: nothing is written there, and the run goes on."""
    monkeypatch.setattr(remembering, "read_records", lambda _folder: {})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".earlier").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "a_OUTPUT.txt").write_text("old")
    outputs = SimpleNamespace(has_ended=lambda _item: True, find_failed=lambda: [ITEM])
    assert set_stale_aside(tmp_path / "out", outputs) == []  # pyright: ignore[reportArgumentType]
    assert "would follow a link out of" in caplog.text
    assert (tmp_path / "out" / "a_OUTPUT.txt").read_text() == "old"
    assert list((tmp_path / "elsewhere").iterdir()) == []


class Storage:
    """Prefect's result storage, as far as it is used here."""

    def __init__(self):
        self.results = {}
        self.writes_left = math.inf

    def read(self, key):
        if key not in self.results:
            raise ValueError("no such result")
        return SimpleNamespace(result=self.results[key])

    def write(self, result, key):
        self.writes_left -= 1
        if self.writes_left < 0:
            raise OSError("the storage is away")
        self.results[key] = json.loads(json.dumps(result))


@pytest.fixture
def storage(monkeypatch):
    storage = Storage()
    monkeypatch.setattr(output_records, "find_result_store", lambda: storage)
    return storage


TABLE = {"a": ["1", "aa"], "b\udcff": ["2", "bb", 0.5]}
OF_TABLE = {"a": OutputRecord("1", "aa"), "b\udcff": OutputRecord("2", "bb", 0.5)}


@pytest.mark.parametrize(("earlier", "expected"), [(TABLE, OF_TABLE), (None, {}), ("no records", {})])
def test_what_is_remembered_is_read_again(tmp_path, storage, earlier, expected):
    """Beside what was kept as a table; of what was remembered of a name, the last. What can't be read as
    records is none."""
    storage.write(earlier, output_records._storage_key(tmp_path))
    known = read_records(tmp_path)
    assert known == expected
    write_records(tmp_path, [("a", OutputRecord("3", "cc", 1.5)), ("d", OutputRecord("4", "dd"))])
    write_records(tmp_path, [("d", OutputRecord("5", "ee"))])
    assert read_records(tmp_path) == {
        **known,
        "a": OutputRecord("3", "cc", 1.5),
        "d": OutputRecord("5", "ee"),
    }


def test_what_is_remembered_of_many_is_in_several_results(tmp_path, storage, monkeypatch):
    """One that is broken costs its own records alone, and a write that ends early none."""
    monkeypatch.setattr(output_records, "PART_RECORDS", 3)
    made = {f"{number}.txt": OutputRecord("1", "aa", float(number)) for number in range(7)}
    write_records(tmp_path, made.items())
    assert len(storage.results) == 1 + 3
    assert read_records(tmp_path) == made
    new = {"6.txt": OutputRecord("2", "bb"), "new.txt": OutputRecord("3", "cc")}
    storage.writes_left = 2
    write_records(tmp_path, new.items())
    assert read_records(tmp_path) == made
    storage.writes_left = math.inf
    for _ in range(2):
        write_records(tmp_path, new.items())
        assert read_records(tmp_path) == made | new
    key = output_records._storage_key(tmp_path)
    letter = storage.results[key].split()[1]
    storage.results[f"{key}-{letter}1"] = "broken"
    left = read_records(tmp_path)
    assert 5 <= len(left) < 8
    assert left.items() <= (made | new).items()


NAMES = st.text(max_size=5) | st.sampled_from(["a", "a b", "a.txt", 'a"', "a\\", 'a\\"', "\udcff", ""])
RECORDS = st.builds(OutputRecord, st.text(max_size=3), st.just("aa"), st.none() | st.just(0.5))


@given(st.dictionaries(NAMES, RECORDS), st.dictionaries(NAMES, RECORDS), st.lists(NAMES))
def test_records_are_found_in_whatever_order_they_were_kept_and_are_asked_for(there, made, asked):
    """Of a name that was remembered before, what was made last counts."""
    lines = [[*sort_lines(starmap(spell_record, one.items()))] for one in (there, made)]
    packed, merged = OutputRecords(lines[0]), OutputRecords(merge_lines(lines[1], lines[0]))
    assert {name: packed[name] for name in asked if name in packed} == {
        name: there[name] for name in asked if name in there
    }
    assert dict(merged) == {**there, **made}
    assert [*check_order(merge_lines(lines[1], lines[0]))] == [*merged.cut(0, len(merged))]


def test_a_name_that_stands_twice_is_made_one_by_the_next_write():
    """Machines that write at once may leave that. Of both, none may stand before what was made since."""
    old = [spell_record("a", OutputRecord(source, "aa")) for source in ("1", "3")]
    made = [spell_record("a", OutputRecord("2", "bb"))]
    merged = OutputRecords(merge_lines(made, old))
    assert [*merged.items()] == [("a", OutputRecord("2", "bb"))]


@pytest.mark.parametrize("line", [b'["a","1"]', b'["a",1,]', b'["a","1","aa",2.0,"of later versions"]'])
def test_a_broken_line_is_the_record_of_no_output(line):
    """The file is run again, and its run goes on."""
    records = OutputRecords([line, spell_record("b", OutputRecord("2", "bb"))])
    assert records["a"] == OutputRecord("", "")
    assert records["b"] == OutputRecord("2", "bb")


@given(st.lists(NAMES, unique=True), st.integers(1, 4), st.sampled_from([2, 100]))
def test_numbers_of_names_are_put_in_the_order_of_their_lines(names, size, runs_max):
    """Whether they come in shards that are in order themselves, or not."""
    shards = [sorted(names)[start : start + size] for start in range(0, len(names), size)]
    for order in (names, [name for shard in shards[::-1] for name in shard]):
        packed = PackedTexts(order)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(record_lines, "RUNS_MAX", runs_max)
            numbers = put_in_order(array("I", range(0, len(order), 2)), packed)
        lines = [spell_record(order[number], OutputRecord("1", "aa")) for number in numbers]
        assert lines == sorted(lines)
        assert sorted(numbers) == [*range(0, len(order), 2)]


def test_to_remember_takes_no_memory_by_the_file(tmp_path, storage, monkeypatch):
    """What was made is read and spelled, merged with what there is, and written, a part at a time."""
    monkeypatch.setattr(output_records, "PART_RECORDS", 100)
    items, fetched = WorkItems(), OutputMd5s()
    for number in range(8_000):
        items.append(make_item(f"{number:07}.txt", f"{number:07}.out", "0a" * 16, "recipe"))
        fetched.note(number, "0a" * 16)
    outputs: Any = SimpleNamespace(fetched=fetched, tasks=TaskResults())
    write_records(tmp_path, list_records(outputs, items)[:100])
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(2):
            write_records(tmp_path, list_records(outputs, items))
        # What is kept is what the storage has been given, which is in memory here.
        kept_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (most_bytes - kept_bytes) / len(items) < 80
    assert len(read_records(tmp_path)) == len(items)
