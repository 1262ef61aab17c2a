"""The `$filter` language, what an index can use of it, and `$select`."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_emulator.api.odata import (
    EQUALITY,
    TEXT,
    Field,
    compile_filter,
    parse_expand,
    parse_select,
    project,
)
from batch_emulator.api.times import parse_time
from batch_emulator.errors import BatchError

STATES = frozenset({"active", "running", "completed"})


def item_field(kind: str, name: str, *args: Any) -> Field:
    return Field(kind, lambda item: item.get(name), *args)


FIELDS = {
    "id": item_field("id", "id", TEXT),
    "vmSize": item_field("string", "vmSize", TEXT),
    "state": item_field("enum", "state", EQUALITY, STATES),
    "enableAutoScale": item_field("boolean", "auto", EQUALITY),
    "creationTime": item_field("datetime", "created"),
    "executionInfo/exitCode": item_field("number", "code"),
}


def matches(text: str, **item: Any) -> bool:
    return compile_filter(text, FIELDS).matches(item)


def reason(text: str) -> str:
    with pytest.raises(BatchError) as caught:
        compile_filter(text, FIELDS)
    assert (caught.value.status, caught.value.code) == (400, "InvalidQueryParameterValue")
    values = dict(caught.value.values)
    assert values["QueryParameterName"] == "$filter"
    assert values["QueryParameterValue"] == text
    return values["Reason"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("executionInfo/exitCode eq 2", {2}),
        ("executionInfo/exitCode ne 2", {1, 3, None}),
        ("executionInfo/exitCode gt 1", {2, 3}),
        ("executionInfo/exitCode ge 2", {2, 3}),
        ("executionInfo/exitCode lt 2", {1}),
        ("executionInfo/exitCode le 2L", {1, 2}),
        ("executionInfo/exitCode gt 1.5", {2, 3}),
        ("executionInfo/exitCode gt -1", {1, 2, 3}),
        (
            "executionInfo/exitCode eq 1 or executionInfo/exitCode gt 1 and executionInfo/exitCode lt 3",
            {1, 2},
        ),
        (
            "(executionInfo/exitCode eq 1 or executionInfo/exitCode gt 1) and executionInfo/exitCode lt 3",
            {1, 2},
        ),
        ("(executionInfo/exitCode eq 3 or executionInfo/exitCode gt 1) AND executionInfo/exitCode LT 3", {2}),
    ],
)
def test_compares_and_combines(text: str, codes: set[int | None]) -> None:
    """Each operator, precedence and parentheses pick just the items that they should."""
    wanted = compile_filter(text, FIELDS)
    assert {code for code in (1, 2, 3, None) if wanted.matches({"code": code})} == codes


def test_ids_and_states_compare_without_case() -> None:
    """Ids and states match in any case, other texts only as written."""
    assert matches("id eq 'JOB-1' and state eq 'Active'", id="job-1", state="active")
    assert matches("startswith(id, 'JO')", id="job-1")
    assert not matches("vmSize eq 'BIG'", vmSize="big")


def test_prefixes_need_the_property() -> None:
    """startswith tells prefixes from other text, and does not match what has no value."""
    assert matches("startswith(vmSize,'st')", vmSize="standard")
    assert not matches("startswith(vmSize,'ta')", vmSize="standard")
    assert not matches("startswith(vmSize,'')", id="x")


def test_quotes_in_text_are_doubled() -> None:
    """A doubled quote in a literal stands for one."""
    assert matches("vmSize eq 'it''s'", vmSize="it's")
    assert matches("vmSize eq ''", vmSize="")


def test_booleans() -> None:
    """true and false compare with a boolean property."""
    assert matches("enableAutoScale eq true", auto=True)
    assert matches("enableAutoScale ne true", auto=False)


@pytest.mark.parametrize(
    "literal",
    [
        "datetime'2024-05-01T10:00:00.1234567Z'",
        "DateTime'2024-05-01T10:00:00.1234567Z'",
        "datetimeoffset'2024-05-01T12:00:00.1234567+02:00'",
        "2024-05-01T10:00:00.1234567Z",
        "datetime'2024-05-01T10:00:00.1234567'",
    ],
)
def test_times_compare_to_the_tick(literal: str) -> None:
    """A time that the service answered with matches itself, and is not greater than itself."""
    created = parse_time("2024-05-01T10:00:00.1234567Z")
    assert matches(f"creationTime eq {literal}", created=created)
    assert matches(f"creationTime gt {literal}", created=created + 1)
    assert not matches(f"creationTime gt {literal}", created=created)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expression expected at position 0"),
        ("state eq", "Expression expected at position 8"),
        ("state", "Operator expected at position 5"),
        ("state eq 'active' id eq 'x'", "Syntax error at position 18"),
        ("(state eq 'active'", "')' or operator expected at position 18"),
        ("state eq 'active')", "Syntax error at position 17"),
        ("state eq 'active", "unterminated string literal at position 9"),
        ("id startswith 'x'", "Syntax error at position 3"),
        ("id eq @x", "Expression expected at position 6"),
        ("executionInfo/exitCode eq 5x", "position 26"),
        ("contains(id,'x')", "unknown function with name 'contains' at position 0"),
        ("startswith(id)", "')' or ',' expected at position 13"),
        ("startswith(id,5)", "String literal expected at position 14"),
        ("startswith(id,'x'", "')' or ',' expected at position 17"),
        ("colour eq 'x'", "Could not find a property named 'colour'"),
        ("State eq 'active'", "Could not find a property named 'State'"),
        ("state gt 'active'", "The operator 'gt' is not supported on property 'state'. Supported: eq, ne."),
        ("startswith(state,'a')", "The operator 'startswith' is not supported on property 'state'"),
        ("state eq 'sleeping'", "'sleeping' is not a value of property 'state'"),
        ("state eq active", "does not fit property 'state'"),
        ("state eq 5", "The value at position 9"),
        ("executionInfo/exitCode eq '5'", "does not fit property 'executionInfo/exitCode' (number)"),
        ("creationTime gt 'yesterday'", "does not fit property 'creationTime' (datetime)"),
        ("creationTime gt datetime'2024-13-01T00:00:00Z'", "does not fit property 'creationTime'"),
        ("enableAutoScale eq 'true'", "does not fit property 'enableAutoScale' (boolean)"),
        ("(" * 200, "nested too deeply"),
        ("not executionInfo/exitCode gt 1", "Could not find a property named 'not'"),
        ("not (state eq 'active')", "unknown function with name 'not' at position 0"),
        ("executionInfo/exitCode eq null", "does not fit property 'executionInfo/exitCode' (number)"),
        ("creationTime ne null", "does not fit property 'creationTime' (datetime)"),
        ("state eq null", "does not fit property 'state' (enum)"),
    ],
)
def test_errors_say_where_and_what(text: str, words: str) -> None:
    """A filter that is wrong is refused with the position, or the property and what it allows."""
    assert words in reason(text)


def test_an_index_is_told_what_every_match_must_have() -> None:
    """Conditions joined by `and` at the top are offered as equalities, prefixes and lower bounds."""
    found = compile_filter(
        "state eq 'Completed' and (creationTime gt 2024-01-01T00:00:00Z) and startswith(id,'Run-') "
        "and creationTime ge 2023-01-01T00:00:00Z and (vmSize eq 'a' or vmSize eq 'b')",
        FIELDS,
    )
    assert found.required_equalities() == {"state": "completed"}
    assert found.required_prefixes() == {"id": "run-"}
    assert found.lower_bounds() == {"creationTime": (parse_time("2024-01-01T00:00:00Z"), False)}


def test_an_inclusive_bound_gives_way_to_an_exclusive_one() -> None:
    """Of two bounds at one value the stricter is told."""
    found = compile_filter("executionInfo/exitCode ge 1 and executionInfo/exitCode gt 1", FIELDS)
    assert found.lower_bounds() == {"executionInfo/exitCode": (1, False)}


def test_an_index_is_told_nothing_of_alternatives() -> None:
    """What is under `or` need not hold for a match."""
    assert compile_filter("state eq 'active' or id eq 'x'", FIELDS).required_equalities() == {}


CODES = st.integers(0, 3)
LEAVES = st.one_of(
    st.tuples(
        st.just("executionInfo/exitCode"), st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), CODES
    ),
    st.tuples(st.just("state"), st.sampled_from(["eq", "ne"]), st.sampled_from(sorted(STATES))),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=12,
)
ITEMS = st.lists(
    st.fixed_dictionaries({"code": st.none() | CODES, "state": st.sampled_from(sorted(STATES))}), max_size=8
)

ORDERS = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a is not None and a > b,
    "ge": lambda a, b: a is not None and a >= b,
    "lt": lambda a, b: a is not None and a < b,
    "le": lambda a, b: a is not None and a <= b,
}


def write(tree: Any) -> str:
    if isinstance(tree[0], str):
        return f"{tree[0]} {tree[1]} {tree[2]!r}"
    return f"({write(tree[0])}) {tree[1]} ({write(tree[2])})"


def holds(tree: Any, item: dict[str, Any]) -> bool:
    if isinstance(tree[0], str):
        return ORDERS[tree[1]](item["state" if tree[0] == "state" else "code"], tree[2])
    left, right = holds(tree[0], item), holds(tree[2], item)
    return (left and right) if tree[1] == "and" else (left or right)


@given(TREES, ITEMS)
def test_any_filter_means_what_it_says(tree: Any, items: list[dict[str, Any]]) -> None:
    """A random filter picks what its meaning picks, and what it tells an index holds for each match."""
    found = compile_filter(write(tree), FIELDS)
    names = {"state": "state", "executionInfo/exitCode": "code"}
    for item in items:
        assert found.matches(item) == holds(tree, item)
        if found.matches(item):
            assert all(item[names[path]] == value for path, value in found.required_equalities().items())
            assert all(item[names[path]] >= value for path, (value, _) in found.lower_bounds().items())


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is either a filter or refused with the one error that there is."""
    with contextlib.suppress(BatchError):
        compile_filter(text, FIELDS)


def test_select_keeps_what_is_asked_and_the_metadata() -> None:
    """Only selected properties remain, `odata.metadata` always, unknown names are passed over."""
    wire = {"odata.metadata": "m", "id": "a", "state": "active", "url": "u"}
    assert project(wire, parse_select("id, state,colour")) == {
        "odata.metadata": "m",
        "id": "a",
        "state": "active",
    }
    assert project(wire, parse_select(None)) is wire
    assert project(wire, parse_select("")) is wire
    assert project(wire, parse_select("*")) is project(wire, parse_select("id, *")) is wire


def test_expand_names_properties() -> None:
    """`$expand` is a list of names, empty where it is missing."""
    assert parse_expand("stats") == {"stats"}
    assert parse_expand(None) == frozenset()
