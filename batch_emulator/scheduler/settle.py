"""Draw the consequences that a command or an event has left in the world, until there are none.

A command changes what it is about, and notes in the world what may follow from that; here it follows. Each
consequence may leave others, so after each one all are looked at again from the top. The order is that of
cause and effect, and it decides what is observable:

1. *Finished tasks* first: the end of a task may end its job, and the reason that clients read is then the
   task's (`TaskFailed`, `JMComplete`), not the `AllTasksCompleted` that a look at the job alone would give.
2. *Prepared nodes*: the tasks that waited there run or are given back, before anybody asks what their job
   still runs.
3. *Jobs*, then *schedules*: a schedule makes its next job when the one before is over.
4. *Drained nodes* after all that ends tasks or gives them back: what a node waited for can happen when the
   last of its slots is free.
5. *Allocations*: a resize is over when the last node has left.
6. *Nodes that have booted*, whose dice are thrown, and *full disks*, before placements: no task is placed on
   a node of which that is known.
7. *Placements* last. What has ended has given its slots back, what was released is in its queue, what went
   down is out of the index: a task is placed once, on what is really there. What finds no place may push out
   what gives way to it, and gets that place when it is free.
"""

from __future__ import annotations

from batch_emulator.scheduler import (
    allocation,
    completion,
    node_faults,
    nodes,
    preemption,
    schedules,
    taskruns,
)
from batch_emulator.scheduler.placement import next_placement
from batch_emulator.scheduler.world import World


def settle(world: World) -> None:
    """Draw consequences in the order above, until there are none."""
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
    preemption.make_room(world, pool_key)
