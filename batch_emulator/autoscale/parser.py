"""Tokens to statements.

8 KB and 100 statements are the documented limits. How deep an expression may nest is a limit of this
evaluator, set so that no formula can exhaust the stack.
"""

from __future__ import annotations

from batch_emulator.autoscale.errors import FormulaError
from batch_emulator.autoscale.lexer import Token, tokenize
from batch_emulator.autoscale.syntax import (
    Binary,
    Call,
    Conditional,
    Member,
    MethodCall,
    Name,
    Node,
    Number,
    Position,
    Statement,
    Text,
    Unary,
    Vector,
    children,
)

_MAX_FORMULA_BYTES = 8192
_MAX_STATEMENTS = 100
_MAX_NESTING = 40
_MAX_HEIGHT = 150

_PRECEDENCE = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
}


def parse(formula: str) -> tuple[Statement, ...]:
    """The statements of a formula, empty ones left out; FormulaError for a syntax error or a limit passed."""
    if len(formula.encode("utf-8", "surrogatepass")) > _MAX_FORMULA_BYTES:
        raise FormulaError(Position(1, 1), f"The formula is longer than {_MAX_FORMULA_BYTES} bytes")
    cursor = _Cursor(tokenize(formula))
    statements = []
    while cursor.token.kind != "end":
        if cursor.accept(";"):
            continue
        statements.append(_statement(cursor))
        if cursor.token.kind != "end":
            cursor.expect(";")
    _check_limits(statements)
    return tuple(statements)


def _check_limits(statements: list[Statement]) -> None:
    if len(statements) > _MAX_STATEMENTS:
        raise FormulaError(
            statements[_MAX_STATEMENTS].position, f"The formula has more than {_MAX_STATEMENTS} statements"
        )
    level = [statement.value for statement in statements]
    for _ in range(_MAX_HEIGHT):
        level = [child for node in level for child in children(node)]
    if level:
        raise _too_deep(level[0].position)


class _Cursor:
    """Where the parser stands in the tokens, and how many expressions enclose that place."""

    def __init__(self, tokens: list[Token]):
        self._tokens = tokens
        self._index = 0
        self.nesting = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._index]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)]

    def at(self, mark: str) -> bool:
        return self.token.kind == "mark" and self.token.text == mark

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self._index += 1
        return token

    def accept(self, mark: str) -> Token | None:
        return self.take() if self.at(mark) else None

    def expect(self, mark: str) -> Token:
        if not self.at(mark):
            raise _unexpected(self.token, f"'{mark}'")
        return self.take()

    def expect_name(self) -> Name:
        if self.token.kind != "name":
            raise _unexpected(self.token, "a name")
        token = self.take()
        return Name(token.position, token.text)


def _unexpected(token: Token, wanted: str) -> FormulaError:
    found = "end of formula" if token.kind == "end" else f"'{token.text}'"
    return FormulaError(token.position, f"Syntax error: unexpected {found}, expected {wanted}")


def _too_deep(position: Position) -> FormulaError:
    return FormulaError(position, "The expression is nested too deeply")


def _statement(cursor: _Cursor) -> Statement:
    position = cursor.token.position
    target = None
    following = cursor.following
    if cursor.token.kind == "name" and following.kind == "mark" and following.text == "=":
        target = cursor.take().text
        cursor.take()
    return Statement(position, target, _expression(cursor))


def _expression(cursor: _Cursor) -> Node:
    cursor.nesting += 1
    if cursor.nesting > _MAX_NESTING:
        raise _too_deep(cursor.token.position)
    test = _operation(cursor, 1)
    if question := cursor.accept("?"):
        accepted = _expression(cursor)
        cursor.expect(":")
        test = Conditional(question.position, test, accepted, _expression(cursor))
    cursor.nesting -= 1
    return test


def _operation(cursor: _Cursor, lowest: int) -> Node:
    """Operators that bind at least as tightly as `lowest`, all of them left-associative."""
    left = _prefixed(cursor)
    while (binding := _binding(cursor.token)) >= lowest:
        operator = cursor.take()
        right = _operation(cursor, binding + 1)
        left = Binary(operator.position, operator.text, left, right)
    return left


def _binding(token: Token) -> int:
    return _PRECEDENCE.get(token.text, 0) if token.kind == "mark" else 0


def _prefixed(cursor: _Cursor) -> Node:
    operators = []
    while cursor.at("-") or cursor.at("!"):
        operators.append(cursor.take())
    node = _suffixed(cursor)
    for operator in reversed(operators):
        node = Unary(operator.position, operator.text, node)
    return node


def _suffixed(cursor: _Cursor) -> Node:
    node = _primary(cursor)
    while cursor.accept("."):
        name = cursor.expect_name()
        if opening := cursor.accept("("):
            node = MethodCall(opening.position, node, name, _items(cursor, ")"))
        else:
            node = Member(name.position, node, name)
    return node


def _primary(cursor: _Cursor) -> Node:
    token = cursor.take()
    if token.kind == "number":
        return Number(token.position, float(token.text))
    if token.kind == "text":
        return Text(token.position, token.text)
    if token.kind == "name":
        return _name_or_call(cursor, Name(token.position, token.text))
    if token.kind == "mark" and token.text == "[":
        return Vector(token.position, _items(cursor, "]"))
    if token.kind == "mark" and token.text == "(":
        node = _expression(cursor)
        cursor.expect(")")
        return node
    raise _unexpected(token, "an expression")


def _name_or_call(cursor: _Cursor, name: Name) -> Node:
    if opening := cursor.accept("("):
        return Call(opening.position, name, _items(cursor, ")"))
    return name


def _items(cursor: _Cursor, closing: str) -> tuple[Node, ...]:
    """Expressions separated by commas up to the closing mark, which is taken too."""
    if cursor.accept(closing):
        return ()
    items = [_expression(cursor)]
    while cursor.accept(","):
        items.append(_expression(cursor))
    cursor.expect(closing)
    return tuple(items)
