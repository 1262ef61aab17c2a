"""Which names of inputs and outputs are taken, and which are refused."""

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.spec import file_names
from tasks.spec import inputs as inputs_module
from tasks.spec.file_names import why_no_blob_name, why_no_local_path
from tasks.spec.inputs import find_inputs, name_output
from tasks.spec.naming import RESERVED_FOLDERS
from tests.unit.tasks.input_files import DEFAULT, make, names_of


def test_two_inputs_of_one_name_are_refused(tmp_path):
    """Files of different folders that would get one blob name are told with both paths."""
    make(tmp_path, "a/x.txt", "b/x.txt")
    with pytest.raises(InputError, match=r"a/x\.txt and .*b/x\.txt would both be 'x\.txt'"):
        find_inputs([f"{tmp_path}/a", f"{tmp_path}/b"], DEFAULT)


def test_two_inputs_with_one_output_are_refused(tmp_path):
    """A template that drops what tells two inputs apart is refused, naming them."""
    make(tmp_path, "x.txt", "x.md")
    with pytest.raises(InputError, match=r"'x\.md' and 'x\.txt' first, would be written to 'x\.out'"):
        find_inputs(str(tmp_path), "{stem}.out")


def test_an_output_that_another_needs_as_folder_is_refused(tmp_path):
    """`x` and `x/y` can't both be local files."""
    make(tmp_path, "x.txt", "x/y.txt")
    with pytest.raises(InputError, match="'x/y' needs 'x' as a folder"):
        find_inputs(str(tmp_path), "{stem}")


def test_the_folder_of_logs_is_not_for_outputs(tmp_path, monkeypatch):
    """Outputs don't mix with the logs of failed tasks, nor with others that are on their way or put aside."""
    make(tmp_path, "list").joinpath("list").write_text("\n".join(f"{name}/x" for name in RESERVED_FOLDERS))
    make(tmp_path, *(f"{name}/x" for name in RESERVED_FOLDERS))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"3 outputs would(.|\n)*kept for the logs"):
        find_inputs("@list", DEFAULT)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """A dangling link is an unreadable file, whoever runs this, and a pipe is no file."""
    make(tmp_path, "fine.txt")
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        InputError, match=r"2 inputs.*\n.*dangling\.txt can't be read.*\n.*pipe is no regular"
    ):
        find_inputs(str(tmp_path), DEFAULT)


@pytest.mark.parametrize("name", ["a\nb.txt", "a\\b.txt", "a./b.txt", "ends.", "x\x7f"])
def test_a_name_that_is_no_blob_name_is_refused(name, tmp_path):
    """What storage would refuse or change is told with its reason."""
    make(tmp_path, name)
    with pytest.raises(InputError, match="1 input can't be used"):
        find_inputs(str(tmp_path), DEFAULT)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    """A file name of other bytes has no blob name."""
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("")
    with pytest.raises(InputError, match="is not UTF-8"):
        find_inputs(str(tmp_path), DEFAULT)


def test_long_lists_of_problems_are_cut(tmp_path):
    """A thousand bad names make one message of bounded length."""
    make(tmp_path, *(f"{number}." for number in range(1000)))
    with pytest.raises(InputError, match=r"1,000 inputs can't be used:(.*\n){10,12}.*and 990 more"):
        find_inputs(str(tmp_path), DEFAULT)


@pytest.mark.parametrize(
    "template",
    ["{nope}", "{", "", "{stem}/x", "..", "{0}", "{}", "{name[a]}", "{name.upper}", "{name:99999999999}"],
)
def test_an_output_name_that_is_none_is_refused(template):
    """A bad template for output names is told, with what it may have."""
    with pytest.raises(InputError, match="output name"):
        name_output("a.txt", template)


@given(
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(
        lambda name: "\\" not in name and "/" not in name and not name.endswith(".")
    )
)
def test_outputs_stay_in_their_input_s_folder(name):
    """Whatever an input is called, its output is a file beside it that storage can name."""
    if why_no_blob_name(name) is None:
        output = name_output(f"sub/{name}", "{stem}_OUTPUT{suffix}")
        assert output.startswith("sub/")
        assert output.count("/") == 1
        path = PurePosixPath(f"sub/{name}")
        assert output == str(path.with_name(f"{path.stem}_OUTPUT{path.suffix}"))


@given(
    st.text(st.sampled_from("a./\\ \n\ue000\udcffé"))
    | st.integers(250, 260).map(lambda size: "a/" + "a" * size)
)
def test_a_plain_name_is_seen_to_be_one_at_once(name):
    """And a name is refused all the same for what makes it no name of a blob, nor of a file."""
    with pytest.MonkeyPatch.context() as patch:
        seen = why_no_blob_name(name) or why_no_local_path("/out", name)
        patch.setattr(file_names, "_is_plain", lambda _name: False)
        assert seen == (why_no_blob_name(name) or why_no_local_path("/out", name))


def test_names_that_only_look_the_same_are_no_clash(tmp_path, monkeypatch):
    """Whatever numbers they are told apart by at first."""
    monkeypatch.setattr(inputs_module, "hash", lambda _name: 0, raising=False)
    assert names_of(str(make(tmp_path, "a.txt", "b.txt", "c/a.txt"))) == ["a.txt", "b.txt", "c/a.txt"]


@pytest.mark.parametrize(
    ("inputs", "output_name", "output_dir", "message"),
    [
        ("in", "{name}", "in", r"2 inputs would be overwritten(.|\n)*in/a\.txt, by the output of 'a\.txt'"),
        ("in", "{name}", "same", "2 inputs would be overwritten"),
        ("in/sub/b.txt", "{name}", "in/sub", "1 input would be overwritten"),
        ("@list", "{name}", ".", "1 input would be overwritten"),
        ("in", DEFAULT, "in", r"2 outputs? would be input of the next run(.|\n)*in/a_OUTPUT\.txt"),
        ("in/*.txt", DEFAULT, "in", "1 outputs? would be input of the next run"),
        ("in/**/*.txt", DEFAULT, ".", None),
        ("in/*.txt", "{name}.json", "in", None),
        ("in/sub/b.txt", DEFAULT, "in/sub", None),
        ("in", DEFAULT, "in/out", None),
        ("in", DEFAULT, "same/out", None),
        ("in/sub", "{name}", "in", None),
    ],
)
def test_inputs_and_outputs_are_checked_against_each_other(
    inputs, output_name, output_dir, message, tmp_path, monkeypatch
):
    """No output takes an input's place or is one in the next run, through links neither."""
    make(tmp_path, "in/a.txt", "in/sub/b.txt")
    (tmp_path / "same").symlink_to(tmp_path / "in")
    (tmp_path / "list").write_text("in/a.txt\n")
    monkeypatch.chdir(tmp_path)
    if message is None:
        assert find_inputs(inputs, output_name, tmp_path / output_dir)
        return
    with pytest.raises(InputError, match=message):
        find_inputs(inputs, output_name, tmp_path / output_dir)


def test_outputs_are_no_inputs_of_the_next_run_either_below_the_folder_that_they_go_to(tmp_path):
    """Where inputs lie in a folder of it that one of them has in its name once more."""
    make(tmp_path, "in/sub/sub/c.txt")
    with pytest.raises(InputError, match=r"1 output would be input of the next run(.|\n)*sub/c_OUTPUT\.txt"):
        find_inputs(f"{tmp_path}/in/sub", DEFAULT, tmp_path / "in")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 245 + ".txt", r"has a part of 256 bytes; a file's name may have 255"),
        ("\ue000.txt", "private character"),
        ("\uffff.txt", "none in Unicode"),
        ("\x85.txt", "control character"),
    ],
)
def test_names_that_could_not_be_written_are_refused(name, message, tmp_path):
    """What storage, a listing of it, or the local disk can't hold is refused before anything is paid for."""
    make(tmp_path, name)
    with pytest.raises(InputError, match=message):
        find_inputs(str(tmp_path), DEFAULT)


@pytest.mark.parametrize(
    "name", ["a:b.txt", "C:report.txt", "x" * 244 + ".txt", "\u00a0\U0001f600.txt", "$HOME"]
)
def test_names_that_are_only_unusual_are_taken(name, tmp_path):
    """What is a rule elsewhere, or looks like a variable, is a name."""
    make(tmp_path, name)
    assert names_of(str(tmp_path)) == [name]
