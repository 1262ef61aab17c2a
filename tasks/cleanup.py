"""What a run leaves behind: deleted by its policy, from the run itself or, after its death, by its key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext

from tasks.blocks import using_accounts
from tasks.containers import delete_containers
from tasks.errors import FanOutError
from tasks.flow_runs import key_of
from tasks.jobs import delete_job, terminate_job
from tasks.logs import run_logger
from tasks.naming import RunNames, names_of_run
from tasks.pools import delete_pool
from tasks.specs import Cleanup, PoolSpec, is_due


@dataclass(frozen=True)
class Deed:
    """What became of one thing that a run has made."""

    thing: str
    outcome: Literal["deleted", "stopped", "kept", "nothing to do", "failed"]
    """There is nothing to do where nothing is there, and about a pool that the run has only used."""

    problem: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Remains:
    """What a flow run may have left behind, and what it said about that."""

    names: RunNames
    cleanup: Cleanup
    accounts: str | None
    """The name of the blocks of its accounts; None for the environment's."""


@contextmanager
def cleaned_up(names: RunNames, cleanup: Cleanup) -> Iterator[None]:
    """Delete what the policy says when the block ends, however it ends.

    An attempt that Prefect will repeat leaves all as it is, for the next one to go on with.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) and will_be_retried():
            run_logger().info("Everything is kept for the next attempt of this run.")
        else:
            clean_up(names, cleanup, succeeded=False)
        raise
    clean_up(names, cleanup, succeeded=True)


def will_be_retried() -> bool:
    """Whether the flow run that this is has retries left."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    return context.flow_run.run_count <= (context.flow_run.empirical_policy.retries or 0)


def clean_up(names: RunNames, cleanup: Cleanup, succeeded: bool) -> list[Deed]:
    """Delete the job, the pool and the containers that are due; what became of each.

    Each is tried, whatever becomes of the others. A job that stays is stopped if the run failed, as nobody
    waits for its tasks any more. Deletions are only asked for: the service takes minutes for a pool.
    """
    job, pool = f"the job {names.job_id}", f"the pool {names.pool_id}"
    containers = f"the containers {', '.join(names.containers)}"
    if succeeded or is_due(cleanup.job, succeeded):
        about_job = deed(job, is_due(cleanup.job, succeeded), lambda: delete_job(names.job_id))
    else:
        about_job = deed(job, True, lambda: terminate_job(names.job_id, "RunFailed"), "stopped")
    return [
        about_job,
        deed(pool, is_due(cleanup.pool, succeeded), lambda: delete_pool(names)),
        deed(containers, is_due(cleanup.containers, succeeded), lambda: delete_containers(names)),
    ]


def deed(
    thing: str, is_wanted: bool, do: Callable[[], Any], done: Literal["deleted", "stopped"] = "deleted"
) -> Deed:
    """Do what is wanted; a failure is told and logged, as it must not hide the run's own."""
    if not is_wanted:
        return Deed(thing, "kept")
    try:
        if not do():
            return Deed(thing, "nothing to do")
    except FanOutError as error:
        run_logger().error("%s may still be there, and cost money: %s", thing.capitalize(), error)
        return Deed(thing, "failed", str(error))
    run_logger().info("%s %s", done.capitalize(), thing)
    return Deed(thing, done)


def remains_of(flow_run: FlowRun) -> Remains:
    """What a flow run may have left, from nothing but the flow run: names come from its key, which by default
    is its id, policy and accounts from its parameters."""
    parameters = flow_run.parameters or {}
    pool = PoolSpec.model_validate(parameters.get("pool") or {})
    return Remains(
        names=names_of_run(key_of(flow_run), pool.pool_id),
        cleanup=Cleanup.model_validate(parameters.get("cleanup") or {}),
        accounts=parameters.get("accounts"),
    )


def clean_up_after(flow: Flow, flow_run: FlowRun, state: State) -> None:
    """Delete what a flow run that was cancelled or crashed left behind: a hook of the flows.

    It may run in another process, which knows only the flow run.
    """
    left = remains_of(flow_run)
    with using_accounts(left.accounts):
        clean_up(left.names, left.cleanup, succeeded=False)
