"""The files of a node: what is listed and read, and that nothing outside its folder can be reached."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from batch_emulator.errors import BatchError
from batch_emulator.node import files as nodefiles

ESCAPES = [
    "..",
    "../secret.txt",
    "wd/../../secret.txt",
    "wd/../stdout.txt",
    "/etc/passwd",
    "link-to-file",
    "link-to-folder/secret.txt",
    "link-to-folder",
    "wd/up/secret.txt",
    "",
    ".",
    "/",
    pytest.param("stdout.txt\0.png", id="nul"),
    pytest.param("x" * 5000, id="too-long"),
    "absent",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A task's directory with a secret beside it and links that lead there."""
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "task"
    (root / "wd" / "b").mkdir(parents=True)
    (root / "stdout.txt").write_bytes(b"0123456789")
    (root / "stderr.txt").write_bytes(b"")
    (root / "wd" / "a.txt").write_bytes(b"a")
    (root / "wd" / "b" / "c.txt").write_bytes(b"c")
    (root / "link-to-file").symlink_to(tmp_path / "secret.txt")
    (root / "link-to-folder").symlink_to(tmp_path)
    (root / "wd" / "up").symlink_to("../..")
    return root


def names(root: Path, recursive: bool = False) -> list[str]:
    return [file.name for file in nodefiles.list_files(root, recursive=recursive)]


def read(root: Path, name: str, first: int = 0, size_bytes: int = 1 << 30) -> bytes:
    return b"".join(nodefiles.read_pieces(nodefiles.open_file(root, name), first, size_bytes))


def code(error: pytest.ExceptionInfo[BatchError]) -> str:
    return error.value.code


def test_list_is_flat_and_by_name(root: Path) -> None:
    """Without `recursive` only what lies in the folder itself is listed, by name."""
    assert names(root) == ["stderr.txt", "stdout.txt", "wd"]


def test_recursive_list_goes_level_by_level(root: Path) -> None:
    """A recursive list has each level after the one above it, each by name, with `/` in the names."""
    assert names(root, recursive=True) == [
        "stderr.txt",
        "stdout.txt",
        "wd",
        "wd/a.txt",
        "wd/b",
        "wd/b/c.txt",
    ]


@pytest.mark.parametrize(
    ("within", "found"),
    [
        ("wd/", ["wd/a.txt", "wd/b"]),
        ("wd/b/", ["wd/b/c.txt"]),
        *[(each, []) for each in ("wd/a.txt/", "absent/", "../", "/etc/", "link-to-folder/", "wd/../../")],
    ],
)
def test_list_of_a_folder_within(root: Path, within: str, found: list[str]) -> None:
    """A folder within is listed by the names that its files have below the root; none outside is."""
    assert [file.name for file in nodefiles.list_files(root, within=within)] == found


def test_links_are_listed_only_inside_and_never_entered(root: Path) -> None:
    """A link to a folder inside is listed but not descended into, so that a loop of links ends."""
    (root / "wd" / "loop").symlink_to(".")
    (root / "wd" / "same").symlink_to("a.txt")
    assert [name for name in names(root, recursive=True) if "loop" in name or "same" in name] == [
        "wd/loop",
        "wd/same",
    ]


def test_list_leaves_out_what_is_no_file(root: Path) -> None:
    """FIFOs and names that are not UTF-8 are left out of a list."""
    os.mkfifo(root / "fifo")
    (root / os.fsdecode(b"latin-\xe9")).write_bytes(b"")
    assert names(root) == ["stderr.txt", "stdout.txt", "wd"]


def test_list_of_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Listing a folder that isn't there raises FileNotFound at the call."""
    with pytest.raises(BatchError) as error:
        nodefiles.list_files(tmp_path / "absent")
    assert code(error) == "FileNotFound"


def test_stat_tells_size_time_and_mode(root: Path) -> None:
    """A file's properties are its own; the mode is st_mode with the kind of file in it."""
    (root / "stdout.txt").chmod(0o644)
    file = nodefiles.stat(root, "stdout.txt")
    assert (file.name, file.is_directory, file.size_bytes, oct(file.mode)) == (
        "stdout.txt",
        False,
        10,
        "0o100644",
    )
    assert datetime.now(timezone.utc) - file.modified < timedelta(minutes=1)
    assert nodefiles.stat(root, "wd/").is_directory


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_outside_can_be_reached(root: Path, name: str) -> None:
    """Whatever leads out of the folder, or to nothing, is not found by any operation."""
    for operation in (nodefiles.resolve, nodefiles.stat, nodefiles.open_file):
        with pytest.raises(BatchError) as error:
            operation(root, name)
        assert code(error) == "FileNotFound"


@pytest.mark.parametrize(
    "name", ["..", "../secret.txt", "link-to-folder/secret.txt", "wd/up/secret.txt", "", ".", "/"]
)
def test_nothing_outside_can_be_deleted(root: Path, name: str) -> None:
    """A delete that leads out of the folder, or means the folder itself, is refused and deletes nothing."""
    with pytest.raises(BatchError) as error:
        nodefiles.delete(root, name, recursive=True)
    assert code(error) == "FileNotFound"
    assert (root.parent / "secret.txt").exists()
    assert (root / "stdout.txt").exists()


@pytest.mark.parametrize(
    ("first", "size_bytes", "expected"),
    [(0, 1000, b"0123456789"), (3, 4, b"3456"), (9, 5, b"9"), (10, 5, b""), (99, 1, b""), (0, 0, b"")],
)
def test_read_of_a_range(root: Path, first: int, size_bytes: int, expected: bytes) -> None:
    """A range is read exactly, and ends with the file."""
    assert read(root, "stdout.txt", first, size_bytes) == expected


def test_read_is_in_bounded_pieces(root: Path) -> None:
    """A file larger than a piece comes in several pieces, which make up the whole."""
    content = os.urandom(nodefiles.READ_BYTES * 2 + 1)
    (root / "wd" / "big").write_bytes(content)
    pieces = list(nodefiles.read_pieces(nodefiles.open_file(root, "wd/big"), 0, len(content)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= nodefiles.READ_BYTES


@pytest.mark.parametrize("name", ["wd", "fifo"])
def test_only_regular_files_are_opened(root: Path, name: str) -> None:
    """A folder is no file to read, and a FIFO is refused at once instead of waited for."""
    os.mkfifo(root / "fifo")
    with pytest.raises(BatchError) as error:
        nodefiles.open_file(root, name)
    assert code(error) == "FileNotFound"


def test_delete_of_a_file_and_of_an_empty_folder(root: Path) -> None:
    """A file goes, and a folder that is empty goes without `recursive`."""
    nodefiles.delete(root, "wd/b/c.txt")
    nodefiles.delete(root, "wd/b")
    assert names(root, recursive=True) == ["stderr.txt", "stdout.txt", "wd", "wd/a.txt"]


def test_delete_of_a_full_folder_needs_recursive(root: Path) -> None:
    """A folder that holds something is deleted only recursively."""
    with pytest.raises(BatchError) as error:
        nodefiles.delete(root, "wd")
    assert code(error) == "IOError"
    assert (root / "wd" / "a.txt").exists()
    nodefiles.delete(root, "wd", recursive=True)
    assert names(root) == ["stderr.txt", "stdout.txt"]


def test_delete_of_a_link_leaves_its_target(root: Path) -> None:
    """Deleting a link deletes the link, wherever it leads, and nothing else."""
    nodefiles.delete(root, "link-to-folder", recursive=True)
    nodefiles.delete(root, "link-to-file")
    assert not os.path.lexists(root / "link-to-folder")
    assert (root.parent / "secret.txt").read_text() == "secret"
