"""The syntax tree of a formula.

A node's position is where an error of that node is reported: for a call the opening parenthesis, as the
service has it ("Line 1, Col 24" for `$RunningTasks.GetSample(...)`), for an operator the operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Position(NamedTuple):
    """A place in a formula; line and column count characters from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Number:
    position: Position
    value: float


@dataclass(frozen=True)
class Text:
    position: Position
    value: str


@dataclass(frozen=True)
class Name:
    position: Position
    name: str


@dataclass(frozen=True)
class Vector:
    position: Position
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Unary:
    position: Position
    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    position: Position
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Conditional:
    position: Position
    test: Node
    accepted: Node
    otherwise: Node


@dataclass(frozen=True)
class Call:
    position: Position
    function: Name
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Member:
    position: Position
    subject: Node
    field: Name


@dataclass(frozen=True)
class MethodCall:
    position: Position
    subject: Node
    method: Name
    arguments: tuple[Node, ...]


Node = Number | Text | Name | Vector | Unary | Binary | Conditional | Call | Member | MethodCall


@dataclass(frozen=True)
class Statement:
    """One statement; `target` is the variable assigned, None where the value is only computed."""

    position: Position
    target: str | None
    value: Node


def children(node: Node) -> tuple[Node, ...]:
    """The operands of a node in the order of the text, without the names of functions, fields and methods."""
    match node:
        case Vector(items=nodes) | Call(arguments=nodes):
            return nodes
        case MethodCall(subject=subject, arguments=nodes):
            return (subject, *nodes)
        case Member(subject=subject):
            return (subject,)
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Conditional(test=test, accepted=accepted, otherwise=otherwise):
            return (test, accepted, otherwise)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, each before its operands, without recursion."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(children(found)))
