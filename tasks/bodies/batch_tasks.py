"""What the service is told of a Batch task, as JSON, from what a run has decided: no client is needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from azure.batch.models import OutputFileUploadCondition

from tasks.azure.registries import build_task_container
from tasks.azure.sas import Signer, read_blob_url
from tasks.azure.secret_blocks import read_secrets
from tasks.extra_files import UploadedFile, build_resource_files
from tasks.spec.command_line import (
    APPLICATION_FOLDER,
    NodeCommand,
    node_input,
    node_output,
    task_environment,
)
from tasks.spec.naming import (
    INPUT_ETAG_METADATA,
    INPUT_METADATA,
    INPUT_URL_METADATA,
    LOGS,
    RECIPE_METADATA,
    SOURCE_METADATA,
    RunNames,
)
from tasks.spec.output_places import OutputPlace
from tasks.spec.overrides import merge_overrides
from tasks.spec.run_spec import RunSpec, TaskOptions
from tasks.spec.task_specs import UserSpec
from tasks.spec.work import WorkItem


@dataclass(frozen=True)
class TaskPlan:
    """What the Batch tasks of a run have in common."""

    names: RunNames
    spec: RunSpec
    command: NodeCommand
    application: str | None = None
    """The blob that each task gets a copy of; None if there is none, or the nodes have it already."""

    files: tuple[UploadedFile, ...] = ()
    """The local files that each task gets besides its input."""

    runner: tuple[UploadedFile, ...] = ()
    """What runs the files of a bundle on its node."""

    recipe: str = ""
    """The digest of all that makes outputs out of inputs."""

    runs_all: bool = False
    """Whether what earlier attempts have made, or still make, counts for nothing."""

    given_outputs: OutputPlace | None = None
    """Where outputs are to be, if that is in blob storage."""

    @property
    def outputs(self) -> OutputPlace:
        """Where the tasks write their outputs."""
        return self.given_outputs or OutputPlace(self.names.output_container)


def build_common(plan: TaskPlan, signer: Signer) -> dict[str, Any]:
    """What the bodies of all tasks have in common. It may have secrets: keep it nowhere."""
    task = plan.spec.task
    files = build_resource_files(task.files, plan.files, plan.names.application_container, signer)
    settings = _build_settings({**task.environment, **read_secrets(task.secret_environment)})
    common: dict[str, Any] = {"environmentSettings": settings, "resourceFiles": files}
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
        "outputFiles": list(_build_output_files(item, plan, container_url)),
        "constraints": _build_constraints(plan.spec),
    }
    return merge_overrides(body, plan.spec.task.overrides)


def _build_constraints(options: TaskOptions) -> dict[str, Any]:
    constraints: dict[str, Any] = {"maxTaskRetryCount": options.max_task_retry_count}
    if options.max_wall_clock_minutes is not None:
        constraints["maxWallClockTime"] = f"PT{60 * options.max_wall_clock_minutes:.3f}S"
    return constraints


def _build_input_files(item: WorkItem, plan: TaskPlan, signer: Signer) -> Iterator[dict[str, Any]]:
    if item.blob is not None:
        url = read_blob_url(signer.at(item.blob.account), item.blob.container, item.blob.name)
    else:
        url = read_blob_url(signer, plan.names.input_container, item.input_blob)
    yield {"httpUrl": url, "filePath": node_input(item.name)}
    if plan.application is not None:
        url = read_blob_url(signer, plan.names.application_container, plan.application)
        yield {"httpUrl": url, "filePath": f"{APPLICATION_FOLDER}/{plan.application}"}


def _build_output_files(item: WorkItem, plan: TaskPlan, container_url: str) -> Iterator[dict[str, Any]]:
    """The output if the task succeeds; what it printed if it fails, or always if that is wanted: the node may
    be gone by the time somebody asks."""
    conditions = OutputFileUploadCondition
    source = "../stdout.txt" if plan.command.keeps_stdout else node_output(item.output_name)
    made_by = _build_headers(
        {
            SOURCE_METADATA: item.source,
            RECIPE_METADATA: plan.recipe,
            INPUT_URL_METADATA: item.blob.url if item.blob else "",
            INPUT_ETAG_METADATA: item.blob.etag if item.blob else "",
        }
    )
    yield build_output_file(
        source,
        plan.outputs.name_blob(item.output_name),
        container_url,
        conditions.TASK_SUCCESS,
        made_by,
    )
    when = conditions.TASK_COMPLETION if plan.spec.keep_logs == "all" else conditions.TASK_FAILURE
    printed_by = _build_headers({INPUT_METADATA: quote(item.name)})
    for log in LOGS:
        blob = plan.outputs.name_log(plan.names.key, item.name, item.task_id, log)
        yield build_output_file(f"../{log}", blob, container_url, when, printed_by)


def _build_headers(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the service is to write into the metadata of a blob that it uploads."""
    headers = [{"name": f"x-ms-meta-{name}", "value": value} for name, value in metadata.items() if value]
    return {"uploadHeaders": headers}


def build_output_file(
    pattern: str,
    blob: str,
    container_url: str,
    condition: OutputFileUploadCondition,
    headers: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    return {
        "filePattern": pattern,
        "destination": {"container": {"path": blob, "containerUrl": container_url, **headers}},
        "uploadOptions": {"uploadCondition": condition.value},
    }
