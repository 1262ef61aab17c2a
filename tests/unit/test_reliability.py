"""The page of promises against the tests that it names."""

from __future__ import annotations

import ast
import re

import pytest

from tests.documentation import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| (?!promise|---)(.+) \|$", PAGE, re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row.partition(" |")[0])
def test_each_promise_names_a_test_that_is_there(row):
    """Promise, how it is kept, and at least one test, each by its file and its name."""
    cells = row.split(" | ")
    assert len(cells) == 3
    assert all(cells)
    named = TEST.findall(cells[2])
    assert named
    assert [f"{file}::{name}" for file, name in named if not has_test(file, name)] == []


def has_test(file: str, name: str) -> bool:
    path = REPOSITORY / file
    if not path.is_file():
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return not name or name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
