"""Formula text to tokens.

Line comments (`//`) and line breaks are documented; block comments (`/* */`) are taken too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from batch_emulator.autoscale.errors import FormulaError
from batch_emulator.autoscale.syntax import Position

_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\r\n\f\v]+ | //[^\n]* | /\*.*?\*/)
    | (?P<number>(?:[0-9]+(?:\.[0-9]+)? | \.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>\$?[A-Za-z_][A-Za-z0-9_]*)
    | "(?P<text>[^"\n]*)"
    | (?P<mark>[<>=!]= | && | \|\| | [-+*/<>=!?:;,.()\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """`kind` is number, name, text, mark or end; `text` is the source, of a string what the quotes hold."""

    kind: str
    text: str
    position: Position


def tokenize(formula: str) -> list[Token]:
    """The tokens of a formula, the last of kind `end`; FormulaError at a character that starts none."""
    locate = _locator(formula)
    tokens = []
    offset = 0
    while offset < len(formula):
        match = _TOKEN.match(formula, offset)
        # A "/*" that is never closed would otherwise read as a division.
        if match is None or (match.group() == "/" and formula.startswith("/*", offset)):
            raise FormulaError(locate(offset), _complaint(formula, offset))
        kind = match.lastgroup or ""
        if kind != "blank":
            tokens.append(Token(kind, match[kind], locate(offset)))
        offset = match.end()
    return [*tokens, Token("end", "", locate(offset))]


def _locator(formula: str) -> Callable[[int], Position]:
    starts = [0, *(match.end() for match in re.finditer("\n", formula))]

    def locate(offset: int) -> Position:
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1)

    return locate


def _complaint(formula: str, offset: int) -> str:
    if formula.startswith("/*", offset):
        return "Syntax error: comment is not closed"
    if formula[offset] == '"':
        return "Syntax error: string is not closed"
    return f"Syntax error: unexpected character {formula[offset]!r}"
