"""The Batch tasks of a run, one for each file, and how they get into the job exactly once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from prefect import task
from prefect.runtime import task_run

from tasks.azure import plain_batch
from tasks.azure.azure_errors import first_line
from tasks.azure.clients import open_job
from tasks.azure.error_codes import ENDED_JOB
from tasks.azure.sas import Signer, is_lasting, make_signers, write_container_url
from tasks.base.deadlines import turns
from tasks.base.printable import say_count
from tasks.bodies.batch_tasks import TaskPlan, build_common, build_task
from tasks.bodies.bundles import prepare_bundle
from tasks.errors import JobEndedError, RefusedError, RunTimeoutError
from tasks.jobs import Job, identify_job
from tasks.outputs.delivered import has_output
from tasks.prefect.caching import WhileUnchanged, keyed_afterwards, of_inputs
from tasks.sharding import in_threads, split
from tasks.spec.bundles import Bundle, Unit, list_items
from tasks.step import NOT_CACHED, RETRIED

# The service takes no more in one collection (REST operation Task Add Collection).
COLLECTION_MAX = 100


# Not cached: the step `add tasks` at the end sees to all of them.
@task(name="add first tasks", task_run_name="add tasks {label}", **NOT_CACHED, **RETRIED)
def add_first_tasks(label: str, job: Job, units: Sequence[Unit], plan: TaskPlan) -> int:
    """Add tasks to a job that this attempt has made, while inputs of others are still being uploaded."""
    with open_job(f"Adding tasks to the job {job.id}") as client:
        _add_all(client, job, units, plan)
    return len(units)


# Not cached: it asks what is so now.
@task(name="renew tasks", task_run_name="renew tasks", **NOT_CACHED, **RETRIED)
def renew_tasks(job: Job, units: Sequence[Unit], plan: TaskPlan) -> int:
    """Replace the tasks that still wait, in a job that is not closed, by ones with new signatures; how many.

    Those that run have theirs in use: of one that runs for longer than they last, the output is lost.
    """
    with open_job(f"Renewing tasks of the job {job.id}") as client:
        listed = client.list_tasks(job.id, filter="state eq 'active'", select=["id"], max_results=1000)
        waiting = {found.id for found in listed}
        renewed = [unit for unit in units if unit.task_id in waiting]
        in_threads(lambda unit: _delete_task(client, job.id, unit.task_id), renewed)
        # Also what an earlier try of this step has deleted.
        _add_all(client, job, units if _is_repeated() else renewed, plan)
    return len(renewed)


def _is_repeated() -> bool:
    """Whether Prefect runs this step again."""
    return (task_run.run_count or 1) > 1


def _leave_out_added(client: BatchClient, job: Job, units: Sequence[Unit]) -> Sequence[Unit]:
    """Without those that an earlier try of this step has added: what a bundle that may run by now has noted
    stays as it is."""
    if not _is_repeated():
        return units
    there = {found.id for found in client.list_tasks(job.id, select=["id"], max_results=1000)}
    return [unit for unit in units if unit.task_id not in there]


def _add_all(client: BatchClient, job: Job, units: Sequence[Unit], plan: TaskPlan) -> None:
    units = _leave_out_added(client, job, units)
    blobs = (item.blob for unit in units for item in list_items(unit))
    accounts = {blob.account for blob in blobs if blob}
    signer = make_signers(plan.spec.timeout_seconds, {plan.outputs.account, *accounts})
    common = build_common(plan, signer)
    in_threads(
        lambda part: _add_collection(client, job.id, part, plan, signer, common),
        split(units, COLLECTION_MAX),
    )


def _find_added(
    job: Job, units: Sequence[Unit], plan: TaskPlan, is_new: bool = False, **_: Any
) -> str | None:
    """The job, if it has a good Batch task for each unit and none in the way of them."""
    if is_new:
        return None
    with open_job(f"Looking at the tasks of the job {job.id}") as client:
        counts = client.get_job_task_counts(job.id).task_counts
        if counts.active + counts.running + counts.completed < len(units):
            return None
        known = _sort_known(client, job, units, plan)
    is_added = not known.stale and len(known.kept) == len(units)
    return identify_job(job) if is_added else None


@task(
    name="add tasks",
    task_run_name="add tasks",
    cache_policy=WhileUnchanged(
        look=_find_added,
        made=lambda _added, job, **_: identify_job(job),
        # The ids of tasks are digests of all that makes their outputs, so that those looked up are proof.
        work=of_inputs(lambda job, **_: job.id),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def add_tasks(job: Job, units: Sequence[Unit], plan: TaskPlan, is_new: bool = False) -> int:
    """See that the job has a Batch task to come, or running, for each unit; how many were added.

    A task of an earlier attempt stays if it still waits or runs for one of these units, unless its
    signatures end too soon, or if it has made the output meanwhile. All others in the way are deleted: those
    that have completed without, and those that would write an output that is no longer asked for.
    `is_new` says that this attempt has made the job, so that nobody else's tasks are in it.
    Bodies are built a collection at a time, as those of 100,000 tasks would fill the memory. Raises
    RefusedError or JobError for what the service won't take, RunTimeoutError if it is too busy for too long.
    """
    with open_job(f"Adding tasks to the job {job.id}") as client:
        known = Known() if is_new else _sort_known(client, job, units, plan)
        in_threads(lambda task_id: _delete_task(client, job.id, task_id), known.stale)
        missing = [unit for unit in units if unit.task_id not in known.kept] if known.kept else units
        _add_all(client, job, missing, plan)
    return len(missing)


@dataclass
class Known:
    """The tasks of a job, sorted: ids of those to keep, and of those to delete. Others have completed."""

    kept: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)


def _sort_known(client: BatchClient, job: Job, units: Sequence[Unit], plan: TaskPlan) -> Known:
    is_signed = is_lasting(job.signed_until, plan.spec.timeout_seconds)
    wanted, known = {unit.task_id: unit for unit in units}, Known()
    for found in client.list_tasks(job.id, select=["id", "state", "executionInfo"], max_results=1000):
        unit, is_over = wanted.get(found.id), found.state == models.BatchTaskState.COMPLETED
        if unit is not None and not plan.runs_all and _is_good(found, unit, is_signed, plan):
            known.kept.add(found.id)
        elif unit is not None or not is_over:
            known.stale.add(found.id)
    return known


def _is_good(task: models.BatchTask, unit: Unit, is_signed: bool, plan: TaskPlan) -> bool:
    """Whether a task has made its outputs, or still will."""
    if task.state == models.BatchTaskState.COMPLETED:
        return not _has_failed(task) and all(has_output(plan.outputs, item) for item in list_items(unit))
    return is_signed or task.state == models.BatchTaskState.RUNNING


def _has_failed(task: models.BatchTask) -> bool:
    return bool(task.execution_info and task.execution_info.failure_info)


def _delete_task(client: BatchClient, job_id: str, task_id: str) -> None:
    try:
        client.delete_task(job_id, task_id)
    except ResourceNotFoundError:
        # Gone is gone.
        pass


def _add_collection(
    client: BatchClient,
    job_id: str,
    units: Sequence[Unit],
    plan: TaskPlan,
    signer: Signer,
    common: dict[str, Any],
) -> None:
    """Add up to 100 tasks. Those that the service was too busy for are sent again, as long as the run has
    time."""
    container_url = write_container_url(signer.at(plan.outputs.account), plan.outputs.container)

    def build(unit: Unit) -> dict[str, Any]:
        return _build_unit(unit, job_id, plan, signer, container_url, common)

    # The manifest of a bundle is a blob to be written; a task of one file only costs our own time.
    left = in_threads(build, units) if isinstance(units[0], Bundle) else [*map(build, units)]
    for _ in turns():
        left = _add_once(client, job_id, left)
        if not left:
            return
    raise RunTimeoutError(
        f"Time is up: Azure Batch was too busy to take {say_count(len(left), 'task')} of the job {job_id}."
    )


def _add_once(client: BatchClient, job_id: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send one collection, halved as often as its body is too large; those to be sent again."""
    try:
        answer = plain_batch.post(client, f"/jobs/{job_id}/addtaskcollection", {"value": bodies})
    except HttpResponseError as error:
        if error.status_code == 413 and len(bodies) > 1:
            middle = len(bodies) // 2
            return _add_once(client, job_id, bodies[:middle]) + _add_once(client, job_id, bodies[middle:])
        raise
    again = set(ids_to_send_again(answer["value"], job_id))
    return [body for body in bodies if body["id"] in again]


def ids_to_send_again(results: Iterable[Mapping[str, Any]], job_id: str) -> Iterator[str]:
    """The ids of the tasks that the service failed to take. Raises for one that it refuses.

    A task that exists is one that an earlier attempt has added.
    """
    for result in results:
        # The documentation and the service differ in its case.
        status = result["status"].lower()
        if status == "servererror":
            yield result["taskId"]
        elif status != "success" and (result.get("error") or {}).get("code") != "TaskExists":
            raise _explain_refusal(result, job_id)


def _explain_refusal(result: Mapping[str, Any], job_id: str) -> RefusedError | JobEndedError:
    error = result.get("error") or {}
    code, message = error.get("code") or "no reason given", (error.get("message") or {}).get("value")
    values = [f"{detail.get('key')}: {detail.get('value')}" for detail in error.get("values") or []]
    said = "; ".join([f"{code}: {first_line(message or '')}", *map(first_line, values)])
    kind = JobEndedError if code in ENDED_JOB else RefusedError
    return kind(f"Azure Batch refused the task {result['taskId']} of the job {job_id}: {said}")


def _build_unit(
    unit: Unit, job_id: str, plan: TaskPlan, signer: Signer, container_url: str, common: dict[str, Any]
) -> dict[str, Any]:
    """The body of the Batch task of one file or of a bundle, whose manifest is written."""
    if isinstance(unit, Bundle):
        return prepare_bundle(unit, job_id, plan, signer, container_url, common)
    return build_task(unit, plan, signer, container_url, common)
