"""Draw the consequences that a command or an event has left in the world, until there are none."""

from __future__ import annotations

from batch_emulator.scheduler import allocation, completion, node_faults, nodes, schedules, taskruns
from batch_emulator.scheduler.placement import next_placement
from batch_emulator.scheduler.world import World


def settle(world: World) -> None:
    """Finished tasks, prepared nodes, jobs and schedules that may be over or due, drained nodes, pools at
    their size; then placements."""
    while _consequence(world):
        pass


def _consequence(world: World) -> bool:
    if world.finished:
        completion.task_completed(world, world.finished.pop())
    elif world.prepared:
        taskruns.prepared(world, *world.prepared.pop())
    elif world.jobs_to_check:
        completion.check_job(world, world.jobs_to_check.popitem()[0])
    elif world.schedules_to_check:
        schedules.check(world, world.schedules_to_check.popitem()[0])
    elif world.drained:
        nodes.drained(world, world.drained.pop())
    elif world.allocations_to_check:
        allocation.check_allocation(world, world.allocations_to_check.popitem()[0])
    elif world.booted:
        node_faults.node_booted(world, world.booted.pop())
    elif world.full_disks:
        node_faults.disk_full(world, world.full_disks.pop())
    elif world.to_place:
        _place(world, world.to_place.popitem()[0])
    else:
        return False
    return True


def _place(world: World, pool_key: str) -> None:
    while placement := next_placement(world, pool_key):
        taskruns.start_task(world, placement.task, placement.nodes)
