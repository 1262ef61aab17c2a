"""The page of promises against the tests that it names."""

from __future__ import annotations

import re

import pytest

from tests.documentation import REPOSITORY, TEST, has_test, read_tests

PAGE = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| (?!promise|---)(.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row.partition(" |")[0])
def test_each_promise_names_a_test_that_is_there(row):
    """Promise, how it is kept, and at least one test, each by its file and its name."""
    cells = row.split(" | ")
    assert len(cells) == 3
    assert all(cells)
    named = TEST.findall(cells[2])
    assert named
    assert [f"{file}::{name}" for file, name in named if not has_test(file, name)] == []


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row.partition(" |")[0])
def test_soak_stands_before_the_tests_that_only_soak_runs(row):
    """Whoever reads a row knows which of its tests `make test` runs."""
    quick, _, slow = row.split(" | ")[2].partition("*soak:*")
    for part, is_soak in ((quick, False), (slow, True)):
        named = [(file, name) for file, name in TEST.findall(part) if name]
        assert [name for file, name in named if read_tests(file)[name] != is_soak] == []


def test_a_file_that_only_soak_runs_is_known():
    """Its tests have no mark of their own."""
    assert set(read_tests("tests/flows/test_azure_deployments.py").values()) == {True}
