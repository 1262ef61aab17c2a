"""Which files `inputs` means, and what is refused before anything is created."""

import gc
import glob
import os
import tracemalloc
from array import array

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.spec.blob_places import InputBlob
from tasks.spec.inputs import find_inputs, make_inputs
from tasks.spec.output_places import OutputPlace
from tasks.spec.patterns import LeftOut, read_pattern, walk
from tasks.spec.sources import Sources, find_sources, name_file
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


def test_of_an_input_in_blob_storage_a_few_hundred_bytes_are_kept():
    """Its names, its ETag and its size, each once: its URL is made of them."""
    count = 1000
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
        [name_file(blob.name.removeprefix("2026/"), blob.url) for blob in found],
        blobs={blob.url: blob for blob in found},
        sizes_bytes=array("Q", (blob.size_bytes for blob in found)),
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


@pytest.mark.parametrize("source", ["in/*/../a.txt", "in/**/..", "*/../*.txt"])
def test_a_glob_that_climbs_behind_a_wildcard_is_refused(source):
    """It would match nothing, and say that there is no file; before a wildcard `..` is as any folder."""
    with pytest.raises(InputError, match="stands behind a wildcard"):
        read_pattern(source)
    assert read_pattern("in/../*.txt").parts == ("*.txt",)
