"""Job release tasks: run where the job ran, when it ends; the job waits for them.

Source: REST documentation of Add Job, `jobReleaseTask`.
"""

from __future__ import annotations

from batch_emulator.node.launch import Outcome
from batch_emulator.resources.model import Job, Node, Preparation, key
from batch_emulator.resources.runs import Run
from batch_emulator.scheduler import background, retention
from batch_emulator.scheduler.launches import own_task_directory, release_launch
from batch_emulator.scheduler.world import Start, World, failure_info

_RELEASE = "release"
_UP = frozenset({"idle", "running", "offline", "starttaskfailed"})
_COMING_UP = frozenset({"rebooting", "starting", "waitingforstarttask"})


def begin(world: World, job: Job) -> None:
    """The job ends: stop its preparation tasks, and start its release task on each node that was prepared."""
    for found in list(world.store.preparations(job.key).values()):
        node = world.store.find_node(key(found.pool_id), found.node_id)
        if node is None:
            continue
        if job.key in node.background:
            background.stop(world, job, node)
        elif "jobReleaseTask" in job.spec and _was_prepared(job, node, found):
            _begin_on(world, job, node)


def _was_prepared(job: Job, node: Node, found: Preparation) -> bool:
    """Whether tasks of the job have run on what is now the node's disk."""
    waited = job.spec["jobPreparationTask"]["waitForSuccess"]
    failed = bool(found.preparation.failure)
    done = found.preparation.state == "completed" and not (failed and waited)
    return done and found.disk_number == node.disk_number


def _begin_on(world: World, job: Job, node: Node) -> None:
    if node.state in _UP | _COMING_UP:
        background.begin(world, job, node, _RELEASE)
    if node.state in _UP:
        _launch(world, job, node)


def _launch(world: World, job: Job, node: Node) -> None:
    found = world.store.preparations(job.key)[node.id]
    found.release = run = Run(number=world.store.next_number(), started=world.now)
    world.store.put_preparation(found)
    _start(world, job, node, run)


def take_up(world: World, job: Job, node: Node) -> None:
    """Go on with a release task that an earlier service has begun."""
    found = world.store.preparations(job.key).get(node.id)
    run = found.release if found is not None else None
    if run is not None and run.state == "running":
        _start(world, job, node, run)


def _start(world: World, job: Job, node: Node, run: Run) -> None:
    launch = release_launch(world, job, world.store.pools[node.pool_key], node, run)
    world.actions.append(Start(launch, ended, (node.pool_key, node.id, job.key, run.number)))


def resume(world: World, node: Node) -> None:
    """The node is up again: run the release tasks that it could not end."""
    for job_key, kind in list(node.background.items()):
        if kind == _RELEASE:
            _launch(world, world.store.jobs[job_key], node)


def ended(world: World, pool_key: str, node_id: str, job_key: str, number: int, outcome: Outcome) -> None:
    """A release task has ended. However it did, the job goes on."""
    job = world.store.jobs.get(job_key)
    found = world.store.preparations(job_key).get(node_id)
    if job is None or found is None or found.release is None or found.release.number != number:
        return
    found.release.complete(world.now, outcome.exit_code, failure_info(outcome.failure))
    world.store.put_preparation(found)
    background.end(world, job, pool_key, node_id)
    spec = job.spec["jobReleaseTask"]
    retention.limit_directory(world, found, own_task_directory(job, spec), spec)
