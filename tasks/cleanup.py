"""What a run leaves behind: deleted by its policy, from the run itself or, after its death, by its key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext

from tasks.containers import delete_containers
from tasks.errors import FanOutError
from tasks.jobs import delete_job, terminate_job
from tasks.logs import run_logger
from tasks.naming import RunNames, names_of_run
from tasks.pools import delete_pool
from tasks.specs import Cleanup, PoolSpec, is_due


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


def clean_up(names: RunNames, cleanup: Cleanup, succeeded: bool) -> list[str]:
    """Delete the job, the pool and the containers that are due; what was done, in words.

    Each is tried, whatever becomes of the others. A job that stays is stopped if the run failed, as nobody
    waits for its tasks any more. Deletions are only asked for: the service takes minutes for a pool.
    """
    job, pool = f"the job {names.job_id}", f"the pool {names.pool_id}"
    steps: list[tuple[str, str, Callable[[], Any]]] = []
    if is_due(cleanup.job, succeeded):
        steps.append(("Deleted", job, lambda: delete_job(names.job_id)))
    elif not succeeded:
        steps.append(("Stopped", job, lambda: terminate_job(names.job_id, "RunFailed")))
    if is_due(cleanup.pool, succeeded):
        steps.append(("Deleted", pool, lambda: delete_pool(names)))
    if is_due(cleanup.containers, succeeded):
        containers = f"the containers {', '.join(names.containers)}"
        steps.append(("Deleted", containers, lambda: delete_containers(names)))
    return [f"{deed} {thing}" for deed, thing, do in steps if is_done(deed, thing, do)]


def is_done(deed: str, thing: str, do: Callable[[], Any]) -> bool:
    """Whether there was something to do; a failure is logged, as it must not hide the run's own."""
    try:
        done = bool(do())
    except FanOutError as error:
        run_logger().error("%s may still be there, and cost money: %s", thing.capitalize(), error)
        return False
    if done:
        run_logger().info("%s %s", deed, thing)
    return done


def clean_up_after(flow: Flow, flow_run: FlowRun, state: State) -> None:
    """Delete what a flow run that was cancelled or crashed left behind: a hook of the flows.

    It may run in another process, which knows only the flow run: names come from its id, the policy from its
    parameters.
    """
    parameters = flow_run.parameters or {}
    cleanup = Cleanup.model_validate(parameters.get("cleanup") or {})
    pool = PoolSpec.model_validate(parameters.get("pool") or {})
    names = names_of_run(parameters.get("run_key") or str(flow_run.id), pool.pool_id)
    clean_up(names, cleanup, succeeded=False)
