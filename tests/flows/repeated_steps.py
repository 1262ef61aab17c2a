"""A step that several attempts of a run take, one after another, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow
from prefect.states import State

from tasks.spec.naming import RunNames
from tests.flows.services import batch, exists
from tests.waiting import wait_until

HOUR_SECONDS = 3600


GONE_SECONDS = 60


def attempt(call: Callable[[], State]) -> str:
    """The name of the state of a step that a flow run of its own takes. Raises the step's error."""
    states = []

    @flow(name="attempt")
    def one_attempt() -> None:
        states.append(call())

    one_attempt(return_state=True)
    states[0].result()
    return states[0].name


def attempts(call: Callable[[], State], change: Callable[[], Any]) -> list[str]:
    """The states of a step: done, done again, and twice again after a change."""
    before = [attempt(call), attempt(call)]
    change()
    return [*before, attempt(call), attempt(call)]


RUNS_AFTER_CHANGE = ["Completed", "Cached", "Completed", "Cached"]


def delete_pool(names: RunNames) -> None:
    batch().begin_delete_pool(names.pool_id)
    wait_until(lambda: not exists(lambda: batch().get_pool(names.pool_id)), GONE_SECONDS, "end of the pool")
