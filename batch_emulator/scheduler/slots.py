"""What a Batch task holds on nodes while it runs: slots, under the name of the attempt.

Only here is it known what that name is, so that nobody else frees the slots of an attempt that was given up
and has not ended yet.
"""

from __future__ import annotations

from batch_emulator.resources.model import Job, Node, Task
from batch_emulator.scheduler.launches import task_directory
from batch_emulator.scheduler.world import World


def occupy(world: World, job: Job, task: Task, node: Node) -> None:
    """Give a task its slots, a job manager task that wants a node for itself all of them.

    An attempt that was given up holds its slots until it has really ended.
    """
    exclusive = task.is_manager and job.spec["jobManagerTask"]["runExclusive"]
    slots = node.slots if exclusive else task.slots
    place = f"{task_directory(job, task)}#{task.attempt}"
    world.store.occupy(node, place, slots, task.job_key, task.key, world.now)


def is_current(task: Task, place: str) -> bool:
    """Whether a place is that of the attempt that counts for a task."""
    return task.state in ("preparing", "running") and place.endswith(f"#{task.attempt}")


def vacate(world: World, node: Node, job_key: str, task_key: str, attempt: int) -> None:
    """Take the slots of an attempt back. What waited for the node to be drained follows in `settle`."""
    for place, (_, *occupant) in list(node.occupants.items()):
        if occupant == [job_key, task_key] and place.endswith(f"#{attempt}"):
            world.store.vacate(node, place, world.now)
    world.place_on(node.pool_key)
    if not node.occupants and (node.pending or node.leaving):
        world.drained.append(node)
