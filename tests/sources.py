"""Our code as text: what people read in it, docstrings and comments, and the words that it is made of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

WORD = re.compile(r"[A-Za-z_]\w*")
OPENING, CLOSING = "([{", ")]}"
# Comments, strings and brackets: all that it takes to find prose, in a tenth of the time of `tokenize`.
PIECE = re.compile(
    r"""\#[^\n]*
    | (?:\b[rbfuRBFU]{1,2})?
      (?: '''(?:[^\\']|\\.|'(?!''))*''' | \"""(?:[^\\"]|\\.|"(?!""))*\"""
        | '(?:[^\\'\n]|\\.)*' | "(?:[^\\"\n]|\\.)*" )
    | [()\[\]{}]""",
    re.VERBOSE | re.DOTALL,
)


def prose_in(path: Path) -> str:
    """The docstrings and comments of a Python file, those of functions and attributes too."""
    return "\n\n".join(map(_read, _split(path)[0]))


@cache
def words_in(path: Path) -> frozenset[str]:
    """The words of a file's code, strings included. What is said of them does not count: a docstring would
    vouch for what it names."""
    return find_words([path.read_text(encoding="utf-8")] if path.suffix != ".py" else _split(path)[1])


def find_words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in WORD.findall(text))


@cache
def _split(path: Path) -> tuple[list[str], list[str]]:
    """A file's comments and texts that stand by themselves, and the code between them."""
    text, end = path.read_text(encoding="utf-8"), 0
    prose, code = [], []
    for found in _find_prose(text):
        prose.append(found[0])
        code.append(text[end : found.start()])
        end = found.end()
    return prose, [*code, text[end:]]


def _find_prose(text: str) -> Iterator[re.Match[str]]:
    """Each comment, and each string that begins a line of code."""
    depth = 0
    for found in PIECE.finditer(text):
        piece = found[0]
        depth += (piece in OPENING) - (piece in CLOSING)
        if piece.startswith("#") or (
            depth == 0 and piece not in CLOSING and _begins_line(text, found.start())
        ):
            yield found


def _begins_line(text: str, at: int) -> bool:
    begin = text.rfind("\n", 0, at) + 1
    return not text[begin:at].strip() and not text.endswith("\\\n", 0, begin)


def _read(piece: str) -> str:
    return piece if piece.startswith("#") else str(ast.literal_eval(piece))
