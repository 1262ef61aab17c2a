"""What runs on a node beside Batch tasks and in no slot: job preparation and release tasks."""

from __future__ import annotations

from batch_emulator.resources.model import Background, Job, Node
from batch_emulator.scheduler.launches import own_task_directory
from batch_emulator.scheduler.world import Stop, World

_SPECS = {"preparation": "jobPreparationTask", "release": "jobReleaseTask"}


def begin(world: World, job: Job, node: Node, kind: Background) -> None:
    """Note that the job's task of this kind is under way on the node, or will be when that is up again."""
    job.background[node.id] = node.background[job.key] = kind
    world.store.touch("job", job.key)
    world.store.touch("node", node.pool_key, node.id)


def end(world: World, job: Job, pool_key: str, node_id: str) -> None:
    """It has ended, or will not run any more; the job may have waited for that."""
    job.background.pop(node_id, None)
    world.store.touch("job", job.key)
    node = world.store.find_node(pool_key, node_id)
    if node is not None:
        node.background.pop(job.key, None)
        world.store.touch("node", node.pool_key, node.id)
    world.jobs_to_check[job.key] = None


def stop(world: World, job: Job, node: Node) -> None:
    """Stop the processes of what is under way; its end is reported as usual."""
    kind = node.background[job.key]
    world.actions.append(Stop(node.id, own_task_directory(job, job.spec[_SPECS[kind]])))


def interrupt(world: World, node: Node, *, comes_back: bool) -> None:
    """The node goes down. What it ran is stopped; only a release task runs again where the node `comes_back`
    with its disk."""
    for job_key, kind in list(node.background.items()):
        job = world.store.jobs.get(job_key)
        if job is None:
            continue
        stop(world, job, node)
        if kind == "release" and comes_back:
            found = world.store.preparations(job_key)[node.id]
            found.release = None
            world.store.put_preparation(found)
        else:
            end(world, job, node.pool_key, node.id)
