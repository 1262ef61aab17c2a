"""The Batch tasks of a run, one for each file, and how they get into the job exactly once."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError
from prefect import task

from tasks.azure.azure_errors import explain, first_line
from tasks.azure.clients import batch_client
from tasks.azure.registries import build_task_container
from tasks.azure.sas import Signer, make_signer, read_blob_url, write_container_url
from tasks.errors import JobError, RefusedError, TemporaryError
from tasks.extra_files import ExtraFile, build_resource_files
from tasks.jobs import Job
from tasks.sharding import in_threads, split
from tasks.spec.command_line import (
    APPLICATION_FOLDER,
    NodeCommand,
    node_input,
    node_output,
    task_environment,
)
from tasks.spec.naming import RunNames, log_blob
from tasks.spec.overrides import merge_overrides
from tasks.spec.run_spec import RunSpec
from tasks.spec.task_specs import UserSpec
from tasks.step import NOT_CACHED, RETRIED

# The service takes no more in one collection (REST operation Task Add Collection).
COLLECTION_MAX = 100
ADD_ROUNDS = 6


@dataclass(frozen=True)
class WorkItem:
    """One file of a run: its blob, its output's blob, and the Batch task in between."""

    name: str
    output_name: str
    task_id: str
    size_bytes: int
    content_md5: str
    """Of the input, hexadecimal."""


@dataclass(frozen=True)
class TaskPlan:
    """What the Batch tasks of a run have in common."""

    names: RunNames
    spec: RunSpec
    command: NodeCommand
    application: str | None = None
    """The blob that each task gets a copy of; None if there is none, or the nodes have it already."""

    files: tuple[ExtraFile, ...] = ()
    """The local files that each task gets besides its input."""


@task(name="add tasks", task_run_name="add tasks", **NOT_CACHED, **RETRIED)
def add_tasks(job: Job, items: list[WorkItem], plan: TaskPlan) -> int:
    """Add a Batch task for each file that the job has none for yet; how many were added.

    Of an earlier attempt, tasks for files that have changed since, or are gone, are deleted: they would
    write the same outputs. Bodies are built a collection at a time, as those of 100,000 tasks would fill the
    memory. Raises RefusedError or JobError for what the service won't take, TemporaryError if it is too busy.
    """
    signer = make_signer(plan.spec.timeout_seconds)
    common = build_common(plan, signer)
    with batch_client(f"Adding tasks to the job {job.id}") as client:
        known = _list_task_ids(client, job.id) if job.existed else set()
        in_threads(lambda stale: client.delete_task(job.id, stale), known - {item.task_id for item in items})
        missing = [item for item in items if item.task_id not in known]
        in_threads(
            lambda part: _add_collection(client, job.id, part, plan, signer, common),
            split(missing, COLLECTION_MAX),
        )
    return len(missing)


def _list_task_ids(client: BatchClient, job_id: str) -> set[str]:
    return {found.id for found in client.list_tasks(job_id, select=["id"], max_results=1000)}


def _add_collection(
    client: BatchClient,
    job_id: str,
    items: list[WorkItem],
    plan: TaskPlan,
    signer: Signer,
    common: dict[str, Any],
) -> None:
    """Add up to 100 tasks. Those that the service was too busy for are sent again, with pauses that grow."""
    container_url = write_container_url(signer, plan.names.output_container)
    left = [build_task(item, plan, signer, container_url, common) for item in items]
    for attempt in range(ADD_ROUNDS):
        left = _add_once(client, job_id, left)
        if not left:
            return
        time.sleep(0.25 * 2**attempt)
    raise TemporaryError(f"Azure Batch was too busy to take {len(left)} tasks of the job {job_id}.")


def _add_once(client: BatchClient, job_id: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send one collection, halved as often as its body is too large; those to be sent again."""
    try:
        answer = client.create_task_collection(job_id, {"value": bodies})
    except HttpResponseError as error:
        if error.status_code == 413 and len(bodies) > 1:
            middle = len(bodies) // 2
            return _add_once(client, job_id, bodies[:middle]) + _add_once(client, job_id, bodies[middle:])
        if isinstance(explain(error, "Batch", ""), TemporaryError):
            return bodies
        raise
    again = set(ids_to_send_again(answer.result_values or [], job_id))
    return [body for body in bodies if body["id"] in again]


def ids_to_send_again(results: Iterable[models.BatchTaskCreateResult], job_id: str) -> Iterator[str]:
    """The ids of the tasks that the service failed to take. Raises for one that it refuses.

    A task that exists is one that an earlier attempt has added. Each result is looked at here because
    azure-batch 15.1's own check compares the status with the wrong case.
    """
    for result in results:
        status = str(getattr(result.status, "value", result.status)).lower()
        code = result.error.code if result.error else ""
        if status == "servererror":
            yield result.task_id
        elif status != "success" and code != "TaskExists":
            raise _explain_refusal(result, job_id)


def _explain_refusal(result: models.BatchTaskCreateResult, job_id: str) -> RefusedError | JobError:
    code = result.error.code if result.error else "no reason given"
    message = result.error.message.value if result.error and result.error.message else ""
    values = [
        f"{detail.key}: {detail.value}" for detail in (result.error and result.error.error_values) or []
    ]
    said = "; ".join([f"{code}: {first_line(message or '')}", *map(first_line, values)])
    kind = JobError if code in ("JobCompleted", "JobTerminating", "JobNotFound") else RefusedError
    return kind(f"Azure Batch refused the task {result.task_id} of the job {job_id}: {said}")


def build_common(plan: TaskPlan, signer: Signer) -> dict[str, Any]:
    """What the bodies of all tasks have in common. It may have a registry's password: keep it nowhere."""
    task = plan.spec.task
    files = build_resource_files(task.files, plan.files, plan.names.application_container, signer)
    common = {"environmentSettings": _build_settings(task.environment), "resourceFiles": files}
    container = build_task_container(task.container)
    if container is not None:
        common["containerSettings"] = container
    if task.user != UserSpec():
        user = {"scope": task.user.scope, "elevationLevel": task.user.elevation_level}
        common["userIdentity"] = {"autoUser": user}
    return common


def _build_settings(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in environment.items()]


def build_task(
    item: WorkItem, plan: TaskPlan, signer: Signer, container_url: str, common: dict[str, Any]
) -> dict[str, Any]:
    """The body of one Batch task, as REST operation Task Add takes it; the service itself moves its files.

    Plain JSON, which the client sends as it is: its models cost five times as much, and there may be 100,000.
    """
    environment = _build_settings(task_environment(plan.command, item.name, item.output_name))
    body = {
        **common,
        "id": item.task_id,
        "commandLine": plan.command.command_line,
        "environmentSettings": [*common["environmentSettings"], *environment],
        "resourceFiles": [*_build_input_files(item, plan, signer), *common["resourceFiles"]],
        "outputFiles": list(_build_output_files(item, plan.command, container_url)),
        "constraints": {"maxTaskRetryCount": plan.spec.max_task_retry_count},
    }
    return merge_overrides(body, plan.spec.task.overrides)


def _build_input_files(item: WorkItem, plan: TaskPlan, signer: Signer) -> Iterator[dict[str, Any]]:
    url = read_blob_url(signer, plan.names.input_container, item.name)
    yield {"httpUrl": url, "filePath": node_input(item.name)}
    if plan.application is not None:
        url = read_blob_url(signer, plan.names.application_container, plan.application)
        yield {"httpUrl": url, "filePath": f"{APPLICATION_FOLDER}/{plan.application}"}


def _build_output_files(item: WorkItem, command: NodeCommand, container_url: str) -> Iterator[dict[str, Any]]:
    """The output if the task succeeds; what it printed if it fails, as the node may be gone by then."""
    source = "../stdout.txt" if command.keeps_stdout else node_output(item.output_name)
    yield _build_output_file(
        source, item.output_name, container_url, models.OutputFileUploadCondition.TASK_SUCCESS
    )
    for log in ("stdout.txt", "stderr.txt"):
        yield _build_output_file(
            f"../{log}",
            log_blob(item.task_id, log),
            container_url,
            models.OutputFileUploadCondition.TASK_FAILURE,
        )


def _build_output_file(
    pattern: str, blob: str, container_url: str, condition: models.OutputFileUploadCondition
) -> dict[str, Any]:
    return {
        "filePattern": pattern,
        "destination": {"container": {"path": blob, "containerUrl": container_url}},
        "uploadOptions": {"uploadCondition": condition.value},
    }
