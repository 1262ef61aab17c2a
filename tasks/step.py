"""How a step becomes a Prefect task: what is retried, and what is cached.

A step is a function under `@task(name=..., task_run_name=..., **NOT_CACHED, **RETRIED)`, or with a policy of
`tasks.prefect.caching`, so that what Prefect makes of it stands beside it: a name in its lists, what it
remembers, and what it tries again.
"""

from collections.abc import Iterator
from typing import Any, TypeVar, cast

from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff
from prefect.utilities import annotations

from tasks.base.deadlines import is_time_up
from tasks.errors import BusyError, TemporaryError

Value = TypeVar("Value")

# For what asks, waits or deletes: a remembered answer would be of no use, or a lie.
NOT_CACHED: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


# A result that is many things, in a list of its own (`as_whole`).
Whole = list


def may_heal(task: Any, task_run: Any, state: Any) -> bool:
    """Whether Prefect should retry a task run that ended in `state`: its `retry_condition_fn`.

    The clients have asked services again already, and `tasks.prefect.busy` has waited for names that are
    being deleted, as long as that could help. What is left are files that change; that too only while the
    run has time. A plain function, because Prefect 3.8 ignores the retries of a task with any other callable
    here.
    """
    error = state.data
    return isinstance(error, TemporaryError) and not isinstance(error, BusyError) and not is_time_up()


# After 2, 4, 8 and 16 seconds, and up to half as much again.
RETRIED: dict[str, Any] = {
    "retries": 4,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_heal,
}


def opaque(value: Value) -> Value:
    """A parameter that Prefect hands on as it is: it looks for futures in all others, which takes 20 seconds
    for a list of 100,000. The task gets the value itself, each time that it is tried: so it can be read more
    than once. Raises TypeError for what can't."""
    if isinstance(value, Iterator):
        raise TypeError("A step that is tried again would find an iterator empty: give it a sequence.")
    return cast(Value, annotations.opaque(value))


def as_whole(value: Value) -> Whole[Value]:
    """The result of a step over many files, which whoever called the step takes out (`take_whole`).

    While a flow runs, Prefect keeps a note of each item of a list, or a dictionary, that a task has returned:
    a quarter of a kilobyte. Into the items it doesn't look.
    """
    return [value]


def take_whole(whole: Whole[Value]) -> Value:
    """What a step over many files has returned, taken out once.

    Prefect keeps what a task has returned until the flow ends. Of this that is an empty list.
    """
    return whole.pop()
