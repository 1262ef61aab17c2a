"""The formulas of the documentation page, evaluated to what the page says of them, and recorded results."""

from datetime import datetime, timedelta, timezone

import pytest

from batch_emulator.autoscale import Evaluation, FormulaError, InsufficientSampleData, Samples, evaluate

NOW = datetime(2016, 10, 13, 19, 18, 47, 805000, tzinfo=timezone.utc)

PENDING_TASKS = """
startingNumberOfVMs = 1;
maxNumberofVMs = 25;
pendingTaskSamplePercent = $PendingTasks.GetSamplePercent(180 * TimeInterval_Second);
pendingTaskSamples = pendingTaskSamplePercent < 70 ? startingNumberOfVMs : avg($PendingTasks.GetSample(180 * TimeInterval_Second));
$TargetDedicatedNodes=min(maxNumberofVMs, pendingTaskSamples);
$NodeDeallocationOption = taskcompletion;
"""  # noqa: E501

PREEMPTED_NODES = """
maxNumberofVMs = 25;
$TargetDedicatedNodes = min(maxNumberofVMs, $PreemptedNodeCount.GetSample(180 * TimeInterval_Second));
$TargetLowPriorityNodes = min(maxNumberofVMs , maxNumberofVMs - $TargetDedicatedNodes);
$NodeDeallocationOption = taskcompletion;
"""

CPU = """
$totalDedicatedNodes =
    (min($CPUPercent.GetSample(TimeInterval_Minute * 10)) > 0.7) ?
    ($CurrentDedicatedNodes * 1.1) : $CurrentDedicatedNodes;
$totalDedicatedNodes =
    (avg($CPUPercent.GetSample(TimeInterval_Minute * 60)) < 0.2) ?
    ($CurrentDedicatedNodes * 0.9) : $totalDedicatedNodes;
$TargetDedicatedNodes = min(400, $totalDedicatedNodes)
"""

WORKING_HOURS = """
$curTime = time();
$workHours = $curTime.hour >= 8 && $curTime.hour < 18;
$isWeekday = $curTime.weekday >= 1 && $curTime.weekday <= 5;
$isWorkingWeekdayHour = $workHours && $isWeekday;
$TargetDedicatedNodes = $isWorkingWeekdayHour ? 20:10;
"""

TASK_BASED = """
// Get pending tasks for the past 15 minutes.
$samples = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 15);
// If we have fewer than 70 percent data points, we use the last sample point,
// otherwise we use the maximum of last sample point and the history average.
$tasks = $samples < 70 ? max(0,$PendingTasks.GetSample(1)) : max( $PendingTasks.GetSample(1), avg($PendingTasks.GetSample(TimeInterval_Minute * 15)));
// If number of pending tasks is not 0, set targetVM to pending tasks, otherwise
// half of current dedicated.
$targetVMs = $tasks > 0? $tasks:max(0, $TargetDedicatedNodes/2);
// The pool size is capped at 20, if target VM value is more than that, set it
// to 20. This value should be adjusted according to your use case.
$TargetDedicatedNodes = max(0, min($targetVMs, 20));
// Set node deallocation mode - let running tasks finish before removing a node
$NodeDeallocationOption = taskcompletion;
"""  # noqa: E501

PARALLEL_TASKS = """
$samples = $ActiveTasks.GetSamplePercent(TimeInterval_Minute * 15);
$tasks = $samples < 70 ? max(0,$ActiveTasks.GetSample(1)) : max( $ActiveTasks.GetSample(1),avg($ActiveTasks.GetSample(TimeInterval_Minute * 15)));
$cores = $TargetDedicatedNodes * 4;
$extraVMs = (($tasks - $cores) + 3) / 4;
$targetVMs = ($TargetDedicatedNodes + $extraVMs);
$TargetDedicatedNodes = max(0,min($targetVMs,3));
$NodeDeallocationOption = taskcompletion;
"""  # noqa: E501

INITIAL_SIZE = """
    $TargetDedicatedNodes = 4;
    lifespan         = time() - time("{created}");
    span             = TimeInterval_Minute * 60;
    startup          = TimeInterval_Minute * 10;
    ratio            = 50;

    $TargetDedicatedNodes = (lifespan > startup ? (max($RunningTasks.GetSample(span, ratio), $ActiveTasks.GetSample(span, ratio)) == 0 ? 0 : $TargetDedicatedNodes) : 4);
"""  # noqa: E501


def sampled(**metrics: float | list[float]) -> Samples:
    """Samples until now, one each 30 seconds: a list as it is, oldest first, a number for the last hour."""
    samples = Samples()
    for name, given in metrics.items():
        values = given if isinstance(given, list) else [given] * 120
        for age, value in enumerate(reversed(values)):
            samples.record(f"${name}", NOW - timedelta(seconds=30 * age), value)
    return samples


def run(formula: str, samples: Samples | None = None, *, now: datetime = NOW, **current: float) -> Evaluation:
    pool = {f"${name}": value for name, value in current.items()}
    return evaluate(formula, now=now, samples=samples or Samples(), current=pool)


def nodes(formula: str, samples: Samples | None = None, **current: float) -> int:
    return run(formula, samples, **current).target_dedicated_nodes


def test_pending_tasks_starts_with_one_node_while_samples_are_few():
    """A new pool gets its starting number of nodes."""
    assert nodes(PENDING_TASKS) == 1
    assert nodes(PENDING_TASKS, sampled(PendingTasks=[50, 50, 50, 50])) == 1


def test_pending_tasks_follows_the_average_of_three_minutes_up_to_the_cap():
    """With samples the pool has as many nodes as tasks pended on average, 25 at most."""
    evaluation = run(PENDING_TASKS, sampled(PendingTasks=[99, 10, 10, 10, 12, 12, 12]))
    assert evaluation.target_dedicated_nodes == 11
    assert evaluation.node_deallocation_option == "taskcompletion"
    assert nodes(PENDING_TASKS, sampled(PendingTasks=300)) == 25


def test_pending_tasks_shrinks_to_zero_when_nothing_pends():
    """As tasks complete the pool shrinks."""
    assert nodes(PENDING_TASKS, sampled(PendingTasks=0), TargetDedicatedNodes=9) == 0


@pytest.mark.parametrize(("preempted", "dedicated", "low_priority"), [(0, 0, 25), (7, 7, 18), (40, 25, 0)])
def test_preempted_nodes_are_replaced_by_dedicated_ones(preempted, dedicated, low_priority):
    """The pool starts with 25 low-priority nodes and never exceeds 25 in all."""
    evaluation = run(PREEMPTED_NODES, sampled(PreemptedNodeCount=preempted))
    assert evaluation.target_dedicated_nodes == dedicated
    assert evaluation.target_low_priority_nodes == low_priority


@pytest.mark.parametrize(("cpu", "current", "target"), [(0.9, 100, 110), (0.5, 100, 100), (0.1, 100, 90)])
def test_cpu_usage_grows_or_shrinks_the_pool_by_a_tenth(cpu, current, target):
    """Above 70 percent 110 percent of the nodes, below 20 percent 90 percent of them, else no change."""
    assert nodes(CPU, sampled(CPUPercent=cpu), CurrentDedicatedNodes=current) == target


def test_cpu_usage_is_capped_at_400_nodes():
    """The dedicated nodes never exceed 400."""
    assert nodes(CPU, sampled(CPUPercent=0.9), CurrentDedicatedNodes=395) == 400


def test_working_hours_give_the_results_of_the_page():
    """At 19:18 on a Thursday the page's results come out, variables sorted by name."""
    assert run(WORKING_HOURS).results == (
        "$TargetDedicatedNodes=10;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue;"
        "$curTime=2016-10-13T19:18:47.805Z;$isWeekday=1;$isWorkingWeekdayHour=0;$workHours=0"
    )


@pytest.mark.parametrize(
    ("moment", "target"),
    [("2016-10-13T08:00", 20), ("2016-10-13T17:59", 20), ("2016-10-13T18:00", 10), ("2016-10-15T12:00", 10)],
)
def test_working_hours_are_8_to_18_from_monday_to_friday(moment, target):
    """Example 1: twenty nodes on a weekday within working hours, else ten."""
    now = datetime.fromisoformat(moment).replace(tzinfo=timezone.utc)
    assert run(WORKING_HOURS, now=now).target_dedicated_nodes == target


def test_local_time_is_the_time_plus_an_offset():
    """`time() + (-6 * TimeInterval_Hour)` moves the clock to the pool owner's zone."""
    local = WORKING_HOURS.replace("time()", "time() + (-6 * TimeInterval_Hour)")
    assert nodes(local) == 20


def test_monday_formula_asks_for_five_nodes_on_mondays_only():
    """The one-line formula of the SDK snippets."""
    formula = "$TargetDedicatedNodes = (time().weekday == 1 ? 5:1);"
    assert run(formula, now=datetime(2016, 10, 10, tzinfo=timezone.utc)).target_dedicated_nodes == 5
    assert nodes(formula) == 1


def test_task_based_adjustment_takes_the_last_sample_while_samples_are_few():
    """Example 2 with less than 70 percent of the samples of a quarter of an hour."""
    assert nodes(TASK_BASED, sampled(PendingTasks=[3, 8])) == 8
    assert nodes(TASK_BASED, TargetDedicatedNodes=8) == 4


def test_task_based_adjustment_takes_the_larger_of_last_sample_and_average():
    """Example 2 with full samples, capped at 20."""
    assert nodes(TASK_BASED, sampled(PendingTasks=[16] * 29 + [1])) == 15
    assert nodes(TASK_BASED, sampled(PendingTasks=[2] * 29 + [17])) == 17
    assert nodes(TASK_BASED, sampled(PendingTasks=50)) == 20


def test_task_based_adjustment_halves_an_idle_pool():
    """Example 2 when no task pends."""
    assert nodes(TASK_BASED, sampled(PendingTasks=0), TargetDedicatedNodes=9) == 4


@pytest.mark.parametrize(("active", "before", "target"), [(10, 1, 3), (5, 1, 2), (0, 2, 0), (1, 0, 1)])
def test_parallel_tasks_add_a_node_for_four_tasks(active, before, target):
    """Example 3: a fourth of the active tasks above the cores, three nodes at most."""
    assert nodes(PARALLEL_TASKS, sampled(ActiveTasks=active), TargetDedicatedNodes=before) == target


def test_initial_size_holds_for_ten_minutes_without_any_sample():
    """Example 4: the branch that demands samples is not evaluated during startup."""
    created = (NOW - timedelta(minutes=5)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert nodes(INITIAL_SIZE.format(created=created)) == 4


def test_initial_size_becomes_zero_after_an_idle_hour_and_stays_otherwise():
    """Example 4 after its startup."""
    formula = INITIAL_SIZE.format(created=(NOW - timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert nodes(formula, sampled(RunningTasks=0, ActiveTasks=0)) == 0
    assert nodes(formula, sampled(RunningTasks=[1] + [0] * 119, ActiveTasks=0)) == 4


def test_initial_size_fails_after_startup_where_samples_are_few():
    """Example 4: half of the samples are demanded, a quarter are there."""
    formula = INITIAL_SIZE.format(created=(NOW - timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S GMT"))
    with pytest.raises(InsufficientSampleData, match=r"\$RunningTasks wanted 50%, received 25%"):
        run(formula, sampled(RunningTasks=[0] * 30, ActiveTasks=0))


def test_current_nodes_formula_keeps_the_pool_as_it_is():
    """The page's formula that enables autoscale without a resize."""
    assert nodes("$TargetDedicatedNodes = $CurrentDedicatedNodes;", CurrentDedicatedNodes=6) == 6


def test_sample_range_looks_back_from_six_minutes_to_one():
    """The page's range of samples comes out as a vector of ten."""
    formula = (
        "$runningTasksSample = $RunningTasks.GetSample(1 * TimeInterval_Minute, 6 * TimeInterval_Minute);"
    )
    assert run(formula, sampled(RunningTasks=1)).results.endswith(
        ";$runningTasksSample=[1,1,1,1,1,1,1,1,1,1]"
    )


@pytest.mark.parametrize(
    ("formula", "results"),
    [
        ("$TargetDedicatedNodes=3", "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0"),
        ("$TargetLowPriorityNodes=3", "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=3"),
    ],
)
def test_recorded_formulas_give_the_recorded_results(formula, results):
    """What the service answered to these formulas, on a pool with a target of two dedicated nodes."""
    assert run(formula, TargetDedicatedNodes=2).results == f"{results};$NodeDeallocationOption=requeue"


@pytest.mark.parametrize("formula", ["$something_useless", "something_useless"])
def test_recorded_undefined_symbol_gives_the_recorded_error(formula):
    """The error and the results beside it, as recorded at API versions 2020-03-01 and 2025-06-01."""
    with pytest.raises(FormulaError) as caught:
        run(formula, TargetDedicatedNodes=2)
    assert str(caught.value) == f"Line 1, Col 1: Undefined symbol: {formula}"
    assert caught.value.code == "AutoScalingFormulaEvaluationError"
    assert caught.value.summary == "The specified auto-scaling formula has evaluation error"
    assert caught.value.partial.results == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )


def test_published_insufficient_data_error_is_worded_and_placed_as_published():
    """The error that Microsoft's .NET tests carry for this formula."""
    formula = "$RunningTasks.GetSample(10 * TimeInterval_Second, 0 * TimeInterval_Second, 100);"
    with pytest.raises(InsufficientSampleData) as caught:
        run(formula)
    assert str(caught.value) == (
        "Line 1, Col 24: Insufficient data from data set: $RunningTasks wanted 100%, received 0%"
    )
    assert caught.value.code == "InsufficientSampleData"
    assert caught.value.summary == "Autoscale evaluation failed due to insufficient sample data"


def test_published_results_of_a_real_pool_are_matched():
    """Six significant digits, and `$` names before bare ones, as in the published state of a pool."""
    formula = TASK_BASED.replace(
        "$TargetDedicatedNodes = max(0, min($targetVMs, 20));",
        "cappedPoolSize = 3; $TargetDedicatedNodes = max(1, min($targetVMs, cappedPoolSize));",
    )
    evaluation = run(formula, sampled(PendingTasks=[0] * 29), TargetDedicatedNodes=1)
    assert evaluation.results == (
        "$TargetDedicatedNodes=1;$TargetLowPriorityNodes=0;$NodeDeallocationOption=taskcompletion;"
        "$samples=96.6667;$targetVMs=0.5;$tasks=0;cappedPoolSize=3"
    )
