"""What a page or a docstring names is there, by that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documentation import REPOSITORY, pages
from tests.named import (
    missing_in_chains,
    modules_missing_in,
    names_missing_in_files,
    problem_with,
    prose_of_code,
    spans_of,
)
from tests.sources import prose_in, words_in

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
    assert names_missing_in_files(text) == set()


def test_what_code_says_of_itself_is_there():
    """So it is with the docstrings and comments of our code."""
    problems = {
        file: found
        for file, text in prose_of_code().items()
        if (found := problems_in(text, (REPOSITORY / file).parent))
    }
    assert problems == {}
    assert set().union(*map(names_missing_in_files, prose_of_code().values())) == set()


def test_a_package_names_modules():
    """What the docstring of a package names by a single word is a module or package of ours."""
    signs = [text for file, text in prose_of_code().items() if file.endswith("__init__.py")]
    assert set().union(*map(modules_missing_in, signs)) == set()


@pytest.mark.parametrize(
    "name",
    [
        "tasks/nowhere.py",
        "nowhere.py",
        "flows.fan_out.nowhere",
        "upload_everything()",
        "upload_everything",
        "SpecOfNothing",
        "world.store.ignore_it",
        "stop_grace_minutes",
        "PREFECT_API_NOWHERE",
        # In two, as this file is searched for variables too.
        "_".join(["AZURE", "NOWHERE"]),
    ],
)
def test_what_is_not_there_is_found(name):
    """A name of each kind that leads nowhere is told."""
    assert problems_in(f"See `{name}`.", REPOSITORY).keys() == {name}


def test_a_name_in_another_file_is_found():
    """A name is looked for in the file that is said to have it."""
    told = "`run_files` in `flows/running.py`, `flows/running.py` (`run_files`)"
    assert names_missing_in_files(told) == set()
    assert names_missing_in_files(told.replace("running", "sweep")) == {"run_files in flows/sweep.py"}


def test_prose_does_not_vouch_for_what_it_names(tmp_path):
    """Only code has names, with its strings: what a docstring or a comment alone says is not there."""
    path = tmp_path / "module.py"
    path.write_text(
        '"""See `said`."""\n\nkept = [\n    "string # (",  # See `noted`.\n]\n# )\n"""Is `told`."""\n'
    )
    assert spans_of(prose_in(path)) == ["said", "noted", "told"]
    assert words_in(path) == {"kept", "string"}


def test_a_module_that_is_not_there_is_found_in_a_drawing():
    """A chain of modules in a drawing has modules alone."""
    assert missing_in_chains("```\nserver ► app ► nowhere     what serves\n```\n") == {"nowhere"}
