"""The language itself: statements, operators on each type, variables, what evaluation reports."""

import math
from datetime import datetime, timezone

import pytest

from batch_emulator.autoscale import METRICS, Evaluation, FormulaError, Samples, evaluate
from batch_emulator.autoscale.values import render

NOW = datetime(2024, 2, 29, 13, 5, 9, 250000, tzinfo=timezone.utc)


def run(formula: str, **current: float | str) -> Evaluation:
    pool = {f"${name}": value for name, value in current.items()}
    return evaluate(formula, now=NOW, samples=Samples(), current=pool)


def value(expression: str, **current: float | str) -> str:
    """An expression's value as `results` shows it."""
    return render(run(f"x = {expression}", **current).variables["x"])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 + 2", "9"),
        ("7 - 2", "5"),
        ("7 * 2", "14"),
        ("7 / 2", "3.5"),
        ("-7", "-7"),
        ("!7", "0"),
        ("!0", "1"),
        ("--3", "3"),
        (".5 + 1e1", "10.5"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("24 / 4 / 2", "3"),
        ("-2 * 3", "-6"),
        ("1 / 0", "inf"),
        ("-1 / 0", "-inf"),
        ("0 / 0", "nan"),
        ("1000000", "1e+06"),
        ("2 / 3", "0.666667"),
    ],
)
def test_arithmetic_of_doubles(expression, expected):
    """Usual precedence, left to right; division by zero is IEEE's, and six digits are shown."""
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[1,2,3] + 1", "[2,3,4]"),
        ("[1,2,3] - 1", "[0,1,2]"),
        ("[1,2,3] * 2", "[2,4,6]"),
        ("[1,2,3] / 2", "[0.5,1,1.5]"),
        ("[1,2] + [3,4]", "[4,6]"),
        ("[1,2] - [3,5]", "[-2,-3]"),
        ("[1,2] * [3,4]", "[3,8]"),
        ("[1,2] / [2,8]", "[0.5,0.25]"),
        ("6 / [1,2]", "[6,3]"),
        ("[]", "[]"),
        ("[1,[2,3]]", "[1,2,3]"),
    ],
)
def test_arithmetic_of_double_vectors(expression, expected):
    """Element by element with a double or with a vector of the same length."""
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 * TimeInterval_Minute", "00:02:00"),
        ("TimeInterval_Minute * 1.5", "00:01:30"),
        ("TimeInterval_Hour / 4", "00:15:00"),
        ("TimeInterval_Hour + TimeInterval_Minute", "01:01:00"),
        ("TimeInterval_Minute - TimeInterval_Hour", "-00:59:00"),
        ("-TimeInterval_Week", "-7.00:00:00"),
        ("TimeInterval_Day + time()", "2024-03-01T13:05:09.250Z"),
        ("time() + TimeInterval_Second", "2024-02-29T13:05:10.250Z"),
        ('time() - time("2024-02-29T13:05:09Z")', "00:00:00.2500000"),
    ],
)
def test_arithmetic_of_times(expression, expected):
    """The rows of the operations table that hold a timestamp or a timeinterval."""
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("unit", "hundreds_of_nanoseconds"),
    [
        ("Zero", 0),
        ("100ns", 1),
        ("Microsecond", 10),
        ("Millisecond", 10_000),
        ("Second", 10_000_000),
        ("Minute", 600_000_000),
        ("Hour", 36_000_000_000),
        ("Day", 864_000_000_000),
        ("Week", 6_048_000_000_000),
        ("Year", 315_360_000_000_000),
    ],
)
def test_interval_constants(unit, hundreds_of_nanoseconds):
    """Every documented TimeInterval constant, measured in the smallest of them."""
    assert value(f"TimeInterval_{unit} == {hundreds_of_nanoseconds} * TimeInterval_100ns") == "1"


@pytest.mark.parametrize(
    "pair",
    ["1 {} 2", '"apple" {} "pear"', "TimeInterval_Second {} TimeInterval_Minute", 'time("2020") {} time()'],
)
@pytest.mark.parametrize(
    ("mark", "expected"), [("<", 1), ("<=", 1), ("==", 0), (">=", 0), (">", 0), ("!=", 1)]
)
def test_comparisons_of_each_type_give_one_or_zero(pair, mark, expected):
    """Two values of one type compare, the left one being the smaller here."""
    assert value(pair.format(mark)) == str(expected)


@pytest.mark.parametrize(
    ("mark", "expected"), [("<", 0), ("<=", 1), ("==", 1), (">=", 1), (">", 0), ("!=", 0)]
)
def test_comparisons_of_equal_values(mark, expected):
    """The same on both sides."""
    assert value(f"2 {mark} 2") == value(f"time() {mark} time()") == str(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 && 2", "1"),
        ("1 && 0", "0"),
        ("0 || 3", "1"),
        ("0 || 0", "0"),
        ("1 || 0 && 0", "1"),
        ("1 < 2 && 2 < 3", "1"),
        ("1 + 1 == 2", "1"),
        ("1 == 1 != 0", "1"),
        ("3 ? 4 : 5", "4"),
        ("0 ? 4 : 5", "5"),
        ("0 ? 1 : 0 ? 2 : 3", "3"),
        ("1 ? 0 ? 1 : 2 : 3", "2"),
        ("1 > 2 || 1 ? 6 : 7", "6"),
    ],
)
def test_logic_and_conditions(expression, expected):
    """Nonzero is true; the ternary operator nests to the right and binds loosest."""
    assert value(expression) == expected


@pytest.mark.parametrize("expression", ["0 && stop()", "1 || stop()", "1 ? 8 : stop()", "0 ? stop() : 8"])
def test_operands_that_cannot_matter_are_not_evaluated(expression):
    """A guard keeps its other branch from being evaluated."""
    assert "x" in run(f"x = {expression}").variables


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("[4] > 3", "1"), ("[4] == [4]", "1"), ("!([0])", "1"), ("-[2]", "-2"), ("[1] ? 2 : 3", "2")],
)
def test_a_vector_of_one_element_serves_as_a_double(expression, expected):
    """GetSample(1) can be compared and tested."""
    assert value(expression) == expected
    assert run("$TargetDedicatedNodes = [7]").target_dedicated_nodes == 7
    assert value("TimeInterval_Second * [3]") == "00:00:03"


@pytest.mark.parametrize(
    ("field", "expected"),
    [("year", 2024), ("month", 2), ("day", 29), ("weekday", 4), ("hour", 13), ("minute", 5), ("second", 9)],
)
def test_timestamp_members(field, expected):
    """The parts of a timestamp, Thursday being day 4."""
    assert value(f"time().{field}") == str(expected)


def test_sunday_is_weekday_seven():
    """Weekdays run from 1 for Monday to 7."""
    assert value('time("2024-03-03").weekday') == "7"


def test_statements_need_semicolons_between_them_only():
    """Line breaks, comments and empty statements do not count."""
    formula = "; a = 1 ;; /* two\n lines */ b\n=\r\n2; // the end = 3\n"
    assert dict(run(formula).variables) == {"a": 1.0, "b": 2.0}
    assert run("").variables == {}


def test_an_expression_alone_is_a_statement():
    """A value may be computed and dropped."""
    assert run("1 + 1; 2 ? 3 : 4;").variables == {}


def test_user_variables_may_have_a_dollar_sign_and_are_case_sensitive():
    """`a`, `A` and `$a` are three variables, reported in the order of the character codes."""
    evaluation = run("a = 1; A = 2; $a = 3; _b2 = 4; a = a + A + $a;")
    assert list(evaluation.variables) == ["a", "A", "$a", "_b2"]
    assert evaluation.results.endswith("=requeue;$a=3;A=2;_b2=4;a=6")


def test_targets_and_option_default_to_what_the_pool_has():
    """What the formula leaves alone stays."""
    evaluation = run(
        "x = 1", TargetDedicatedNodes=5, TargetLowPriorityNodes=6, NodeDeallocationOption="terminate"
    )
    assert evaluation.target_dedicated_nodes == 5
    assert evaluation.target_low_priority_nodes == 6
    assert evaluation.node_deallocation_option == "terminate"
    assert (
        run("").results == "$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )


def test_aliases_assign_the_targets():
    """$TargetDedicated and $TargetLowPriority stand for the full names, which results show."""
    evaluation = run("$TargetDedicated = 3; $TargetLowPriority = $TargetDedicatedNodes + 1")
    assert evaluation.results == (
        "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=4;$NodeDeallocationOption=requeue"
    )
    assert value("$TargetDedicated + $TargetLowPriority", TargetDedicatedNodes=2) == "2"


@pytest.mark.parametrize("order", ["{full}; {alias}", "{alias}; {full}"])
def test_full_name_takes_precedence_over_its_alias(order):
    """If both are assigned the alias does not count, in whichever order."""
    formula = order.format(full="$TargetDedicatedNodes = 1", alias="$TargetDedicated = 9")
    assert run(formula).target_dedicated_nodes == 1


def test_fractions_of_nodes_are_cut_off_at_the_end():
    """Targets are whole numbers in the outcome, whatever they are within the formula."""
    evaluation = run("$TargetDedicatedNodes = 2.9; x = $TargetDedicatedNodes; $TargetLowPriorityNodes = -0.5")
    assert evaluation.results == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;x=2.9"
    )


def test_a_large_target_is_shown_in_full():
    """Only doubles are shortened to six digits."""
    assert run("$TargetDedicatedNodes = 16777216").results.startswith("$TargetDedicatedNodes=16777216;")


@pytest.mark.parametrize("option", ["requeue", "terminate", "taskcompletion", "retaineddata"])
def test_each_deallocation_option_can_be_assigned_and_compared(option):
    """The four documented words are values."""
    evaluation = run(
        f"$NodeDeallocationOption = 1 ? {option} : requeue; x = $NodeDeallocationOption == {option}"
    )
    assert evaluation.node_deallocation_option == option
    assert evaluation.variables["x"] == 1


@pytest.mark.parametrize("metric", [*METRICS, "$CurrentDedicated"])
def test_every_service_variable_is_a_number_where_one_is_needed(metric):
    """Its present value counts, before any sample."""
    name = metric.replace("$CurrentDedicated", "$CurrentDedicatedNodes") if metric not in METRICS else metric
    samples = Samples()
    samples.record(name, NOW, 3)
    assert evaluate(f"x = {metric} / 2", now=NOW, samples=samples, current={}).variables["x"] == 1.5
    assert evaluate(f"x = {metric} / 2", now=NOW, samples=samples, current={name: 8}).variables["x"] == 4


def test_stop_ends_the_evaluation_with_what_was_assigned():
    """stop() is not an error."""
    evaluation = run("$TargetDedicatedNodes = 4; time().hour > 12 ? stop() : 0; $TargetDedicatedNodes = 5")
    assert evaluation.target_dedicated_nodes == 4


def test_evaluation_is_a_function_of_its_arguments():
    """rand() too gives the same for the same moment, and another for another."""
    first, again = run("x = [rand(), rand()]"), run("x = [rand(), rand()]")
    later = evaluate("x = [rand(), rand()]", now=NOW.replace(hour=14), samples=Samples(), current={})
    assert first.variables == again.variables != later.variables
    assert len(set(first.variables["x"])) == 2


def test_a_long_sum_and_deep_parentheses_are_evaluated():
    """The limits on nesting leave room for any formula that people write."""
    assert value("1" + " + 1" * 149) == "150"
    assert value("(" * 39 + "1" + ")" * 39) == "1"


def test_interval_times_infinity_is_refused():
    """An interval has bounds."""
    with pytest.raises(FormulaError, match="The timeinterval is out of range"):
        value("TimeInterval_Second * (1 / 0)")
    assert math.isinf(run("x = 1e999").variables["x"])
