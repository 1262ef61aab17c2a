"""Where errors are placed, how they are worded, and what is reported beside them."""

from datetime import datetime, timezone

import pytest

from batch_emulator.autoscale import FormulaError, InsufficientSampleData, Samples, evaluate

NOW = datetime(2024, 2, 29, 13, 0, 0, tzinfo=timezone.utc)


def failure(formula: str, **current: float) -> FormulaError:
    with pytest.raises(FormulaError) as caught:
        evaluate(
            formula,
            now=NOW,
            samples=Samples(),
            current={f"${name}": value for name, value in current.items()},
        )
    return caught.value


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x = 1 +", "Line 1, Col 8: Syntax error: unexpected end of formula, expected an expression"),
        ("x = (1", "Line 1, Col 7: Syntax error: unexpected end of formula, expected ')'"),
        ("x = 1\ny = 2", "Line 2, Col 1: Syntax error: unexpected 'y', expected ';'"),
        ("x = 1 ? 2", "Line 1, Col 10: Syntax error: unexpected end of formula, expected ':'"),
        ("1 = 2", "Line 1, Col 3: Syntax error: unexpected '=', expected ';'"),
        ("x == = 2", "Line 1, Col 6: Syntax error: unexpected '=', expected an expression"),
        ("a = max(1,)", "Line 1, Col 11: Syntax error: unexpected ')', expected an expression"),
        ("a = [1, 2;", "Line 1, Col 10: Syntax error: unexpected ';', expected ']'"),
        ("a = time().5", "Line 1, Col 11: Syntax error: unexpected '.5', expected ';'"),
        ("a = time().()", "Line 1, Col 12: Syntax error: unexpected '(', expected a name"),
        ("\n\n  a = 5 % 2", "Line 3, Col 9: Syntax error: unexpected character '%'"),
        ("a = $", "Line 1, Col 5: Syntax error: unexpected character '$'"),
        ("a = {0}", "Line 1, Col 5: Syntax error: unexpected character '{'"),
        ('a = "b\n"', "Line 1, Col 5: Syntax error: string is not closed"),
        ("a = 1; /* b", "Line 1, Col 8: Syntax error: comment is not closed"),
    ],
)
def test_syntax_errors_say_what_is_unexpected_and_where(formula, message):
    """Lines and columns count from one; a line break may be LF or CRLF."""
    assert str(failure(formula)) == message
    crlf = formula.replace("\n", "\r\n")
    assert str(failure(crlf)) == message


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("a = b; b = 1", "Line 1, Col 5: Undefined symbol: b"),
        ("a = 1 ? 2 : nothing", "Line 1, Col 13: Undefined symbol: nothing"),
        ("a = 0 && nothing", "Line 1, Col 10: Undefined symbol: nothing"),
        ("a = $targetDedicatedNodes", "Line 1, Col 5: Undefined symbol: $targetDedicatedNodes"),
        ("a = TimeInterval_Month", "Line 1, Col 5: Undefined symbol: TimeInterval_Month"),
        ("a = time().dayOfWeek", "Line 1, Col 12: Undefined symbol: dayOfWeek"),
        ("stop();\na = nothing", "Line 2, Col 5: Undefined symbol: nothing"),
        ("a = max(1, none + nothing)", "Line 1, Col 12: Undefined symbol: none"),
    ],
)
def test_undefined_symbols_are_found_even_where_they_are_not_evaluated(formula, message):
    """A formula with a misspelt name never passes for right."""
    assert str(failure(formula)) == message


@pytest.mark.parametrize("name", ["$CPUPercent", "$CurrentDedicated", "TimeInterval_Second", "requeue"])
def test_what_the_service_defines_is_read_only(name):
    """Metrics and constants cannot be assigned."""
    assert str(failure(f"a = 1; {name} = 2")) == f"Line 1, Col 8: Cannot assign to read-only symbol: {name}"


@pytest.mark.parametrize(
    ("left", "mark", "right", "types"),
    [
        ("time()", "-", "TimeInterval_Hour", "timestamp and timeinterval"),
        ("time()", "+", "time()", "timestamp and timestamp"),
        ("time()", "+", "1", "timestamp and double"),
        ("TimeInterval_Hour", "+", "1", "timeinterval and double"),
        ("TimeInterval_Hour", "*", "TimeInterval_Hour", "timeinterval and timeinterval"),
        ("1", "/", "TimeInterval_Hour", "double and timeinterval"),
        ('"a"', "+", '"b"', "string and string"),
        ("1", "==", '"1"', "double and string"),
        ("[1,2]", "<", "3", "doubleVec and double"),
        ("[1,2]", "==", "[1,2]", "doubleVec and doubleVec"),
        ("requeue", ">", "1", "string and double"),
    ],
)
def test_operators_refuse_types_that_the_table_does_not_list(left, mark, right, types):
    """The error stands at the operator and names both types."""
    error = failure(f"{left} {mark} {right}")
    assert error.detail == f"Operator '{mark}' cannot be applied to {types}"
    assert error.position == (1, len(left) + 2)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("a = -time()", "Line 1, Col 5: Cannot convert timestamp to double"),
        ('a = !"b"', "Line 1, Col 5: Cannot convert string to double"),
        ("a = [1,2] ? 1 : 2", "Line 1, Col 11: Cannot convert doubleVec of 2 elements to double"),
        ("a = [] && 1", "Line 1, Col 8: Cannot convert doubleVec of 0 elements to double"),
        ("a = [1] + [1,2]", "Line 1, Col 9: The doubleVecs have different lengths: 1 and 2"),
        ("a = 5; b = a.hour", "Line 1, Col 14: double has no member hour"),
        ("a = time() + TimeInterval_Year * 9000", "Line 1, Col 12: The timestamp is out of range"),
        ("a = TimeInterval_Hour / 0", "Line 1, Col 23: The timeinterval is out of range"),
    ],
)
def test_values_that_cannot_be_used_are_refused(formula, message):
    """Conversions, lengths and ranges."""
    assert str(failure(formula)) == message


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("a = 1;\n$TargetDedicatedNodes = -1", "Line 2, Col 1: Invalid value for $TargetDedicatedNodes: -1"),
        ("$TargetLowPriority = 1/0", "Line 1, Col 1: Invalid value for $TargetLowPriorityNodes: inf"),
        (
            "$TargetDedicatedNodes = 1e10",
            "Line 1, Col 1: Invalid value for $TargetDedicatedNodes: 10000000000",
        ),
        ('$TargetDedicatedNodes = "3"', "Line 1, Col 1: Cannot convert string to double"),
        ("$NodeDeallocationOption = 3", "Line 1, Col 1: Invalid value for $NodeDeallocationOption: 3"),
        (
            '$NodeDeallocationOption = "keep"',
            "Line 1, Col 1: Invalid value for $NodeDeallocationOption: keep",
        ),
    ],
)
def test_outcomes_that_no_pool_can_have_are_refused(formula, message):
    """Targets are numbers of nodes; the option is one of four words. The pool's values are reported."""
    error = failure(formula, TargetDedicatedNodes=2)
    assert str(error) == message
    assert error.partial.results.startswith(
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )


def test_a_negative_target_may_be_put_right_later_in_the_formula():
    """Only the outcome counts."""
    formula = "$TargetDedicatedNodes = -4; $TargetDedicatedNodes = max(0, $TargetDedicatedNodes)"
    evaluation = evaluate(formula, now=NOW, samples=Samples(), current={})
    assert evaluation.target_dedicated_nodes == 0


def test_what_was_assigned_before_an_error_is_reported_with_it():
    """The statements before the failing one count; the failing one and those after it do not."""
    formula = "a = 1; $TargetDedicatedNodes = 7; b = $ActiveTasks.GetSample(TimeInterval_Hour, 10); c = 3"
    error = failure(formula, TargetDedicatedNodes=2)
    assert isinstance(error, InsufficientSampleData)
    assert error.partial.results == (
        "$TargetDedicatedNodes=7;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;a=1"
    )


def test_nothing_is_evaluated_of_a_formula_with_a_syntax_error_or_an_unknown_name():
    """Both are found before the first statement runs."""
    for fault in ("1 +", "nothing"):
        error = failure(f"$TargetDedicatedNodes = 7; a = {fault}", TargetDedicatedNodes=2)
        assert error.partial.target_dedicated_nodes == 2
        assert not error.partial.variables


def test_a_formula_may_be_as_long_as_documented():
    """8 KB and 100 statements pass; one byte or one statement more does not."""
    evaluate("x=1".ljust(8192), now=NOW, samples=Samples(), current={})
    evaluate("x=1;" * 100 + ";;;", now=NOW, samples=Samples(), current={})
    assert str(failure("x=1".ljust(8193))) == "Line 1, Col 1: The formula is longer than 8192 bytes"
    assert str(failure("x=1;" * 101)) == "Line 1, Col 401: The formula has more than 100 statements"


@pytest.mark.parametrize(
    "formula",
    [
        "(" * 8000,
        "a = " + "(" * 60 + "1" + ")" * 60,
        "a = 1" + "+1" * 4000,
        "-" * 8000 + "1",
        "1?" * 4000,
        "[" * 8000,
        "avg(" * 2000,
        "a = " + "1||1&&1==1<1+1*-(" * 300,
        "time()" + ".year" * 1000,
    ],
)
def test_nesting_beyond_the_limit_is_an_error_not_a_crash(formula):
    """However the depth is made."""
    assert failure(formula).detail == "The expression is nested too deeply"


def test_the_deepest_mix_of_operators_that_is_allowed_is_evaluated():
    """Each level of parentheses with an operator of each precedence stays within the stack."""
    depth = 21
    formula = "a = " + "1&&1==1+1*-(" * depth + "1" + ")" * depth
    assert evaluate(formula, now=NOW, samples=Samples(), current={}).variables["a"] in (0, 1)
