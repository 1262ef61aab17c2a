"""What a page or a docstring names is there, by that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documentation import REPOSITORY, pages
from tests.named import docstrings, missing_in_chains, problem_with, spans_of

PAGES = [str(page.relative_to(REPOSITORY)) for page in pages()]


def problems_in(text: str, here: Path) -> dict[str, str]:
    found = {span: problem_with(span, here) for span in spans_of(text)}
    return {span: problem for span, problem in found.items() if problem}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page):
    """Each file, module, function, setting and environment variable that a page names exists."""
    path = REPOSITORY / page
    text = path.read_text(encoding="utf-8")
    assert problems_in(text, path.parent) == {}
    assert missing_in_chains(text) == set()


def test_what_a_docstring_names_is_there():
    """So it is with the docstrings of packages and modules."""
    problems = {
        file: found
        for file, text in docstrings().items()
        if (found := problems_in(text, (REPOSITORY / file).parent))
    }
    assert problems == {}


@pytest.mark.parametrize(
    "name",
    [
        "tasks/nowhere.py",
        "nowhere.py",
        "flows.fan_out.nowhere",
        "upload_everything()",
        "stop_grace_minutes",
        "PREFECT_API_NOWHERE",
        # In two, as this file is searched for variables too.
        "_".join(["AZURE", "NOWHERE"]),
    ],
)
def test_what_is_not_there_is_found(name):
    """A name of each kind that leads nowhere is told."""
    assert problems_in(f"See `{name}`.", REPOSITORY).keys() == {name}


def test_a_module_that_is_not_there_is_found_in_a_drawing():
    """A chain of modules in a drawing has modules alone."""
    assert missing_in_chains("```\nserver ► app ► nowhere     what serves\n```\n") == {"nowhere"}
