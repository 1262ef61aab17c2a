"""What is remembered of outputs when a run is stopped, and what is set aside."""

import json
import math
from array import array
from itertools import starmap
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reuse import output_records, remembering
from tasks.reuse.output_records import read_records, write_records
from tasks.reuse.record_lines import OutputRecord, OutputRecords, merge_lines, spell_record
from tasks.reuse.remembering import remembered, set_stale_aside
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
    packed, new = (OutputRecords(starmap(spell_record, one.items())) for one in (there, made))
    merged = OutputRecords(merge_lines(new, packed))
    assert {name: packed[name] for name in asked if name in packed} == {
        name: there[name] for name in asked if name in there
    }
    assert dict(merged) == {**there, **made}
    assert sorted(merged.cut(0, len(merged))) == [*merge_lines(new, packed)]


def test_a_name_that_stands_twice_is_made_one_by_the_next_write():
    """Machines that write at once may leave that. Of both, none may stand before what was made since."""
    old = [spell_record("a", OutputRecord(source, "aa")) for source in ("1", "3")]
    made = OutputRecords([spell_record("a", OutputRecord("2", "bb"))])
    merged = OutputRecords(merge_lines(made, OutputRecords(old)))
    assert [*merged.items()] == [("a", OutputRecord("2", "bb"))]


@pytest.mark.parametrize("line", [b'["a","1"]', b'["a",1,]', b'["a","1","aa",2.0,"of later versions"]'])
def test_a_broken_line_is_the_record_of_no_output(line):
    """The file is run again, and its run goes on."""
    records = OutputRecords([line, spell_record("b", OutputRecord("2", "bb"))])
    assert records["a"] == OutputRecord("", "")
    assert records["b"] == OutputRecord("2", "bb")


class Steps(array):
    """Numbers that count how many of them were passed in loops."""

    taken = 0

    def __iter__(self):
        for number in super().__iter__():
            Steps.taken += 1
            yield number


def test_records_are_merged_in_one_pass():
    """None is passed by again for each that was made."""
    names = [f"{number:04}" for number in range(500)]
    packed = OutputRecords(spell_record(name, OutputRecord("1", "aa")) for name in names)
    packed._ends = Steps("Q", packed._ends)
    assert len([*merge_lines(OutputRecords(packed.cut(0, 500)), packed)]) == 500
    assert Steps.taken <= 2 * 501
