"""The query options `$filter`, `$select` and `$expand`.

    filter      = and-terms joined by "or"
    and-terms   = terms joined by "and"
    term        = "(" filter ")" | comparison | function "(" path "," text ")"
    comparison  = path operator literal
    operator    = eq ne gt ge lt le
    function    = startswith
    literal     = 'text' | number | true | false | datetime'...' | 2024-01-31T12:00:00Z

Which properties and operators a list allows is the caller's table of fields; `not` and `null` are refused, as
the page has neither. Source: REST documentation page "OData filters in Azure Batch"; errors are worded as by
the OData library that the service is built on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from batch_emulator.api.odata_terms import (
    CASELESS,
    COMPARE,
    EQUALITY,
    LITERALS,
    ORDERING,
    TEXT,
    Comparison,
    Field,
    Predicate,
    Token,
    alternatives,
    compare,
    require_all,
    require_any,
    starts_with,
    unquote,
)
from batch_emulator.errors import BatchError

__all__ = [
    "EQUALITY",
    "ORDERING",
    "TEXT",
    "Comparison",
    "Field",
    "Filter",
    "compile_filter",
    "parse_expand",
    "parse_select",
    "project",
]

_MAX_DEPTH = 64

_TOKENS = re.compile(
    r"\s*(?:"
    r"(?:datetime(?:offset)?)'(?P<datetime>[^']*)'"
    r"|(?P<time>\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)"
    r"|'(?P<string>(?:[^']|'')*)'"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)[LlDdFfMm]?(?![\w/])"
    r"|(?P<word>[A-Za-z_][\w]*(?:/[A-Za-z_]\w*)*)"
    r"|(?P<mark>[(),])"
    r"|(?P<bad>\S)"
    r")",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Filter:
    """A compiled `$filter`; `conjuncts` are the conditions that every match meets (top-level `and` only)."""

    matches: Predicate
    conjuncts: tuple[Comparison, ...]

    def required_equalities(self) -> dict[str, Any]:
        """Path -> the value that every match has there; `matches` must still be asked."""
        return {c.path: c.value for c in reversed(self.conjuncts) if c.operator == "eq"}

    def required_prefixes(self) -> dict[str, str]:
        """Path -> the prefix that every match has there."""
        return {c.path: c.value for c in reversed(self.conjuncts) if c.operator == "startswith"}

    def lower_bounds(self) -> dict[str, tuple[Any, bool]]:
        """Path -> (the greatest lower bound of every match, whether the bound itself matches)."""
        bounds: dict[str, tuple[Any, bool]] = {}
        for path, name, value in self.conjuncts:
            if name in ("gt", "ge") and value is not None:
                bound = (value, name == "ge")
                known = bounds.get(path)
                if known is None or (bound[0], not bound[1]) > (known[0], not known[1]):
                    bounds[path] = bound
        return bounds


class Node(NamedTuple):
    """A parsed part: its test, and what it says for certain of every match."""

    matches: Predicate
    conjuncts: tuple[Comparison, ...] = ()


def compile_filter(text: str, fields: Mapping[str, Field]) -> Filter:
    """Compile `text` to closures; 400 InvalidQueryParameterValue naming the position or property at fault."""
    parser = Parser(text, fields)
    node = parser.parse()
    return Filter(node.matches, node.conjuncts)


def parse_select(text: str | None) -> frozenset[str] | None:
    """The properties named by `$select`, None where all are wanted: `*`, as in OData, or none named."""
    names = _names(text)
    return None if "*" in names else names or None


def _names(text: str | None) -> frozenset[str]:
    return frozenset(name for part in (text or "").split(",") if (name := part.strip()))


def parse_expand(text: str | None) -> frozenset[str]:
    """The properties named by `$expand`; the service has one, `stats`."""
    return _names(text)


def project(wire: dict[str, Any], select: frozenset[str] | None) -> dict[str, Any]:
    """`wire` with only what was selected; what is selected and absent is left out, metadata stays."""
    if select is None:
        return wire
    return {name: value for name, value in wire.items() if name in select or name == "odata.metadata"}


def tokenize(text: str) -> Iterator[Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKENS.match(text, position)
        # The group `bad` takes whatever the others leave.
        assert match is not None
        kind = match.lastgroup or "bad"
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        yield Token(kind, match[kind], start)
        position = match.end()
    yield Token("end", "", len(text))


class Parser:
    """Recursive descent over one filter text; used once."""

    def __init__(self, text: str, fields: Mapping[str, Field]):
        self.text = text
        self.fields = fields
        self.depth = 0
        self.tokens = list(tokenize(text))
        self.index = 0

    def parse(self) -> Node:
        node = self.parse_or()
        if self.peek().kind != "end":
            raise self.error(f"Syntax error at position {self.peek().position} in '{self.text}'.")
        return node

    def parse_or(self) -> Node:
        nodes = [self.parse_and()]
        while self.take_word("or"):
            nodes.append(self.parse_and())
        if len(nodes) == 1:
            return nodes[0]
        return Node(require_any([n.matches for n in nodes]), alternatives([n.conjuncts for n in nodes]))

    def parse_and(self) -> Node:
        nodes = [self.parse_term()]
        while self.take_word("and"):
            nodes.append(self.parse_term())
        if len(nodes) == 1:
            return nodes[0]
        return Node(require_all([n.matches for n in nodes]), tuple(c for n in nodes for c in n.conjuncts))

    def parse_term(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error(f"The filter is nested too deeply at position {self.peek().position}.")
        node = self.parse_unnested()
        self.depth -= 1
        return node

    def parse_unnested(self) -> Node:
        if self.take_mark("("):
            node = self.parse_or()
            self.expect_mark(")", "')' or operator expected")
            return node
        token = self.take("word", "Expression expected")
        if self.take_mark("("):
            return self.parse_function(token)
        return self.parse_comparison(token)

    def parse_function(self, name: Token) -> Node:
        function = name.value.lower()
        if function != "startswith":
            raise self.error(f"An unknown function with name '{name.value}' at position {name.position}.")
        path, field = self.find_field(self.take("word", "Property expected"))
        self.expect_mark(",", "')' or ',' expected")
        prefix = self.take("string", "String literal expected")
        self.expect_mark(")", "')' or ',' expected")
        self.check_operator(path, field, function)
        value = unquote(prefix.value)
        if field.kind in CASELESS:
            value = value.lower()
        return Node(starts_with(field, value), (Comparison(path, function, value),))

    def parse_comparison(self, word: Token) -> Node:
        path, field = self.find_field(word)
        token = self.take("word", "Operator expected")
        name = token.value.lower()
        if name not in COMPARE:
            raise self.error(f"Syntax error at position {token.position} in '{self.text}'.")
        self.check_operator(path, field, name)
        value = self.read_literal(path, field, self.peek())
        self.index += 1
        return Node(compare(field, name, value), (Comparison(path, name, value),))

    def find_field(self, token: Token) -> tuple[str, Field]:
        field = self.fields.get(token.value)
        if field is None:
            raise self.error(
                f"Could not find a property named '{token.value}' that can be filtered on, "
                f"at position {token.position}. Filterable properties: {', '.join(self.fields)}."
            )
        return token.value, field

    def check_operator(self, path: str, field: Field, name: str) -> None:
        if name not in field.operators:
            allowed = ", ".join(sorted(field.operators))
            raise self.error(
                f"The operator '{name}' is not supported on property '{path}'. Supported: {allowed}."
            )

    def read_literal(self, path: str, field: Field, token: Token) -> Any:
        if token.kind in ("end", "mark", "bad"):
            raise self.error(self.expected("Expression expected", token))
        try:
            value = LITERALS[field.kind](token)
        except ValueError:
            raise self.error(
                f"The value at position {token.position} in '{self.text}' does not fit "
                f"property '{path}' ({field.kind})."
            ) from None
        if field.values is not None and value not in field.values:
            raise self.error(f"'{unquote(token.value)}' is not a value of property '{path}'.")
        return value

    def peek(self) -> Token:
        return self.tokens[self.index]

    def take(self, kind: str, what: str) -> Token:
        token = self.peek()
        if token.kind != kind:
            raise self.error(self.expected(what, token))
        self.index += 1
        return token

    def take_word(self, word: str) -> bool:
        token = self.peek()
        if token.kind != "word" or token.value.lower() != word:
            return False
        self.index += 1
        return True

    def take_mark(self, mark: str) -> bool:
        token = self.peek()
        if token.kind != "mark" or token.value != mark:
            return False
        self.index += 1
        return True

    def expect_mark(self, mark: str, what: str) -> None:
        if not self.take_mark(mark):
            raise self.error(self.expected(what, self.peek()))

    def expected(self, what: str, token: Token) -> str:
        if token.value == "'":
            return f"There is an unterminated string literal at position {token.position} in '{self.text}'."
        return f"{what} at position {token.position} in '{self.text}'."

    def error(self, reason: str) -> BatchError:
        return BatchError(
            "InvalidQueryParameterValue",
            ("QueryParameterName", "$filter"),
            ("QueryParameterValue", self.text),
            ("Reason", reason),
        )
