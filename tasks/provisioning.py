"""A pool for a block of a flow, in which several fan-outs share it."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.runtime import flow_run

from tasks.azure.blocks import using_accounts
from tasks.base.deadlines import run_deadline
from tasks.cleanup import clean_at_end, clean_up_pool
from tasks.errors import InputError
from tasks.images import choose_image
from tasks.pools import create_pool
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.run_spec import RunOptions, Seconds
from tasks.spec.specs import DEFAULT_CLEANUP, DEFAULT_POOL, Cleanup, PoolSpec


@contextmanager
def provisioned(
    pool: PoolSpec = DEFAULT_POOL,
    cleanup: Cleanup = DEFAULT_CLEANUP,
    timeout_seconds: Seconds = 1200,
    accounts: str | None = None,
) -> Iterator[PoolSpec]:
    """A pool that the fan-outs in the block share: made, or found by its `pool_id`, and deleted at the end.

    What is yielded is given to them as their `pool`. A second pool in the same flow run needs a `pool_id`.

    It belongs to the flow run that the block is in, like what a fan-out makes: whatever becomes of the block,
    `cleanup` says when the pool is deleted; behind a flow run that was killed the flows `cleanup` and `sweep`
    find it; and the service takes its nodes away once `timeout_seconds` are over, unless a fan-out has asked
    for more time, or when it is idle. One that the flow run has not made, or that jobs of others still run
    on, stays. Raises InputError outside of a flow.
    """
    names = _choose_pool_names(pool)
    options = RunOptions(pool=pool, cleanup=cleanup, timeout_seconds=timeout_seconds)

    def clean(succeeded: bool) -> None:
        with using_accounts(accounts):
            clean_up_pool(names, cleanup.pool, succeeded)

    # The accounts are no longer in use when the block begins: its own steps say theirs.
    with using_accounts(accounts), run_deadline(timeout_seconds):
        image = choose_image(pool.image, pool.containers.are_wanted)
    with clean_at_end(clean):
        with using_accounts(accounts), run_deadline(timeout_seconds):
            create_pool(names, options, image)
        yield pool.model_copy(update={"pool_id": names.pool_id})


def _choose_pool_names(pool: PoolSpec) -> RunNames:
    if flow_run.id is None:
        raise InputError("A pool can only be provisioned in a flow: it belongs to the flow run.")
    return names_of_run(flow_run.id, pool.pool_id)
