"""The documentation against the code: its links, its commands and the names in its Python."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import shlex

import pydantic
import pytest

from tasks.report.files_table import ROWS_MAX
from tasks.sharding import FILES_EACH_VISIBLE, SHARD_MAX
from tests.documentation import REPOSITORY, anchors_of, blocks_of, commands_of, links_of, pages

MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
VARIABLES = {*re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE), *re.findall(r"\$\((PYTEST_\w+)\)", MAKEFILE)}
PAGES = [str(page.relative_to(REPOSITORY)) for page in pages()]
BLOCKS = [(page, block) for page in PAGES for block in blocks_of(REPOSITORY / page)]
PYTHON_BLOCKS = [(page, block) for page, block in BLOCKS if block.language == "python"]
COMMANDS = sorted({(page, command) for page in PAGES for command in commands_of(REPOSITORY / page)})


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Each link to another page or image has its file, and each `#part` its heading."""
    here = REPOSITORY / page
    for link in links_of(here):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, part = link.partition("#")
        target = (here.parent / path).resolve() if path else here
        assert target.exists(), f"{page} links to {link}"
        if part and target.suffix == ".md":
            assert part in anchors_of(target), f"{page} links to {link}"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_has_what_a_merge_left(page):
    """Of two texts that met in a page, somebody has chosen one."""
    lines = (REPOSITORY / page).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.match(r"(<{7}|\|{7}|>{7})(?: |$)", line)] == []


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value)
def test_commands_are_known(page, command):
    """A command of the documentation has a target, a module or a subcommand, with its options."""
    program, *arguments = shlex.split(command.removeprefix("./run "))
    if program == "make":
        check_make(arguments)
    elif program == "prefect":
        check_prefect(arguments)
    else:
        check_module(arguments[1], arguments[2:])


@pytest.mark.parametrize("page", PAGES)
def test_commands_find_what_they_need(page):
    """A command of ours is written with `./run`, by which it works in a fresh clone and any terminal."""
    needy = ("prefect ", "python -m flows", "python -m deployments", "python -m bench")
    shown = {line.strip() for block in blocks_of(REPOSITORY / page) for line in block.text.splitlines()}
    assert [line for line in shown if line.removeprefix("$ ").startswith(needy)] == []


def check_make(arguments: list[str]) -> None:
    targets = [one for one in arguments if "=" not in one]
    assert set(targets) <= TARGETS
    assert {one.partition("=")[0] for one in arguments if "=" in one} <= VARIABLES | {"PYTHON"}


def check_prefect(arguments: list[str]) -> None:
    """Have Prefect's own command line read the arguments; nothing is run."""
    from prefect.cli._app import _app

    if "..." in arguments:
        return
    names, _, rest = _app.parse_commands(arguments)
    assert names, f"prefect knows no {arguments}"
    if rest:
        _app.parse_args(arguments, exit_on_error=False, print_error=False)


def check_module(module: str, arguments: list[str]) -> None:
    """Have the module's own command line read the arguments, where it is ours."""
    assert importlib.util.find_spec(module), f"there is no {module}"
    package = module.partition(".")[0]
    if package == "flows" and not {"--help", "-h"} & set(arguments):
        from flows.command_line import build_app

        flow = getattr(importlib.import_module(module), module.rpartition(".")[2])
        build_app(flow).parse_args(arguments, exit_on_error=False, print_error=False)
    if package == "bench":
        importlib.import_module("bench.__main__").parse(arguments)
    if package in ("batch_emulator", "deployments"):
        has_parts = importlib.util.find_spec(module).submodule_search_locations is not None
        main = importlib.import_module(f"{module}.__main__" if has_parts else module)
        parser = main.parser() if hasattr(main, "parser") else main._parser()
        if "--help" not in arguments:
            parser.parse_args(arguments)


@pytest.mark.parametrize(("page", "block"), PYTHON_BLOCKS, ids=lambda value: getattr(value, "line", value))
def test_python_names_what_there_is(page, block):
    """What a block imports from this project exists, and what it calls of that has these parameters."""
    tree = ast.parse(block.text, f"{page}:{block.line}")
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and importlib.util.find_spec(node.module.partition(".")[0]):
            module = importlib.import_module(node.module)
            known |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in known:
            check_call(known[call.func.id], call)


def check_call(function: object, call: ast.Call) -> None:
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    if isinstance(function, type) and issubclass(function, pydantic.BaseModel):
        assert set(keywords) <= set(function.model_fields)
        return
    try:
        signature = inspect.signature(getattr(function, "fn", function))
    except ValueError:
        # Of some builtin types Python knows none.
        return
    if not any(isinstance(argument, ast.Starred) for argument in call.args):
        signature.bind_partial(*call.args, **keywords)


def test_each_page_is_found():
    """A page of the site is in its navigation, or another page of its folder leads to it."""
    navigation = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    docs = REPOSITORY / "docs"
    written = [page for page in pages() if docs in page.parents]
    linked = {(page.parent / link).resolve() for page in written for link in links_of(page)}
    assert [
        page for page in written if str(page.relative_to(docs)) not in navigation and page not in linked
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_numbers_of_files_are_those_of_the_code(page):
    """From how many files on something is shown otherwise, a page says as the code has it."""
    text = " ".join((REPOSITORY / page).read_text(encoding="utf-8").split())
    said = {int(number) for number in re.findall(r"\b(?:[Uu]p to|[Mm]ore than|[Aa]bove) (\d+) files\b", text)}
    assert said <= {FILES_EACH_VISIBLE, SHARD_MAX, ROWS_MAX}
