"""Lists of inputs: a file, or standard input, that has a path in each line."""

import io
import os
import re

import pytest

from tasks.errors import InputError
from tasks.spec.inputs import find_inputs
from tasks.spec.sources import _read_standard_input
from tests.unit.tasks.input_files import DEFAULT, make, names_of


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
def test_a_file_may_list_the_inputs(separator, tmp_path, monkeypatch):
    """A path a line, or with NUL between; names keep their folders, as tar has them."""
    make(tmp_path, "x/a [1].txt", "x/y/*.txt", "here/z.txt", "@b")
    paths = ["../x/a [1].txt", f"{tmp_path}/x/y/*.txt", "", "./z.txt", "z.txt"]
    (tmp_path / "list").write_bytes(separator.join(paths).encode())
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"../@b\n")))
    below = str(tmp_path).lstrip("/")
    assert names_of("@../list") == [f"{below}/x/y/*.txt", "x/a [1].txt", "z.txt"]
    assert names_of(["@../list", "-"])[0] == "@b"
    # Another attempt in the same process finds the same.
    assert names_of("-") == ["@b"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_is_read_by_the_mark_of_its_encoding(encoding, tmp_path, monkeypatch):
    """As editors and PowerShell on Windows write lists."""
    make(tmp_path, "a.txt", "zażółć.txt")
    (tmp_path / "list").write_text("a.txt\r\nzażółć.txt\r\n", encoding=encoding)
    monkeypatch.chdir(tmp_path)
    assert names_of("@list") == ["a.txt", "zażółć.txt"]


@pytest.mark.parametrize(("name", "shown"), [(" a", "' a'"), ("a\t", r"'a\t'"), ("a\udcff", r"'a\udcff'")])
def test_what_cannot_be_seen_of_a_name_is_told(name, shown, tmp_path, monkeypatch):
    """A path with spaces around it, or with what is no text, is told so that one sees why it is not there."""
    (tmp_path / "list").write_bytes(os.fsencode(f"{name}\n"))
    monkeypatch.chdir(tmp_path)
    told = f"1 path in a list of inputs can't be used:\n  list, line 1: {shown} is not there"
    with pytest.raises(InputError, match=re.escape(told)):
        find_inputs("@list", DEFAULT)


def test_lines_that_are_no_files_are_told(tmp_path, monkeypatch):
    """With the number of the line, ten of them; and a list that is not there."""
    make(tmp_path, "x/a")
    (tmp_path / "list").write_text("x/a\nx\n" + "gone\n" * 100)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"101 paths(.|\n)*line 2: x is a folder(.|\n)*line 3: gone is not"):
        find_inputs("@list", DEFAULT)
    with pytest.raises(InputError, match=r"list of inputs nowhere can't be read(.|\n)*\./@nowhere"):
        find_inputs("@nowhere", DEFAULT)


def test_standard_input_that_is_not_there_is_told(monkeypatch):
    """As `<&-` closes it, and some services start what they start."""
    _read_standard_input.cache_clear()
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="no standard input to read a list of inputs from"):
        find_inputs("-", DEFAULT)
