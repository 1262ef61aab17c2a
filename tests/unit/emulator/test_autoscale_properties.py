"""Whatever the text: an evaluation or a FormulaError, and the same each time."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batch_emulator.autoscale import METRICS, Evaluation, FormulaError, Samples, evaluate
from batch_emulator.autoscale.functions import FUNCTIONS
from batch_emulator.autoscale.metrics import METHODS
from batch_emulator.autoscale.symbols import CONSTANTS, READ_WRITE, TARGET_ALIASES, TIMESTAMP_FIELDS

USUAL = settings().max_examples
NOW = datetime(2024, 2, 29, 13, 0, 0, tzinfo=timezone.utc)

SAMPLES = Samples()
for _metric in METRICS:
    for _age in range(60):
        SAMPLES.record(_metric, NOW - timedelta(seconds=30 * _age), _age)

MARKS = ["+", "-", "*", "/", "<", "<=", "==", "!=", ">", ">=", "&&", "||", "!", "?", ":", "=", ";", ",", "."]
BRACKETS = ["(", ")", "[", "]", '"', "//", "/*", "*/", "\n", " "]
NUMBERS = ["0", "1", "2.5", "1e308", "1e999", "99999999999999999999"]
NAMES = [*READ_WRITE, *TARGET_ALIASES, *METRICS, *CONSTANTS, "a", "$b"]
WORDS = [*FUNCTIONS, *METHODS, *TIMESTAMP_FIELDS]

tokens = st.sampled_from([*MARKS, *BRACKETS, *NUMBERS, *NAMES, *WORDS])
token_soup = st.lists(tokens, max_size=60).map(" ".join)


def _call(name: str, fewest: int, most: int | None, inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A call with a right number of arguments."""
    arguments = st.lists(inner, min_size=fewest, max_size=fewest + 2 if most is None else most)
    return arguments.map(lambda given: f"{name}({', '.join(given)})")


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bounds = st.one_of(inner, st.sampled_from(["TimeInterval_Minute", "3 * TimeInterval_Hour", "2"]))
    methods = [_call(name, method.fewest, method.most, bounds) for name, method in METHODS.items()]
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(MARKS[:12]), inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("{}{}".format, st.sampled_from("-!"), inner),
        st.builds("time().{}".format, st.sampled_from(list(TIMESTAMP_FIELDS))),
        st.builds("{}.{}".format, inner, st.sampled_from(list(TIMESTAMP_FIELDS))),
        *(_call(name, function.fewest, function.most, inner) for name, function in FUNCTIONS.items()),
        *(st.builds("{}.{}".format, st.sampled_from(METRICS), call) for call in methods),
    )


leaves = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(NAMES[:-2]), st.sampled_from(["[1,2]", "time()", '"2024"'])
)
expressions = st.recursive(leaves, _compound, max_leaves=8)
targets = st.sampled_from([*READ_WRITE, "a", "$b", "c", "d", "$TargetDedicated"])
formulas = st.lists(st.builds("{} = {}".format, targets, expressions), max_size=4).map("; ".join)


def outcome(formula: str) -> Evaluation | FormulaError:
    try:
        return evaluate(formula, now=NOW, samples=SAMPLES, current={"$TargetDedicatedNodes": 2})
    except FormulaError as error:
        return error


def check(found: Evaluation | FormulaError) -> None:
    evaluation = found.partial if isinstance(found, FormulaError) else found
    assert evaluation.target_dedicated_nodes >= 0
    assert evaluation.target_low_priority_nodes >= 0
    assert evaluation.node_deallocation_option in CONSTANTS
    assert evaluation.results.startswith(f"$TargetDedicatedNodes={evaluation.target_dedicated_nodes};")


@given(st.one_of(st.text(), token_soup))
@settings(max_examples=2 * USUAL)
@example("\ud800")
@example('a = "\x00"')
@example("a = ²")
@example("\N{NO-BREAK SPACE}")
def test_any_text_is_evaluated_or_refused(formula):
    """No text raises anything but FormulaError."""
    check(outcome(formula))


@given(formulas)
@settings(max_examples=2 * USUAL)
def test_any_well_formed_formula_is_evaluated_or_refused(formula):
    """Every mix of operators, functions, methods and types has a sound outcome, twice the same."""
    found, again = outcome(formula), outcome(formula)
    check(found)
    assert "Syntax error" not in str(found)
    assert getattr(found, "results", str(found)) == getattr(again, "results", str(again))


@given(st.text("()[]-!?:+*1a,. ;=&|", min_size=1, max_size=12), st.text("()[]1;", max_size=3))
@settings(max_examples=USUAL // 2)
def test_long_repetitions_of_marks_cannot_exhaust_the_stack(pattern, end):
    """Whatever opens, nests or chains without end."""
    check(outcome("a=1;" + pattern * (8000 // len(pattern)) + end))


@pytest.mark.timeout(60)
def test_the_costliest_formula_ends():
    """Vectors of the largest length through the slowest function, in as many statements as there may be."""
    grow = "v=vec(1,2);" + "v=vec(v,v);" * 11
    body = "w=std(v)+std(v)+std(v)+std(v)+std(v)+std(v)+std(v)+std(v)+std(v);"
    formula = grow + body * 88
    assert isinstance(outcome(formula), Evaluation)
