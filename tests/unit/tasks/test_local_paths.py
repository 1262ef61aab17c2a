"""Paths on the local disk: what nobody can ask it about, and where outputs really come to lie."""

import os

import pytest

from tasks.base.partial_files import PARTIAL_FOLDER, remove_partial_files
from tasks.downloads import locate_output_folder
from tasks.errors import InputError
from tasks.plans import find_application
from tasks.spec.inputs import find_inputs
from tasks.spec.local_paths import find_obstacles
from tests.unit.tasks.input_files import make


@pytest.mark.parametrize(
    "locate", [locate_output_folder, find_application, lambda path: find_inputs(path, "{name}")]
)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nobody-of-this-name/x", "~nobody-of-this-name has no home folder"),
        ("x" * 300, "File name too long"),
        ("a\0b", "no path has such a character"),
        ("circle/x", "Too many levels of symbolic links"),
        ("s3://bucket/x", "is no path on this machine.*az://CONTAINER/NAME"),
        ("file:///etc/hosts", "is no path on this machine"),
    ],
)
def test_a_path_that_the_disk_can_not_be_asked_about_is_refused(locate, path, message, tmp_path, monkeypatch):
    """Whatever it is given for, it is told in a line."""
    monkeypatch.chdir(tmp_path)
    os.symlink("circle", "circle")
    with pytest.raises(InputError, match=message):
        locate(path)


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"out/s": "../in/s"}, "the folder 's' is a link out of"),
        ({"out/s": "../elsewhere"}, "the folder 's' is a link out of"),
        ({"out/s": "t"}, r"'s/a\.txt' and 't/a\.txt' would both be .*out/t/a\.txt, by a link"),
        ({"out/s": "../in/a.txt"}, "the folder 's' is a link out of"),
        ({"out/s": "gone/../../in"}, "the folder 's' is a link out of"),
        ({"out/s": "s"}, r"the folder 's' can't be made: .*out/s is no folder"),
        ({"out/.partial": "../in"}, r"the folder '\.partial' is a link out of"),
        ({"out/.logs": "../elsewhere"}, r"the folder '\.logs' is a link out of"),
        ({"in/b.txt": "../out/a.txt"}, r"in/b\.txt, by the output of 'a\.txt'"),
        ({"out": "in/s"}, None),
        ({"out/a.txt": "../in/a.txt"}, None),
        ({"in/b.txt": "../out/other"}, None),
    ],
)
def test_where_outputs_really_lie_is_known_before_anything_is_paid(links, message, tmp_path, monkeypatch):
    """Links lead no output out of its folder, into another's or an input's place."""
    make(tmp_path, "in/a.txt", "in/s/a.txt", "in/t/a.txt", "elsewhere/x")
    monkeypatch.chdir(tmp_path)
    if "out" not in links:
        make(tmp_path, "out/a.txt", "out/other", "out/t/x")
    for path, target in links.items():
        (tmp_path / path).unlink(missing_ok=True)
        os.symlink(target, path)
    if message is None:
        assert find_inputs("in", "{name}", tmp_path / "out")
        return
    if "in/b.txt" in links:
        make(tmp_path, "out/a.txt")
    with pytest.raises(InputError, match=message):
        find_inputs("in", "{name}", tmp_path / "out")


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("out/a.txt/x", r"out/a\.txt' is a folder"),
        ("out/s", r"the folder 's' can't be made: .*out/s is no folder"),
        ("out/s/deep/x", None),
        ("out/s/a.txt", None),
    ],
)
def test_what_is_in_an_output_s_way_is_told_beforehand(there, message, tmp_path):
    """A folder under an output's name, a file under its folder's; an output takes the place of a file."""
    make(tmp_path, "in/a.txt", "in/s/a.txt", there)
    if message is None:
        assert find_inputs(str(tmp_path / "in"), "{name}", tmp_path / "out")
        return
    with pytest.raises(InputError, match=f"1 output can't be written to the output folder:\n.*{message}"):
        find_inputs(str(tmp_path / "in"), "{name}", tmp_path / "out")


def test_only_what_runs_have_begun_to_write_is_removed(tmp_path):
    """Files of others, that a link leads to or somebody has put there, are no leftovers."""
    make(tmp_path, "in/a.txt", f"in/{'0' * 32}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / PARTIAL_FOLDER).symlink_to(tmp_path / "in")
    remove_partial_files(tmp_path / "out")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.txt"]


def test_a_folder_in_an_output_s_place_is_found_also_where_nobody_may_list(tmp_path, monkeypatch):
    """A link to a folder is none: it is replaced as a file is."""

    def refuse(path):
        raise PermissionError(path)

    make(tmp_path / "in", "a.txt", "b.txt")
    make(tmp_path / "out" / "a.txt", "deeper.txt")
    (tmp_path / "out" / "b.txt").symlink_to("a.txt")
    for find in (os.scandir, refuse):
        monkeypatch.setattr("tasks.spec.local_paths.os.scandir", find)
        obstacles = [*find_obstacles(str(tmp_path / "out"), ["a.txt", "b.txt", "c.txt"])]
        assert obstacles == [f"'{tmp_path}/out/a.txt' is a folder"]
