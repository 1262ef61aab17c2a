"""Each predefined function of the language."""

from datetime import datetime, timezone

import pytest

from batch_emulator.autoscale import FormulaError, Samples, evaluate
from batch_emulator.autoscale.functions import FUNCTIONS
from batch_emulator.autoscale.values import render

NOW = datetime(2024, 2, 29, 13, 5, 9, 250000, tzinfo=timezone.utc)

CASES = [
    ("avg([1,2,3])", "2"),
    ("avg(1,2,3)", "2"),
    ("avg([1,2,3], 7)", "3.25"),
    ("ceil(1.2)", "2"),
    ("ceil(-1.2)", "-1"),
    ("ceil([1.2, 3])", "[2,3]"),
    ("floor(1.8)", "1"),
    ("floor(1.8, -1.2)", "[1,-2]"),
    ("len([1,2], 3)", "3"),
    ("len()", "0"),
    ("lg(8)", "3"),
    ("lg(vec(8))", "[3]"),
    ("lg([1, 2, 4])", "[0,1,2]"),
    ("ln(1)", "0"),
    ("ln([1, 1])", "[0,0]"),
    ("log(1000)", "3"),
    ("log(1, 10, [100])", "[0,1,2]"),
    ("log(0)", "-inf"),
    ("log(-1)", "nan"),
    ("max(3, [9, 1], 4)", "9"),
    ("min(3, [9, 1], 4)", "1"),
    ("norm(3, 4)", "5"),
    ("percentile([1,2,3,4,5,6,7,8,9,10], 90)", "9"),
    ("percentile([10, 20, 30], 50)", "20"),
    ("percentile([10, 20, 30], 0)", "10"),
    ("percentile(vec(30, 10, 20), 100)", "30"),
    ("rand() >= 0 && rand() < 1", "1"),
    ("range(4, [1, 9])", "8"),
    ("round(2.5)", "3"),
    ("round(-2.5)", "-3"),
    ("round(2.4)", "2"),
    ("round([0.5, 1.5])", "[1,2]"),
    ("std(2, 4, 4, 4, 5, 5, 7, 9)", "2.13809"),
    ("std(5)", "0"),
    ("sum([1, 2], 3)", "6"),
    ("time()", "2024-02-29T13:05:09.250Z"),
    ('time("")', "2024-02-29T13:05:09.250Z"),
    ("val([5, 6, 7], 0)", "5"),
    ("val([5, 6, 7], 2.9)", "7"),
    ("vec(1, [2, 3])", "[1,2,3]"),
]


def value(expression: str) -> str:
    evaluation = evaluate(f"x = {expression}", now=NOW, samples=Samples(), current={})
    return render(evaluation.variables["x"])


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_function_value(expression, expected):
    """Lists are joined to one vector; functions of one double give a double."""
    assert value(expression) == expected


def test_every_function_has_a_case():
    """A function cannot be added without a test; stop is tested with the statements."""
    tested = {name for name in FUNCTIONS for expression, _ in CASES if f"{name}(" in expression}
    assert FUNCTIONS.keys() - tested == {"stop"}


@pytest.mark.parametrize("name", ["avg", "max", "min", "norm", "range", "std", "sum"])
def test_summary_of_nothing_is_zero(name):
    """Formulas that take the average of no samples get on."""
    assert value(f"{name}([])") == "0"
    assert value("val([], 0)") == value("percentile([], 50)") == "0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016", "2016-01-01T00:00:00.000Z"),
        ("2016-10", "2016-10-01T00:00:00.000Z"),
        ("2016-10-13", "2016-10-13T00:00:00.000Z"),
        ("2016-10-13T19:18Z", "2016-10-13T19:18:00.000Z"),
        ("2016-10-13T19:18:47Z", "2016-10-13T19:18:47.000Z"),
        ("2024-10-30T00:00:00.880011Z", "2024-10-30T00:00:00.880Z"),
        ("2016-10-13T19:18:47.5+02:00", "2016-10-13T17:18:47.500Z"),
        ("2016-10-13T19:18:47-05:30", "2016-10-14T00:48:47.000Z"),
        ("Thu, 13 Oct 2016 19:18:47 GMT", "2016-10-13T19:18:47.000Z"),
    ],
)
def test_time_reads_w3c_and_rfc1123(text, expected):
    """Each form of W3C-DTF, and RFC 1123."""
    assert value(f'time("{text}")') == expected


def test_a_naive_now_is_utc():
    """The time of evaluation may come without a zone."""
    evaluation = evaluate("x = time()", now=datetime(2024, 1, 2), samples=Samples(), current={})
    assert render(evaluation.variables["x"]) == "2024-01-02T00:00:00.000Z"


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2016-13-01",
        "2016-02-30",
        "2016-10-13T19:18:47",
        "2016-10-13T25:00Z",
        "2023-04-14T10:57:35.123456789Z",
        "2016-10-13T19:18:47+24:00",
        "0001-01-01T00:00:00+01:00",
        "Fri, 13 Oct 2016 19:18:47 GMT",
        "Thu, 32 Oct 2016 19:18:47 GMT",
        "Thu, 13 Oct 2016 19:18:47 CET",
    ],
)
def test_time_refuses_what_is_no_time(text):
    """Impossible dates, unknown forms, and the nine decimals that the service is known to refuse."""
    with pytest.raises(FormulaError, match=r"^Line 1, Col 9: (Invalid time: |The timestamp is out of range)"):
        value(f'time("{text}")')


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('avg("a")', "Line 1, Col 8: Cannot convert string to doubleVec"),
        ("time(5)", "Line 1, Col 9: Cannot convert double to string"),
        ("val([1,2], 2)", "Line 1, Col 8: Index out of range: 2 of 2 elements"),
        ("val([1,2], -1)", "Line 1, Col 8: Index out of range: -1 of 2 elements"),
        ("val([1,2], 0/0)", "Line 1, Col 8: Index out of range: nan of 2 elements"),
        ("percentile([1,2], 101)", "Line 1, Col 15: Invalid percentile: 101"),
        ("percentile([1,2], [1,2])", "Line 1, Col 15: Cannot convert doubleVec of 2 elements to double"),
        ("val(1)", "Line 1, Col 8: Wrong number of arguments for val: 1"),
        ("rand(1)", "Line 1, Col 9: Wrong number of arguments for rand: 1"),
        ("lg()", "Line 1, Col 7: Wrong number of arguments for lg: 0"),
        ("median(1)", "Line 1, Col 5: Undefined symbol: median"),
    ],
)
def test_functions_refuse_wrong_arguments_at_their_parenthesis(expression, message):
    """A type, range or number of arguments that the function does not take."""
    with pytest.raises(FormulaError) as caught:
        value(expression)
    assert str(caught.value) == message


def test_a_vector_has_a_largest_length():
    """Vectors cannot be doubled without end."""
    formula = "v = vec(1, 2);" + "v = vec(v, v);" * 20
    with pytest.raises(FormulaError, match="more than 5000 elements"):
        evaluate(formula, now=NOW, samples=Samples(), current={})
