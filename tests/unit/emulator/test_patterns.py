"""Which files an output file's pattern finds."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from batch_emulator.node.patterns import SearchEnded, find_files

FILES = ["a.txt", ".hidden.txt", "sub/c.txt", "sub/deep/d.txt", "sub/.h/e.txt", "[x].txt", "**.txt"]
PATTERNS = ["*", "**", "**/*.txt", "sub/**", "**/deep/*", "**/**/d.txt", "s?b/[a-d].txt", ".*", "sub/.h/*"]


def tree(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return str(root)


@pytest.mark.parametrize("pattern", [*PATTERNS, "a.txt", "absent", "absent/*", "sub", "[[]x].txt", "x**"])
def test_patterns_match_as_glob_does(tmp_path, pattern):
    """In a tree without links a pattern finds the files that Python's `glob` finds."""
    root = tree(tmp_path, *FILES)
    found = glob.glob(pattern, root_dir=root, recursive=True)
    assert find_files(root, pattern) == sorted({each for each in found if (tmp_path / each).is_file()})


def test_links_that_lead_upwards_end(tmp_path):
    """With two links to `.` each file is found once, by its own path."""
    root = tree(tmp_path, "a.txt", "sub/b.txt")
    for link in ("here", "sub/there"):
        (tmp_path / link).symlink_to(tmp_path)
    assert find_files(root, "**/*.txt") == ["a.txt", "sub/b.txt"]


def test_many_ways_through_links_are_one(tmp_path):
    """Twenty folders, each with two links to the next, which are 2^20 ways, are each entered once."""
    for number in range(20):
        (tmp_path / f".{number}").mkdir()
        for name in "lr":
            (tmp_path / f".{number}" / name).symlink_to(tmp_path / f".{number + 1}")
    tree(tmp_path, ".20/end.txt")
    (tmp_path / "way").symlink_to(tmp_path / ".0")
    assert len(find_files(str(tmp_path), "**/end.txt")) == 1


def test_linked_folder_elsewhere_is_searched(tmp_path):
    """What lies behind a link to a folder is found by the link's path."""
    tree(tmp_path, "elsewhere/x.txt")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    assert find_files(str(tmp_path / "root"), "**/*.txt") == ["link/x.txt"]


def test_search_ends_when_nobody_waits_for_it(tmp_path):
    """A search stops at the first folder after it is known that nobody wants it."""
    with pytest.raises(SearchEnded):
        find_files(tree(tmp_path, "a.txt"), "*", lambda: False)
