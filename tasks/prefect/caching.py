"""Prefect's cache for steps that make or change things in Azure: it answers only while they are as they were.

Prefect computes a task's cache key once, before the task runs. For a step that creates something that is too
early: what would prove later that the work is still done, such as the pool's creation time, isn't there yet.
So here the key has two parts, what is to be done and the identity of the live thing, and is computed twice:
before the step, which finds the record of an earlier attempt if the thing is still the same; and after it, so
that the result is kept under the key that holds from then on. A thing that is gone, replaced or changed has
another identity or none, and then the step runs.

    @task(cache_policy=WhileUnchanged(look=identify_pool) - "timeout_seconds", result_serializer="json")
    @keyed_afterwards
    def create_pool(names, timeout_seconds): ...
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, ParamSpec, TypeVar, cast

from prefect.cache_policies import TASK_SOURCE, CachePolicy, Inputs
from prefect.context import TaskRunContext
from prefect.results import ResultStore
from prefect.settings import PREFECT_TASKS_REFRESH_CACHE, temporary_settings
from prefect.transactions import BaseTransaction, get_transaction
from prefect.utilities.hashing import hash_objects

from tasks.logs import run_logger
from tasks.prefect.busy import waiting_while_busy

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Identity = str | None

_is_first_attempt: ContextVar[bool] = ContextVar("is_first_attempt", default=False)


@dataclass
class WhileUnchanged(CachePolicy):
    """Answers from the cache while the thing that a step has made is there and unchanged.

    Don't add it to another policy: Prefect leaves out of a sum what has no key, and here that means "run".
    What else is to count, or not to count, of a step's inputs goes into `work`.
    """

    look: Callable[..., Identity] = field(kw_only=True)
    """Called with the task's parameters by name: the identity of the live thing. None if it is gone, or no
    longer good enough for what is to be done."""

    made: Callable[..., Identity] | None = field(default=None, kw_only=True)
    """Called with the step's result and its parameters: the identity of what it has made, where the result
    says it. Else it is looked up."""

    work: CachePolicy = field(default_factory=Inputs, kw_only=True)
    """What is to be done, besides the task's source. Parameters that don't change that, such as deadlines,
    are subtracted, or those that do are chosen by `of_inputs`."""

    def __sub__(self, other: str) -> "WhileUnchanged":
        return replace(self, work=self.work - other)

    def __add__(self, other: CachePolicy) -> CachePolicy:
        raise TypeError("A WhileUnchanged can't be added to a policy: give it as its `work`.")

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """The key of a record that is there and can be read; None makes Prefect run the step."""
        if _is_first_attempt.get() or _is_refreshed(task_ctx):
            return None
        key = self._build_key(task_ctx, inputs, functools.partial(self.look, **inputs))
        return key if key is not None and _is_readable(task_ctx.result_store, key) else None

    def key_afterwards(self, task_ctx: TaskRunContext, result: Any) -> str | None:
        """The key that holds once the step has run."""
        inputs = task_ctx.parameters
        if self.made is None:
            return self._build_key(task_ctx, inputs, functools.partial(self.look, **inputs))
        return self._build_key(task_ctx, inputs, functools.partial(self.made, result, **inputs))

    def _build_key(
        self, task_ctx: TaskRunContext, inputs: Mapping[str, Any], look: Callable[[], Identity]
    ) -> str | None:
        """None also if something fails: a step is done with or without a cache."""
        try:
            identity = look()
            if identity is None:
                return None
            work = (self.work + TASK_SOURCE).compute_key(task_ctx, dict(inputs), {})
            function = task_ctx.task.fn
            place = [function.__module__, function.__qualname__]
            return hash_objects(place, work, identity, raise_on_failure=True)
        except Exception as error:
            run_logger().debug("Nothing is taken from Prefect's cache: %s", error, exc_info=True)
            return None


def of_inputs(choose: Callable[..., Any]) -> CachePolicy:
    """What is to be done, by what `choose` makes of the task's parameters, which it gets by name."""
    return CachePolicy.from_cache_key_fn(
        lambda _, inputs: hash_objects(choose(**inputs), raise_on_failure=True)
    )


def build_identity(*parts: object) -> str:
    """An identity made of several things that have to stay the same."""
    return json.dumps([str(part) for part in parts])


@contextmanager
def refreshing(is_wanted: bool) -> Iterator[None]:
    """Have Prefect answer nothing from its cache in this block; what is done is kept for later runs."""
    with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: True}) if is_wanted else nullcontext():
        yield


@contextmanager
def in_first_attempt(is_so: bool) -> Iterator[None]:
    """Look for nothing in this block that an earlier attempt would have made, if there was none; what is made
    is kept for the next."""
    before = _is_first_attempt.get()
    _is_first_attempt.set(is_so)
    try:
        yield
    finally:
        _is_first_attempt.set(before)


def _is_refreshed(task_ctx: TaskRunContext) -> bool:
    """Whether Prefect is told to run the task whatever is in its cache."""
    refresh = task_ctx.task.refresh_cache
    return PREFECT_TASKS_REFRESH_CACHE.value() if refresh is None else refresh


def _is_readable(store: ResultStore, key: str) -> bool:
    """Whether a record can be read, which is kept for Prefect's own reading of it a moment later.

    Prefect asks whether there is a record and then reads it, and where only the second fails (the storage is
    away, somebody is writing the record), the task fails with it.
    """
    store.cache, store.cache_result_in_memory = type(store.cache)(maxsize=1), True
    try:
        store.read(key)
    except Exception:
        # Prefect's storages raise whatever they like for what isn't there.
        return False
    return True


def keyed_afterwards(step: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a step, once it has run, keep its result under the key that `WhileUnchanged` computes then.

    To be put under `@task`. The record is written at once, so that it is there too if the run dies next, or
    if the step belongs to a transaction that Prefect would write at its end. What makes or changes something
    may meet a name that is still being deleted, so it is waited for that here, for all of them.
    """
    patient = waiting_while_busy(step)

    @functools.wraps(step)
    def run_and_keep(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        result = patient(*args, **kwargs)
        context, transaction = TaskRunContext.get(), get_transaction()
        # Else the function is called by something other than its own task.
        if context and transaction and context.task.fn is run_and_keep:
            _keep(context, transaction, result)
        return result

    return run_and_keep


def _keep(context: TaskRunContext, transaction: BaseTransaction, result: Any) -> None:
    """Write a result for the next attempt; where that can't be done, say so and go on."""
    policy = context.task.cache_policy
    if not isinstance(policy, WhileUnchanged):
        return
    transaction.key, transaction.write_on_commit = policy.key_afterwards(context, result), False
    if transaction.key is None or transaction.store is None:
        return
    try:
        _write(transaction.store, transaction.key, result, context.task.cache_expiration)
    except Exception as error:
        transaction.key = None
        run_logger().warning("Another attempt will do this again, as its result can't be kept: %s", error)


def _write(store: ResultStore, key: str, result: Any, lasting: timedelta | None) -> None:
    # Not in the memory that the tasks of a flow run share: it isn't made for several threads.
    alone = store.model_copy(update={"cache_result_in_memory": False})
    expires_at = None if lasting is None else datetime.now(timezone.utc) + lasting
    alone.write(result, key, expiration=cast(Any, expires_at))
