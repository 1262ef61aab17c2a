"""What simulated nodes make of a launch."""

from __future__ import annotations

from random import Random

import pytest

from batch_emulator.node.launch import Launch
from batch_emulator.node.simulation import Simulation, foresee, parse_simulation


def launch(
    directory: str = "workitems/job/job-1/task", limit: float | None = None, **environment: str
) -> Launch:
    return Launch("node", directory, "x", environment=environment, max_wall_clock_seconds=limit)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("fixed", Simulation("fixed", 1.0, 0.0)),
        ("uniform:30", Simulation("uniform", 30.0, 0.0)),
        ("exponential:2.5:0.1", Simulation("exponential", 2.5, 0.1)),
    ],
)
def test_rule_is_read_from_text(text, rule):
    """The command line names the distribution, its mean and the share of failures."""
    assert parse_simulation(text) == rule


@pytest.mark.parametrize(
    "text", ["normal", "fixed:x", "fixed:-1", "fixed:1:2", "fixed:1:0:0", "", "fixed:nan"]
)
def test_bad_rule_is_refused(text):
    """What is no distribution, no length of time or no share is a ValueError."""
    with pytest.raises(ValueError):
        parse_simulation(text)


@pytest.mark.parametrize(("distribution", "most"), [("fixed", 10), ("uniform", 20), ("exponential", 1000)])
def test_mean_is_that_of_the_rule(distribution, most):
    """Durations are of the distribution, with its mean, and as many attempts fail as the rule says."""
    rule, random = Simulation(distribution, 10, failure_rate=0.25), Random(1)
    found = [foresee(rule, launch(), random) for _ in range(4000)]
    seconds = [each for each, _ in found]
    assert sum(seconds) / len(seconds) == pytest.approx(10, rel=0.1)
    assert 0 <= min(seconds) <= max(seconds) <= most
    assert sum(outcome.exit_code == 1 for _, outcome in found) / len(found) == pytest.approx(0.25, rel=0.1)


def test_same_seed_same_times():
    """The same launches in the same order take the same times."""
    rule = Simulation("exponential", 5)
    one, other = ([foresee(rule, launch(), Random(7))[0] for _ in range(3)] for _ in range(2))
    assert one == other


def test_task_says_how_long_it_takes_and_how_it_ends():
    """Environment settings of the task outrank the rule."""
    seconds, outcome = foresee(
        Simulation(), launch(SIMULATED_SECONDS="12.5", SIMULATED_EXIT_CODE="3"), Random()
    )
    assert (seconds, outcome.exit_code, outcome.failure.code, outcome.retriable) == (
        12.5,
        3,
        "FailureExitCode",
        True,
    )


@pytest.mark.parametrize("seconds", ["long", "-1", "nan", "inf"])
def test_bad_environment_setting_fails_the_task(seconds):
    """A setting that is no length of time ends the attempt before it starts, and says so."""
    _, outcome = foresee(Simulation(), launch(SIMULATED_SECONDS=seconds), Random())
    assert outcome.exit_code is None
    assert seconds in dict(outcome.failure.details)["Message"]


def test_wall_clock_limit_ends_a_simulated_task():
    """A task that would take longer than its limit is ended at the limit, and has failed."""
    seconds, outcome = foresee(Simulation("fixed", 60), launch(limit=5), Random())
    assert (seconds, outcome.failure.code, outcome.retriable) == (5, "TaskEnded", False)


def test_start_tasks_take_no_time():
    """The rule is for tasks: a node's start task succeeds at once unless it says otherwise itself."""
    rule = Simulation("fixed", 60, failure_rate=1)
    assert foresee(rule, launch("startup"), Random())[0] == 0
    assert foresee(rule, launch("startup"), Random())[1].exit_code == 0
    assert foresee(rule, launch("startup", SIMULATED_EXIT_CODE="1"), Random())[1].exit_code == 1
