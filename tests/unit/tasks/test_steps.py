"""What Prefect retries and remembers of each step, as it stands beside it."""

import importlib
import inspect
import pkgutil

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE

import tasks
from tasks.caching import WhileUnchanged

MODULES = [importlib.import_module(found.name) for found in pkgutil.walk_packages(tasks.__path__, "tasks.")]
STEPS = {
    step.name: step
    for module in MODULES
    for step in vars(module).values()
    if isinstance(step, Task) and step.fn.__module__ == module.__name__
}


def lines_above(step: Task) -> list[str]:
    """The lines of a module above a step, its decorators included."""
    function = inspect.unwrap(step.fn)
    lines, start = inspect.findsource(function)
    return lines[: start + 1]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_step_is_cached_by_the_live_thing_or_says_why_not(step):
    """A cached step computes its key again when it has run; any other says why it can't be cached."""
    if isinstance(step.cache_policy, WhileUnchanged):
        assert hasattr(step.fn, "__wrapped__"), "put @keyed_afterwards under @task"
        assert step.result_serializer == "json"
        return
    assert step.cache_policy == NO_CACHE
    above = [line.strip() for line in lines_above(step)]
    decorator = max(number for number, line in enumerate(above) if line.startswith("@task("))
    comments = [line for line in above[max(0, decorator - 4) : decorator] if line.startswith("#")]
    assert any(line.startswith("# Not cached") for line in comments)


def test_the_steps_of_the_tutorial_are_cached():
    """All that make something, and may find it made; and a question to somebody who is asked seldom."""
    cached = {name for name, step in STEPS.items() if isinstance(step.cache_policy, WhileUnchanged)}
    assert cached == {
        "create containers",
        "upload application",
        "upload input",
        "upload inputs",
        "create pool",
        "create job",
        "add tasks",
        "close job",
        "download output",
        "download outputs",
        "look up prices",
    }
