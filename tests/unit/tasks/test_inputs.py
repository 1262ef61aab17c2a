"""Which files `inputs` means, and what is refused before anything is created."""

import gc
import glob
import os
import tracemalloc
from pathlib import PurePosixPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.spec.blob_places import InputBlob
from tasks.spec.file_names import why_no_blob_name
from tasks.spec.inputs import find_inputs, make_inputs, name_output
from tasks.spec.naming import RESERVED_FOLDERS
from tasks.spec.output_places import OutputPlace
from tasks.spec.patterns import LeftOut, read_pattern, walk
from tasks.spec.sources import Sources, find_sources
from tests.unit.tasks.input_files import DEFAULT, make, names_of


def test_a_folder_means_all_its_files_in_order(tmp_path):
    """A folder's files are listed with their sub-folders, sorted, with their sizes."""
    make(tmp_path, "b.txt", "a/c.txt", "a/d")
    files = find_inputs(str(tmp_path), DEFAULT)
    assert [file.name for file in files] == ["a/c.txt", "a/d", "b.txt"]
    assert [file.output_name for file in files] == ["a/c_OUTPUT.txt", "a/d_OUTPUT", "b_OUTPUT.txt"]
    assert files[0].size_bytes == len("a/c.txt")


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
        ("", "An input is empty"),
        (["  "], "An input is empty"),
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


def test_of_an_input_in_blob_storage_a_few_hundred_bytes_are_kept():
    """Its names, its ETag and its size, each once: its URL is made of them."""
    count = 5000
    gc.collect()
    tracemalloc.start()
    try:
        files = make_inputs(list_blobs(count), DEFAULT, None, OutputPlace("results", account="https://a.b"))
        gc.collect()
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert files[7].path == "https://a.b/photos/2026/folder/picture-000007.png"
    assert files[7].output_name == "folder/picture-000007_OUTPUT.png"
    assert kept_bytes / count < 550


def list_blobs(count: int) -> Sources:
    """As many blobs as a container has below a prefix."""
    names = [f"2026/folder/picture-{number:06}.png" for number in range(count)]
    found = [
        InputBlob("https://a.b", "photos", name, etag=f"0x8DC{number:012X}", size_bytes=1000 + number)
        for number, name in enumerate(names)
    ]
    return Sources(
        [(blob.name.removeprefix("2026/"), blob.url) for blob in found],
        blobs={blob.url: blob for blob in found},
    )


@pytest.fixture
def mixed(tmp_path):
    """A folder with hidden files and folders, links, and files in sub-folders."""
    folder = make(tmp_path / "in", "a.txt", "sub/b.txt", ".DS_Store", "sub/.git/c.txt", "sub/deep/d.txt")
    make(tmp_path / "elsewhere", "e.txt")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "circle").symlink_to(folder)
    (folder / "f.txt").symlink_to(tmp_path / "elsewhere" / "e.txt")
    return folder


def test_a_folder_and_a_glob_mean_the_same_files(mixed):
    """Hidden names and links to folders are left out by both, and counted with the reason."""
    found = [find_sources([f"{mixed}{glob}"]) for glob in ("", "/", "/**", "/**/*", "/**/**")]
    assert [name for name, _ in found[0].named] == ["a.txt", "f.txt", "sub/b.txt", "sub/deep/d.txt"]
    assert all(one.named == found[0].named for one in found)
    assert all(one.left_out.counts == {"hidden": 2, "behind a link to a folder": 2} for one in found)
    assert str(found[0].left_out).count(", ...") == 2


def test_what_is_hidden_or_a_link_is_taken_by_its_name(mixed, tmp_path):
    """A part of a glob that begins with a dot, a folder or file given by name, and a link given itself."""
    assert names_of(f"{mixed}/**/.git/*.txt") == ["sub/.git/c.txt"]
    assert names_of(f"{mixed}/.*") == [".DS_Store"]
    assert names_of([f"{mixed}/.DS_Store", f"{mixed}/sub/.git"]) == [".DS_Store", "c.txt"]
    assert names_of(f"{mixed}/linked") == ["e.txt"]
    assert names_of(f"{mixed}/linked/*") == ["e.txt"]


def test_folders_that_a_glob_matches_are_counted(mixed):
    """`in/*` means no file of a sub-folder, and says so."""
    found = find_sources([f"{mixed}/*"])
    assert [name for name, _ in found.named] == ["a.txt", "f.txt"]
    assert "1 in a folder, for which write `**`" in str(found.left_out)


def test_where_nothing_is_left_it_is_said_why(tmp_path):
    """A folder with nothing but hidden files names one."""
    make(tmp_path, ".DS_Store")
    with pytest.raises(InputError, match=r"has no files\. Left out: 1 hidden \(.*DS_Store\)"):
        find_inputs(str(tmp_path), DEFAULT)


PARTS = st.sampled_from(["*", "**", "a", "b", "a*", "?", "[ab]", ".a", ".*", "*.x"])
NAMES = st.sampled_from(["a", "b", ".a", "ab", "a.x", "c"])


@given(
    parts=st.lists(PARTS, min_size=1, max_size=4),
    paths=st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=12),
)
@example(parts=["**", ".a"], paths=[[".a", ".a"]])
@example(parts=["**", ".a", "*", "b"], paths=[[".a", "b", "b"], [".a", "b"]])
def test_a_glob_means_what_python_s_means(parts, paths, tmp_path_factory):
    """Without links a glob finds the files that the standard library's finds."""
    assume(any(set("*?[") & set(part) for part in parts))
    folder = tmp_path_factory.mktemp("tree")
    for path in paths:
        target = folder.joinpath(*path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        except (FileExistsError, NotADirectoryError):
            continue
    source = "/".join([str(folder), *parts])
    expected = {path for path in glob.glob(source, recursive=True) if os.path.isfile(path)}
    pattern = read_pattern(source)
    is_there = os.path.isdir(pattern.root)
    found = (
        {os.path.join(pattern.root, name) for name in walk(pattern, None, LeftOut())} if is_there else set()
    )
    assert found == expected
    # Whether a path is meant can be said without the disk.
    assert all(pattern.matches(os.path.relpath(path, pattern.root)) for path in found)


def test_outputs_of_earlier_runs_are_no_inputs(tmp_path):
    """An output folder below the inputs is left out, by a folder and by a glob, and said."""
    make(tmp_path, "a.txt", "out/a_OUTPUT.txt", "out/deep/b_OUTPUT.txt")
    for source in (tmp_path, f"{tmp_path}/**/*.txt"):
        found = find_sources([str(source)], tmp_path / "out")
        assert [name for name, _ in found.named] == ["a.txt"]
        assert "1 output folder" in str(found.left_out)


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


@pytest.mark.parametrize("source", ["in/*/../a.txt", "in/**/..", "*/../*.txt"])
def test_a_glob_that_climbs_behind_a_wildcard_is_refused(source):
    """It would match nothing, and say that there is no file; before a wildcard `..` is as any folder."""
    with pytest.raises(InputError, match="stands behind a wildcard"):
        read_pattern(source)
    assert read_pattern("in/../*.txt").parts == ("*.txt",)
