"""What is to be said of a run that stands still: what its job, its pool and each node are in."""

from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice

from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceNotFoundError

from tasks.azure.azure_errors import redacted
from tasks.azure.clients import only_told
from tasks.azure.node_logs import read_start_task_stderr
from tasks.azure.states import read_state
from tasks.base.printable import say_count
from tasks.report.node_words import shorten_node_id
from tasks.spec.command_line import NAME_VARIABLE
from tasks.watch.health import PoolView, describe_nodes, describe_resize_errors
from tasks.watch.stall import Stall, describe_seconds

NODES_SHOWN = 5
TASKS_SHOWN = 10
TASKS_COUNTED = 100
NODE_SELECT = ["id", "state", "stateTransitionTime", "schedulingState", "startTaskInfo", "errors"]
# What can be done about a state that nodes, or the job, stay in.
REMEDIES = {
    "job disabled": "enable the job again",
    "no nodes wanted": "resize the pool, or give it a formula that asks for nodes",
    "no nodes to be had": "ask for another vm_size, or wait for longer (stall_minutes)",
    "nobody asks for nodes": "resize the pool again, or give it a formula that asks for nodes",
    "deallocated": "start the nodes again, or remove them so that others come",
    "offline": "enable scheduling on the nodes again",
    "unknown": "the service has lost contact with the nodes: reboot or remove them",
    "waiting for start task": "see what the start task waits for, or give it more time (pool.start_minutes)",
    "preempted": "ask for dedicated_nodes, or for another vm_size that is taken away less often",
    "idle": "see whether tasks need more slots than a node has, and whether limits of the job keep them",
}


def describe_stall(client: BatchClient, pool_id: str, job_id: str, stall: Stall) -> str:
    """Why nothing goes on, as far as the last look has shown it, and what helps."""
    requeues, nodes = 0, []
    with only_told("tasks that went back to the queue"):
        requeues = _count_requeues(client, job_id)
    again = f"; tasks have gone back to the queue {say_count(requeues, 'time')}" if requeues else ""
    lines = [f"{stall}{again}."]
    if stall.view is None:
        return lines[0]
    with only_told(f"the nodes of {pool_id}"):
        nodes = list(_describe_each_node(client, pool_id))
    lines += [
        f"The job {job_id} is {stall.job_state}.",
        f"The pool {pool_id} {_describe_pool(stall.view)}.",
        *nodes,
    ]
    helps = list(_find_remedies(stall.view, stall.job_state, requeues))
    return "\n".join([*lines, *([f"What helps: {'; '.join(helps)}."] if helps else [])])


def _describe_pool(view: PoolView) -> str:
    """What a pool is in: its nodes, and why it has no others."""
    dedicated, spot = view.targets
    is_in = "is steady" if view.is_steady else "is being resized"
    said = [
        f"{is_in}, is to have {dedicated} dedicated and {spot} Spot nodes, and has {describe_nodes(view)}"
    ]
    said += [describe_resize_errors(view)] if view.resize_errors else []
    said += [f"its formula can't be evaluated: {view.formula_error}"] if view.formula_error else []
    said += (
        [f"its formula gave {view.formula_results}"] if view.formula_results and not sum(view.targets) else []
    )
    return "; ".join(said)


def _count_requeues(client: BatchClient, job_id: str) -> int:
    """How often tasks that have not ended went back to the queue; of the first tasks."""
    left = client.list_tasks(
        job_id, filter="state ne 'completed'", select=["id", "executionInfo"], max_results=TASKS_COUNTED
    )
    infos = [task.execution_info for task in islice(left, TASKS_COUNTED)]
    return sum((info.requeue_count or 0) if info else 0 for info in infos)


def _find_remedies(view: PoolView, job_state: str, requeues: int) -> Iterator[str]:
    # Spot nodes that are taken away come again: what the nodes are in now may not show it.
    seen = [*view.nodes, *(["preempted"] if requeues and view.targets[1] else [])]
    if job_state in ("disabled", "disabling"):
        yield REMEDIES["job disabled"]
    elif not sum(view.targets):
        yield REMEDIES["no nodes wanted"]
    elif not view.node_count and view.is_steady:
        yield REMEDIES["no nodes to be had" if view.has_autoscale else "nobody asks for nodes"]
    else:
        yield from dict.fromkeys(REMEDIES[state] for state in seen if state in REMEDIES)


def _describe_each_node(client: BatchClient, pool_id: str) -> Iterator[str]:
    """A line for each of the first nodes, and the end of what a start task that still runs has printed."""
    try:
        nodes = client.list_nodes(pool_id, select=NODE_SELECT, max_results=NODES_SHOWN)
        for node in islice(nodes, NODES_SHOWN):
            yield _describe_node(client, pool_id, node)
    except ResourceNotFoundError:
        # It is told as deleted at the next look.
        return


def _describe_node(client: BatchClient, pool_id: str, node: models.BatchNode) -> str:
    errors = "; ".join(f"{error.code}: {error.message}" for error in node.errors or [])
    said = redacted(
        f"Node {node.id} has been {read_state(node.state)} for {_measure_age(node)}. {errors}"
    ).strip()
    ran = node.start_task_info
    if ran is None or read_state(ran.state) != "running":
        return said
    printed = read_start_task_stderr(client, pool_id, node.id)
    return f"{said} Its start task still runs. " + (
        f"The end of its stderr:\n{printed}" if printed else "Its stderr is empty."
    )


def _measure_age(node: models.BatchNode) -> str:
    since = node.state_transition_time
    return describe_seconds((datetime.now(timezone.utc) - since).total_seconds()) if since else "some time"


def describe_running(client: BatchClient, job_id: str) -> str:
    """The files whose Batch tasks run now, those that began first before others; "" if none does, or
    it can't be known."""
    with only_told(f"the running tasks of {job_id}"):
        return "; ".join(map(_describe_task, _list_longest_running(client, job_id)))
    return ""


def _list_longest_running(client: BatchClient, job_id: str) -> list[models.BatchTask]:
    running = client.list_tasks(
        job_id,
        filter="state eq 'running'",
        select=["id", "executionInfo", "nodeInfo", "environmentSettings"],
        max_results=TASKS_COUNTED,
    )
    return sorted(islice(running, TASKS_COUNTED), key=_read_start)[:TASKS_SHOWN]


def _read_start(task: models.BatchTask) -> datetime:
    began = task.execution_info.start_time if task.execution_info else None
    return began or datetime.now(timezone.utc)


def _describe_task(task: models.BatchTask) -> str:
    names = [one.value for one in task.environment_settings or [] if one.name == NAME_VARIABLE]
    seconds = (datetime.now(timezone.utc) - _read_start(task)).total_seconds()
    node_id = task.node_info.node_id if task.node_info else None
    # The newer UI breaks no word of a state's message: by one of 72 characters all its lines leave the page.
    where = f" on node {shorten_node_id(node_id)}" if node_id else ""
    return f"{(names or [task.id])[0]} (for {describe_seconds(max(0.0, seconds))}{where})"
