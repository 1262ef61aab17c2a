"""What a run leaves behind: deleted by its policy, from the run itself or, after its death, by its key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from pydantic import ValidationError

from tasks.azure.blocks import using_accounts
from tasks.base.deadlines import (
    CANCELLED_CLEAN_UP_SECONDS,
    CLEAN_UP_SECONDS,
    budget,
    current_deadline,
    share,
)
from tasks.containers import delete_containers
from tasks.errors import FanOutError, OutputsLeftError
from tasks.jobs import delete_jobs, terminate_jobs
from tasks.leftovers.flow_runs import find_subflows_cut_short, read_run_key
from tasks.logs import run_logger
from tasks.outputs.unfetched import mark_fetched
from tasks.pools import delete_pool, find_pools
from tasks.prefect.hangups import hangup_ends_run
from tasks.prefect.observing import left_out_on_failure
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.specs import Cleanup, PoolSpec, Spec, When, is_due

Parameter = TypeVar("Parameter", bound=Spec)


@dataclass(frozen=True)
class Deletion:
    """What became of one thing that a run has made."""

    thing: str
    outcome: Literal["deleted", "stopped", "kept", "nothing to do", "failed"]
    """There is nothing to do where nothing is there, and about a pool that the run has only used."""

    problem: str = ""
    """Why it failed, or was kept though it was to be deleted."""


@dataclass(frozen=True)
class Remains:
    """What a flow run may have left behind, and what it said about that."""

    names: RunNames
    cleanup: Cleanup | None
    """None for a flow run that has no such parameter: then each pool says what is to become of it."""

    accounts: str | None
    """The name of the blocks of its accounts; None for the environment's."""

    storage_accounts: tuple[str, ...] = ()
    """Those of further storage accounts, on which its inputs may be."""


@contextmanager
def cleaned_up(names: RunNames, cleanup: Cleanup) -> Iterator[None]:
    """Delete what the policy says when the block ends, however it ends.

    An attempt that Prefect will repeat leaves all as it is, for the next one to go on with.
    """

    def clean(succeeded: bool) -> None:
        if succeeded:
            with left_out_on_failure("That all outputs are fetched"), share():
                mark_fetched(names.output_container)
        clean_up(names, cleanup, succeeded)

    with clean_at_end(clean):
        yield


@contextmanager
def clean_at_end(clean: Callable[[bool], object]) -> Iterator[None]:
    """Clean when the block ends, saying whether it succeeded; not if Prefect will repeat the flow run."""
    with hangup_ends_run():
        try:
            yield
        except BaseException as error:
            if isinstance(error, Exception) and _will_be_retried():
                run_logger().info("Everything is kept for the next attempt of this run.")
            else:
                _clean(clean, succeeded=False, is_cancelled=not isinstance(error, Exception))
            raise
        _clean(clean, succeeded=True)


def _clean(clean: Callable[[bool], object], succeeded: bool, is_cancelled: bool = False) -> None:
    """Clean in a time of its own, whatever is left of the run's."""
    if is_cancelled:
        # Other threads of the run may be waiting for a service.
        current_deadline().stop()
    with budget(CANCELLED_CLEAN_UP_SECONDS if is_cancelled else CLEAN_UP_SECONDS):
        clean(succeeded)


def _will_be_retried() -> bool:
    """Whether the flow run that this is has retries left."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    return context.flow_run.run_count <= (context.flow_run.empirical_policy.retries or 0)


def clean_up(names: RunNames, cleanup: Cleanup, succeeded: bool) -> list[Deletion]:
    """Delete the job, the pool and the containers that are due; what became of each.

    Each is tried, whatever becomes of the others. A job that stays is stopped if the run failed, as nobody
    waits for its tasks any more. Deletions are only asked for: the service takes minutes for a pool.
    """
    job = f"the job {names.job_id}"
    containers = f"the containers {', '.join(names.containers)}"
    if succeeded or is_due(cleanup.job, succeeded):
        about_job = _delete_if_due(job, is_due(cleanup.job, succeeded), lambda: delete_jobs(names))
    else:
        about_job = _delete_if_due(job, True, lambda: terminate_jobs(names, "RunFailed"), "stopped")
    return [
        about_job,
        clean_up_pool(names, cleanup.pool, succeeded),
        _delete_if_due(containers, is_due(cleanup.containers, succeeded), lambda: delete_containers(names)),
    ]


def clean_up_pool(names: RunNames, when: When, succeeded: bool) -> Deletion:
    """Delete the pool if that is due, the run has made it, and no other needs it; what became of it."""
    return _delete_if_due(f"the pool {names.pool_id}", is_due(when, succeeded), lambda: delete_pool(names))


def _delete_if_due(
    thing: str, is_wanted: bool, do: Callable[[], Any], done: Literal["deleted", "stopped"] = "deleted"
) -> Deletion:
    """Do what is wanted; a failure is told and logged, as it must not hide the run's own."""
    if not is_wanted:
        return Deletion(thing, "kept")
    try:
        with share():
            has_done = do()
        if not has_done:
            return Deletion(thing, "nothing to do")
    except OutputsLeftError as error:
        run_logger().warning("%s", error)
        return Deletion(thing, "kept", str(error))
    except FanOutError as error:
        run_logger().error("%s may still be there, and cost money: %s", thing.capitalize(), error)
        return Deletion(thing, "failed", str(error))
    run_logger().info("%s %s", done.capitalize(), thing)
    return Deletion(thing, done)


def find_remains(flow_run: FlowRun) -> Remains:
    """What a flow run may have left, from nothing but the flow run: names come from its key, which by default
    is its id, policy and accounts from its parameters. Those of a flow of somebody's own may mean others."""
    parameters = flow_run.parameters or {}
    pool = _read_spec(PoolSpec, parameters.get("pool"))
    accounts, others = parameters.get("accounts"), parameters.get("storage_accounts")
    return Remains(
        names=names_of_run(read_run_key(flow_run), pool and pool.pool_id),
        cleanup=_read_spec(Cleanup, parameters.get("cleanup")),
        accounts=accounts if isinstance(accounts, str) else None,
        storage_accounts=tuple(map(str, others)) if isinstance(others, list | tuple) else (),
    )


def _read_spec(spec: type[Parameter], value: object) -> Parameter | None:
    """A parameter as the specification that it may be."""
    try:
        return spec.model_validate(value) if value else None
    except ValidationError:
        return None


def clean_up_behind(flow_run: FlowRun) -> list[Deletion]:
    """Delete what a flow run that has ended left behind: as its policy says, and the pools it provisioned as
    they themselves say. What became of each.

    Its subflow runs come first: they ended with its process, and their jobs would keep the pools.
    """
    deletions = [done for child in find_subflows_cut_short(flow_run.id) for done in clean_up_behind(child)]
    left, succeeded = find_remains(flow_run), flow_run.state is not None and flow_run.state.is_completed()
    with using_accounts(left.accounts, left.storage_accounts):
        pools = _find_own_pools(left.names.key)
        cleanup = left.cleanup or Cleanup(pool=pools.get(left.names.pool_id, "always"))
        deletions += clean_up(left.names, cleanup, succeeded)
        others: dict[str, When] = {
            pool_id: when for pool_id, when in pools.items() if pool_id != left.names.pool_id
        }
        return deletions + [
            clean_up_pool(replace(left.names, pool_id=pool_id), when, succeeded)
            for pool_id, when in others.items()
        ]


def _find_own_pools(run_key: str) -> dict[str, When]:
    """The pools of a run; none if they can't be listed, as all else is to be tried nevertheless."""
    try:
        return find_pools(run_key)
    except FanOutError as error:
        run_logger().error("Pools that the flow run has provisioned may still be there: %s", error)
        return {}


def clean_up_after(flow: Flow, flow_run: FlowRun, state: State) -> None:
    """Delete what a flow run that was cancelled or crashed left behind: a hook of the flows.

    It may run in another process, which knows only the flow run.
    """
    is_crashed = state.is_crashed()
    with budget(CLEAN_UP_SECONDS if is_crashed else CANCELLED_CLEAN_UP_SECONDS):
        clean_up_behind(flow_run.model_copy(update={"state": state}))
