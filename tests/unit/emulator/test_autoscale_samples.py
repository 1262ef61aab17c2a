"""Sample histories and the methods of sampled variables."""

import math
from datetime import datetime, timedelta, timezone

import pytest

from batch_emulator.autoscale import FormulaError, InsufficientSampleData, Samples, evaluate
from batch_emulator.autoscale.values import render

NOW = datetime(2024, 2, 29, 13, 0, 0, tzinfo=timezone.utc)


def history(count: int, *, newest_age_seconds: int = 0) -> Samples:
    """Samples of $CPUPercent with the values 1 to `count`, oldest first, the newest of that age."""
    samples = Samples()
    for index in range(count):
        age_seconds = newest_age_seconds + 30 * (count - 1 - index)
        samples.record("$CPUPercent", NOW - timedelta(seconds=age_seconds), index + 1)
    return samples


def value(expression: str, samples: Samples) -> str:
    evaluation = evaluate(f"x = {expression}", now=NOW, samples=samples, current={})
    return render(evaluation.variables["x"])


def test_ten_minutes_hold_twenty_samples():
    """As the page says, whether the newest was taken now or a moment ago."""
    for age_seconds in (0, 12):
        samples = history(100, newest_age_seconds=age_seconds)
        assert value("len($CPUPercent.GetSample(TimeInterval_Minute * 10))", samples) == "20"


def test_the_last_minute_missing_leaves_eighteen_samples():
    """The page's example: 95 percent are demanded in vain, 80 are there."""
    samples = history(100, newest_age_seconds=60)
    assert value("len($CPUPercent.GetSample(TimeInterval_Minute * 10))", samples) == "18"
    assert value("len($CPUPercent.GetSample(TimeInterval_Minute * 10, 80))", samples) == "18"
    with pytest.raises(InsufficientSampleData, match=r"\$CPUPercent wanted 95%, received 90%"):
        value("$CPUPercent.GetSample(TimeInterval_Minute * 10, 95)", samples)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("1", "[5]"),
        ("3", "[3,4,5]"),
        ("99", "[1,2,3,4,5]"),
        ("0", "[]"),
        ("2.7", "[4,5]"),
        ("TimeInterval_Minute", "[4,5]"),
        ("TimeInterval_Minute, 100", "[4,5]"),
        ("TimeInterval_Zero, TimeInterval_Minute", "[4,5]"),
        ("TimeInterval_Minute, TimeInterval_Zero", "[4,5]"),
        ("TimeInterval_Minute, 2 * TimeInterval_Minute, 100", "[2,3]"),
        ('time("2024-02-29T12:59:00Z")', "[4,5]"),
        ('time("2024-02-29T12:58:00Z"), time("2024-02-29T12:59:00Z")', "[2,3]"),
        ('time("2024-02-29T12:58:00Z"), TimeInterval_Minute, 50', "[2,3]"),
        ("TimeInterval_Minute * -5", "[]"),
    ],
)
def test_get_sample_overloads(arguments, expected):
    """By number, by start, by start and end, each bound a timestamp or an interval back from now."""
    assert value(f"$CPUPercent.GetSample({arguments})", history(5)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("10 * TimeInterval_Minute", "25"),
        ("2.5 * TimeInterval_Minute", "100"),
        ("TimeInterval_Minute, 4 * TimeInterval_Minute", "50"),
        ("15 * TimeInterval_Second", "100"),
        ("TimeInterval_Zero", "0"),
        ("TimeInterval_Hour, 2 * TimeInterval_Hour", "0"),
    ],
)
def test_get_sample_percent(arguments, expected):
    """The samples that are there, as a share of those that the window could hold."""
    assert value(f"$CPUPercent.GetSamplePercent({arguments})", history(5)) == expected


def test_methods_on_the_history_as_a_whole():
    """Period, number and begin of the samples."""
    samples = history(5)
    assert value("$CPUPercent.GetSamplePeriod()", samples) == "00:00:30"
    assert value("$CPUPercent.Count()", samples) == "5"
    assert value("$CPUPercent.HistoryBeginTime()", samples) == "2024-02-29T12:58:00.000Z"


def test_a_metric_without_samples():
    """It has no samples, zero percent of them, no begin, and no value as a number."""
    samples = Samples()
    assert value("$ActiveTasks.Count()", samples) == "0"
    assert value("$ActiveTasks.GetSample(1)", samples) == "[]"
    assert value("$ActiveTasks.GetSample(TimeInterval_Hour)", samples) == "[]"
    assert value("$ActiveTasks.GetSamplePercent(TimeInterval_Hour)", samples) == "0"
    for expression in ("$ActiveTasks.HistoryBeginTime()", "$ActiveTasks + 1"):
        with pytest.raises(InsufficientSampleData, match=r"\$ActiveTasks wanted 100%, received 0%"):
            value(expression, samples)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("$CPUPercent.GetSample()", "Line 1, Col 26: Wrong number of arguments for GetSample: 0"),
        ("$CPUPercent.Count(1)", "Line 1, Col 22: Wrong number of arguments for Count: 1"),
        ("$CPUPercent.GetSample(-1)", "Line 1, Col 26: Invalid number of samples: -1"),
        ("$CPUPercent.GetSample(0/0)", "Line 1, Col 26: Invalid number of samples: nan"),
        ("$CPUPercent.GetSample(1/0)", "Line 1, Col 26: Invalid number of samples: inf"),
        ("$CPUPercent.GetSample(1, 50)", "Line 1, Col 26: GetSample cannot take a start time of type double"),
        (
            "$CPUPercent.GetSample(TimeInterval_Day, 1, 50)",
            "Line 1, Col 26: GetSample cannot take an end time of type double",
        ),
        ('$CPUPercent.GetSample("1")', "Line 1, Col 26: Cannot convert string to double"),
        (
            "$CPUPercent.GetSamplePercent(5)",
            "Line 1, Col 33: Cannot convert double to timestamp or timeinterval",
        ),
        ("$CPUPercent.GetSamples(1)", "Line 1, Col 17: Undefined symbol: GetSamples"),
        ("$CPUPercentage.Count()", "Line 1, Col 5: Undefined symbol: $CPUPercentage"),
        ("time().Count()", "Line 1, Col 12: Count is a method of sampled variables only"),
        ("$TargetDedicatedNodes.Count()", "Line 1, Col 27: Count is a method of sampled variables only"),
    ],
)
def test_methods_refuse_wrong_use(call, message):
    """Wrong numbers and types of arguments, unknown methods, and methods of what is not sampled."""
    with pytest.raises(FormulaError) as caught:
        value(call, history(5))
    assert str(caught.value) == message


def test_get_sample_beyond_the_first_year_is_refused():
    """A window must lie in time."""
    with pytest.raises(FormulaError, match="The timestamp is out of range"):
        value("$CPUPercent.GetSample(TimeInterval_Year * 5000)", history(5))


def test_history_is_bounded():
    """The oldest samples go first."""
    samples = Samples(history_samples=3)
    for index in range(10):
        samples.record("$ActiveTasks", NOW + timedelta(seconds=30 * index), index)
    assert samples.count("$ActiveTasks") == 3
    assert samples.last("$ActiveTasks", 9) == (7.0, 8.0, 9.0)


def test_samples_may_come_late_and_twice():
    """They are kept in the order of their times, and the later record of a moment counts."""
    samples = Samples()
    for age_seconds, sample in ((0, 3), (60, 1), (30, 9), (30, 2)):
        samples.record("$ActiveTasks", NOW - timedelta(seconds=age_seconds), sample)
    assert samples.last("$ActiveTasks", 9) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("sample", [math.nan, math.inf])
def test_a_sample_is_a_finite_number(sample):
    """A wrong sample is refused when recorded."""
    with pytest.raises(ValueError, match="not a finite number"):
        Samples().record("$ActiveTasks", NOW, sample)
