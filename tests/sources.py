"""Our code as text: what people read in it, docstrings and comments, and the words that it is made of."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

WORD = re.compile(r"[A-Za-z_]\w*")
LINE_BEGINS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NO_PART_OF_A_LINE = {tokenize.NL, tokenize.COMMENT}


def prose_in(path: Path) -> str:
    """The docstrings and comments of a Python file, those of functions and attributes too."""
    return "\n\n".join(map(_read, _split(path)[0]))


@cache
def words_in(path: Path) -> frozenset[str]:
    """The words of a file's code, strings included. What is said of them does not count: a docstring would
    vouch for what it names."""
    texts = (token.string for token in _split(path)[1])
    return find_words([path.read_text(encoding="utf-8")] if path.suffix != ".py" else texts)


def find_words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in WORD.findall(text))


@cache
def _split(path: Path) -> tuple[list[tokenize.TokenInfo], list[tokenize.TokenInfo]]:
    """The tokens of a file: comments and texts that stand by themselves, and all others."""
    prose, code = [], []
    for token, is_prose in _tokens(path):
        (prose if is_prose else code).append(token)
    return prose, code


def _tokens(path: Path) -> Iterator[tuple[tokenize.TokenInfo, bool]]:
    """Each token of a file, and whether it is a comment or a text that stands by itself."""
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        is_comment = token.type == tokenize.COMMENT
        yield token, is_comment or (begins and token.type == tokenize.STRING)
        if token.type not in NO_PART_OF_A_LINE:
            begins = token.type in LINE_BEGINS


def _read(token: tokenize.TokenInfo) -> str:
    return token.string if token.type == tokenize.COMMENT else str(ast.literal_eval(token.string))
