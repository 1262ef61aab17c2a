"""Which files `inputs` means, and what is refused before anything is created."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.spec.inputs import find_inputs, name_output, why_no_blob_name

DEFAULT = "{stem}_OUTPUT{suffix}"


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names_of(inputs, output_name=DEFAULT):
    return [file.name for file in find_inputs(inputs, output_name)]


def test_a_folder_means_all_its_files_in_order(tmp_path):
    """A folder's files are listed with their sub-folders, sorted, with their sizes."""
    make(tmp_path, "b.txt", "a/c.txt", "a/.hidden")
    files = find_inputs(str(tmp_path), DEFAULT)
    assert [file.name for file in files] == ["a/.hidden", "a/c.txt", "b.txt"]
    assert [file.output_name for file in files] == ["a/.hidden_OUTPUT", "a/c_OUTPUT.txt", "b_OUTPUT.txt"]
    assert files[1].size_bytes == len("a/c.txt")


def test_a_glob_keeps_the_folders_below_its_fixed_part(tmp_path):
    """Names are relative to the folder before the first wildcard."""
    make(tmp_path, "x/one.txt", "x/y/two.txt", "x/three.md")
    assert names_of(f"{tmp_path}/x/**/*.txt") == ["one.txt", "y/two.txt"]


def test_a_path_is_taken_at_its_word_before_it_is_a_glob(tmp_path):
    """A file whose name has wildcards can be given by that name."""
    make(tmp_path, "a[1].txt", "a1.txt")
    assert names_of(f"{tmp_path}/a[1].txt") == ["a[1].txt"]


def test_a_list_joins_its_parts_and_ignores_repetition(tmp_path):
    """The same file given twice is one input."""
    make(tmp_path, "one.txt", "two.txt")
    assert names_of([f"{tmp_path}/one.txt", str(tmp_path)]) == ["one.txt", "two.txt"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("nowhere", "There is no file or folder nowhere"),
        ("*.none", r"No file matches \*\.none"),
        (".", r"The folder \. has no files"),
        ([], "There are no inputs"),
    ],
)
def test_nothing_to_do_is_an_error(inputs, message, tmp_path, monkeypatch):
    """Missing and empty inputs are told apart, and named."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        find_inputs(inputs, DEFAULT)


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


def test_the_folder_of_logs_is_not_for_outputs(tmp_path):
    """Outputs don't mix with the logs of failed tasks."""
    make(tmp_path, ".logs/x.txt")
    with pytest.raises(InputError, match=r"kept for the logs"):
        find_inputs(str(tmp_path), DEFAULT)


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
    with pytest.raises(InputError, match="1 inputs can't be used"):
        find_inputs(str(tmp_path), DEFAULT)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    """A file name of other bytes has no blob name."""
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("")
    with pytest.raises(InputError, match="is not UTF-8"):
        find_inputs(str(tmp_path), DEFAULT)


def test_long_lists_of_problems_are_cut(tmp_path):
    """A thousand bad names make one message of bounded length."""
    make(tmp_path, *(f"{number}." for number in range(1000)))
    with pytest.raises(InputError, match=r"1000 inputs can't be used:(.*\n){10,12}.*and 990 more"):
        find_inputs(str(tmp_path), DEFAULT)


@pytest.mark.parametrize("template", ["{nope}", "{", "", "{stem}/x", "..", "{0}"])
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
