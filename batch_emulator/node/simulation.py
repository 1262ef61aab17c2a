"""How long tasks take on simulated nodes, and how they end.

A task may say it itself, in its environment settings: SIMULATED_SECONDS and SIMULATED_EXIT_CODE. For what it
does not say there is one rule for all. Seconds are those of the service: `Settings.speed` makes them shorter.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from batch_emulator.node.failures import limit_exceeded, make_failure, nonzero_exit
from batch_emulator.node.launch import Launch, Outcome

_FAILING_EXIT_CODE = 1
_KILLED = -15


@dataclass(frozen=True, slots=True)
class Simulation:
    """The rule. `fixed` takes `mean_seconds`, `uniform` up to twice that, `exponential` any time, on average
    that; a share `failure_rate` of the attempts exits with 1, the others with 0. Start tasks take no time.
    With a `seed` the same launches in the same order take the same times."""

    distribution: str = "fixed"
    mean_seconds: float = 1.0
    failure_rate: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.distribution not in _DISTRIBUTIONS:
            raise ValueError(
                f"The distribution is one of {', '.join(_DISTRIBUTIONS)}, not {self.distribution}"
            )
        if not (self.mean_seconds >= 0 and 0 <= self.failure_rate <= 1):
            raise ValueError("The mean is 0 seconds or more, the failure rate from 0 to 1")


_DISTRIBUTIONS: dict[str, Callable[[Random, float], float]] = {
    "fixed": lambda random, mean: mean,
    "uniform": lambda random, mean: random.uniform(0, 2 * mean),
    "exponential": lambda random, mean: random.expovariate(1 / mean) if mean else 0.0,
}


def parse_simulation(text: str) -> Simulation:
    """`distribution[:mean seconds[:failure rate]]`, as on the command line. Raises ValueError."""
    distribution, *numbers = text.split(":")
    if len(numbers) > 2:
        raise ValueError(f"{text!r} is not of the form distribution:seconds:failure-rate")
    mean_seconds, failure_rate = [*map(float, numbers), *(1.0, 0.0)[len(numbers) :]]
    return Simulation(distribution, mean_seconds, failure_rate)


def foresee(rule: Simulation, launch: Launch, random: Random) -> tuple[float, Outcome]:
    """Seconds that an attempt will take, and what will come of it. `random` is asked the same of each."""
    seconds, exit_code = _draw(rule, launch, random)
    if launch.disk_full:
        failure = make_failure("DiskFull", FilePath=launch.task_directory, Message=os.strerror(errno.ENOSPC))
        return 0.0, Outcome(None, failure, preprocessing_failure=True)
    try:
        seconds = _length(launch.environment.get("SIMULATED_SECONDS", seconds))
        exit_code = int(launch.environment.get("SIMULATED_EXIT_CODE", exit_code))
    except ValueError as error:
        return 0.0, Outcome(None, make_failure("Unknown", Message=str(error)), preprocessing_failure=True)
    limit = launch.max_wall_clock_seconds
    if limit is not None and limit < seconds:
        return limit, Outcome(_KILLED, limit_exceeded())
    return seconds, _outcome(exit_code)


def _length(seconds: str | float) -> float:
    if not 0 <= float(seconds) < math.inf:
        raise ValueError(f"SIMULATED_SECONDS is {seconds}")
    return float(seconds)


def _draw(rule: Simulation, launch: Launch, random: Random) -> tuple[float, int]:
    seconds = _DISTRIBUTIONS[rule.distribution](random, rule.mean_seconds)
    fails = random.random() < rule.failure_rate
    if launch.task_directory == "startup":
        return 0.0, 0
    return seconds, _FAILING_EXIT_CODE if fails else 0


_SUCCESS = Outcome(0)


def _outcome(exit_code: int) -> Outcome:
    if exit_code == 0:
        return _SUCCESS
    return Outcome(exit_code, nonzero_exit(), retriable=True)
