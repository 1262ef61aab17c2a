"""How Prefect treats our tasks: how it calls them, what it retries, and what it must not remember."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State
from prefect.tasks import exponential_backoff

from tasks.errors import is_temporary

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

RETRIES = 4
# For what makes, reads or deletes live resources. A remembered "uploaded" or "created" would lie as soon as
# somebody deletes the thing, so nothing is remembered: each such task asks the service first and does only
# what is missing, which makes repeating it cheap.
LIVE: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_temporary,
}


def step(
    name: str, run_name: str | None = None, retries: int = RETRIES
) -> Callable[[Callable[Parameters, Result]], Task[Parameters, Result]]:
    """Make a function a Prefect task on live resources, of which only temporary errors are retried.

    `run_name` is a template over the parameters, for tasks of which there are many.
    """
    return task(name=name, task_run_name=run_name or name, retries=retries, **LIVE)


def outcome(result: Result, was_there: bool) -> State[Result]:
    """What a step returns that may have found its work done: then its state is the one that Prefect has for
    results from a cache, and is shown as such."""
    return Completed(name="Cached" if was_there else "Completed", data=result)
