"""Job preparation tasks: run once on a node, and once more after a reboot, before Batch tasks of the job do.

Source: REST documentation of Add Job, `jobPreparationTask`.
"""

from __future__ import annotations

from batch_emulator.node.launch import Outcome
from batch_emulator.resources.model import Job, Node, Preparation, Wire, key
from batch_emulator.resources.runs import Run
from batch_emulator.scheduler import background, retention
from batch_emulator.scheduler.launches import own_task_directory, preparation_launch
from batch_emulator.scheduler.world import Start, World, failure_info

PREPARATION = "preparation"
_GOES_ON = frozenset({"active", "disabling", "disabled", "enabling"})


def lets_run(world: World, job: Job, node: Node) -> bool:
    """Whether Batch tasks of the job may run on the node now. Its preparation task starts if it has to."""
    spec = job.spec.get("jobPreparationTask")
    if spec is None:
        return True
    found = world.store.preparations(job.key).get(node.id)
    if found is None or _is_stale(found, node, spec):
        found = _begin(world, job, node)
    return found.preparation.state == "completed" or not spec["waitForSuccess"]


def _is_stale(found: Preparation, node: Node, spec: Wire) -> bool:
    """Whether the task runs again: after a reimage always, after a reboot if it says so or was cut off."""
    if found.disk_number != node.disk_number:
        return True
    if found.boot_number == node.boot_number:
        return False
    return spec["rerunOnNodeRebootAfterSuccess"] or found.preparation.state == "running"


def _begin(world: World, job: Job, node: Node) -> Preparation:
    run = Run(number=world.store.next_number(), started=world.now)
    pool_id = world.store.pools[node.pool_key].id
    found = Preparation(job.key, pool_id, node.id, node.boot_number, node.disk_number, run)
    world.store.put_preparation(found)
    background.begin(world, job, node, PREPARATION)
    _launch(world, job, node, found)
    return found


def take_up(world: World, job: Job, node: Node) -> None:
    """Go on with a preparation task that an earlier service has begun."""
    found = world.store.preparations(job.key).get(node.id)
    if found is not None and found.preparation.state == "running":
        _launch(world, job, node, found)


def _launch(world: World, job: Job, node: Node, found: Preparation) -> None:
    run = found.preparation
    pool = world.store.pools[node.pool_key]
    launch = preparation_launch(world, job, pool, node, run)
    world.actions.append(Start(launch, ended, (node.pool_key, node.id, job.key, run.number)))


def ended(world: World, pool_key: str, node_id: str, job_key: str, number: int, outcome: Outcome) -> None:
    """A preparation task has ended. One that a reboot has cut off runs again when the job next needs it."""
    job = world.store.jobs.get(job_key)
    found = world.store.preparations(job_key).get(node_id)
    if job is None or found is None or found.preparation.number != number:
        return
    node = world.store.find_node(pool_key, node_id)
    if node is not None and _was_cut_off(job, node, found):
        return
    if node is not None and outcome.retriable and _retries_left(job, found.preparation):
        found.preparation.retry(world.now)
        found.preparation.started = world.now
        world.store.put_preparation(found)
        _launch(world, job, node, found)
        return
    _complete(world, job, found, outcome)


def _was_cut_off(job: Job, node: Node, found: Preparation) -> bool:
    comes_back = node.leaving is None and node.boot_number != found.boot_number
    return comes_back and job.state in _GOES_ON


def _retries_left(job: Job, run: Run) -> bool:
    most = job.spec["jobPreparationTask"]["constraints"]["maxTaskRetryCount"]
    return job.state in _GOES_ON and (most == -1 or run.retry_count < most)


def _complete(world: World, job: Job, found: Preparation, outcome: Outcome) -> None:
    spec = job.spec["jobPreparationTask"]
    found.preparation.complete(world.now, outcome.exit_code, failure_info(outcome.failure))
    world.store.put_preparation(found)
    if outcome.failure and spec["waitForSuccess"]:
        job.unfit_nodes[found.node_id] = found.disk_number
    background.end(world, job, key(found.pool_id), found.node_id)
    retention.limit_directory(world, found, own_task_directory(job, spec), spec["constraints"])
    world.prepared.append((job.key, key(found.pool_id), found.node_id))


def has_failed(job: Job, node: Node) -> bool:
    """Whether the job's tasks can't run on the node, until a reimage: its preparation task failed there."""
    return job.unfit_nodes.get(node.id) == node.disk_number
