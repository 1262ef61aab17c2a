"""The pages of the documentation, as tests read them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)!?\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
SOAK = "pytest.mark.soak"
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
"""A test that a page names: its file, and its function if it names one."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, "" if it says none, and the line of the page it begins in."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    return [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[2], found[3], text.count("\n", 0, found.start()) + 1) for found in FENCE.finditer(text)
    ]


def prose_of(page: Path) -> str:
    """The page without its blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def links_of(page: Path) -> list[str]:
    return LINK.findall(prose_of(page))


def anchors_of(page: Path) -> set[str]:
    """What a link may have behind `#`: the headings as GitHub and MkDocs name them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(prose_of(page))
    }


def commands_of(page: Path) -> list[str]:
    """The commands that a page shows, in blocks and in its sentences, without prompts and comments."""
    lines = [line for block in blocks_of(page) if block.language in SHELLS for line in joined(block.text)]
    found = [line.strip().removeprefix("$ ") for line in [*lines, *CODE.findall(prose_of(page))]]
    return [line.partition("  #")[0].strip() for line in found if line.startswith(COMMANDS)]


def joined(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


SHELLS = ("", "sh", "bash", "console")
COMMANDS = ("make ", "./run ", "prefect ", "python -m ", "python3 -m ")


def has_test(file: str, name: str) -> bool:
    return (REPOSITORY / file).is_file() and (not name or name in read_tests(file))


@cache
def read_tests(file: str) -> dict[str, bool]:
    """The functions of a file of tests, and whether each is marked `soak` whatever its parameters."""
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    marks = [
        ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign) and sets_marks(node)
    ]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        one.name: SOAK in map(ast.unparse, one.decorator_list) or any(SOAK in mark for mark in marks)
        for one in functions
    }


def sets_marks(node: ast.Assign) -> bool:
    return "pytestmark" in map(ast.unparse, node.targets)
