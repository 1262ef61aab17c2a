"""A fan-out whose results another flow takes as they come, while Batch tasks still run."""

from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

from prefect import flow

from flows.fan_out import fan_out
from flows.parameters import takes
from flows.running import AS_A_RUN, Shards, run_in_shards
from tasks.plans import plan_run
from tasks.spec.file_results import FileResult
from tasks.spec.run_spec import RunSpec


def fan_out_in_shards(**parameters: Any) -> Iterator[list[FileResult]]:
    """Run a fan-out, by `fan_out`'s parameters, and yield what became of its files as they arrive.

    Up to 50 files each is visible by itself and comes as soon as it is there; of more they come in shards of
    20 to 600. It is a subflow run like that of `fan_out`, and at its end raises what that raises. Whoever
    leaves the loop before stops the Batch tasks that are left, and the rest is cleaned up.
    """
    # In a context of its own: else what the caller does meanwhile would be counted to the subflow run.
    context = copy_context()
    shards = context.run(_as_shards, **parameters)
    try:
        while (shard := context.run(next, shards, None)) is not None:
            yield [*shard]
    finally:
        context.run(shards.close)


@flow(name=fan_out.name, **AS_A_RUN)
@takes(RunSpec)
def _as_shards(spec: RunSpec) -> Shards:
    return (yield from run_in_shards(plan_run(spec)))
