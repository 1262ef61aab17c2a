"""Bundles, files that share a Batch task: what that task and its runner are told.

On a node `node/run_bundle.py` does for each file of a bundle what the service does for a Batch task.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from azure.batch.models import OutputFileUploadCondition

from tasks.azure import blobs
from tasks.azure.clients import open_job
from tasks.azure.sas import Signer, read_blob_url, write_container_url
from tasks.base.printable import say_count
from tasks.bodies.batch_tasks import TaskPlan, build_output_file, build_task
from tasks.errors import NotFoundError
from tasks.extra_files import ExtraFile, UploadedFile, upload_extra_files
from tasks.sharding import in_threads
from tasks.spec.bundles import BUNDLE, Bundle, manifest_blob, outcomes_blob
from tasks.spec.command_line import APPLICATION_FOLDER, BUNDLE_FOLDER, NAME_VARIABLE
from tasks.spec.naming import LOGS, RunNames, log_blob
from tasks.spec.overrides import merge_overrides
from tasks.spec.work import WorkItem

NODE = Path(__file__).parents[2] / "node"
RUNNER = ("run_bundle.py", "bundle_storage.py")
MANIFEST = f"{BUNDLE_FOLDER}/manifest.json"
COMMAND_LINE = f"/bin/sh -c 'exec python3 {BUNDLE_FOLDER}/{RUNNER[0]} {MANIFEST}'"


def upload_runner(container: str) -> tuple[UploadedFile, ...]:
    """Upload what runs the files of a bundle on its node, unless it is there."""
    files = [ExtraFile(str(NODE / name), f"{BUNDLE_FOLDER}/{name}") for name in RUNNER]
    return tuple(upload_extra_files(container, files))


def prepare_bundle(
    bundle: Bundle, job_id: str, plan: TaskPlan, signer: Signer, container_url: str, common: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a bundle's Batch task, whose manifest is written."""
    names, spec = plan.names, plan.spec
    bare: dict[str, Any] = {"environmentSettings": [], "resourceFiles": []}
    tasks = [build_task(item, plan, signer, container_url, bare) for item in bundle.items]
    runner = build_runner_files(plan.runner, names, job_id, bundle.task_id, signer)
    own_url = write_container_url(signer, names.output_container)
    body = build_bundle_task(bundle, tasks, runner, common, job_id, own_url)
    body["constraints"] = {"maxTaskRetryCount": spec.max_task_retry_count}
    body, minutes = merge_overrides(body, spec.task.overrides), spec.max_wall_clock_minutes
    manifest = build_manifest(
        tasks,
        sign_outcomes(signer, names, outcomes_blob(job_id, bundle.task_id), own_url),
        at_once=body.get("requiredSlots", 1),
        max_tries=1 + spec.max_task_retry_count,
        limit_seconds=None if minutes is None else 60 * minutes,
    )
    _write_manifest(names, job_id, bundle.task_id, manifest)
    return body


def build_bundle_task(
    bundle: Bundle,
    tasks: Sequence[Mapping[str, Any]],
    runner: Sequence[Mapping[str, Any]],
    common: Mapping[str, Any],
    job_id: str,
    container_url: str,
) -> dict[str, Any]:
    """The body of a bundle's Batch task but for its constraints, as REST operation Task Add takes it.

    `tasks` are the bodies that its files would have by themselves, `runner` the resource files of what runs
    them and of its manifest, `container_url` writes to the run's own container of outputs.
    """
    first, last = bundle.items[0].name, bundle.items[-1].name
    name = f"{say_count(len(bundle.items), 'file')}, {first} to {last}"
    shared = [file for file in tasks[0]["resourceFiles"] if _is_shared(file)]
    conditions = OutputFileUploadCondition
    outcomes = build_output_file(
        f"{BUNDLE_FOLDER}/outcomes.json",
        outcomes_blob(job_id, bundle.task_id),
        container_url,
        conditions.TASK_COMPLETION,
    )
    logs = [
        build_output_file(f"../{log}", log_blob(bundle.task_id, log), container_url, conditions.TASK_FAILURE)
        for log in LOGS
    ]
    return {
        **common,
        "id": bundle.task_id,
        "commandLine": COMMAND_LINE,
        "environmentSettings": [*common["environmentSettings"], {"name": NAME_VARIABLE, "value": name}],
        "resourceFiles": [*runner, *shared, *common["resourceFiles"]],
        "outputFiles": [outcomes, *logs],
    }


def _is_shared(file: Mapping[str, Any]) -> bool:
    """Whether a resource file is the application, of which a bundle has one copy."""
    return file["filePath"].startswith(f"{APPLICATION_FOLDER}/")


def build_manifest(
    tasks: Sequence[Mapping[str, Any]],
    outcomes_urls: tuple[str, str],
    *,
    at_once: int,
    max_tries: int,
    limit_seconds: float | None,
) -> dict[str, Any]:
    """What the runner of a bundle is told: the bodies of its files' tasks, and how to run them.

    `outcomes_urls` read and write the outcomes. It has signatures in it.
    """
    parts = ("id", "commandLine", "environmentSettings", "outputFiles")
    own = [
        {
            **{part: task[part] for part in parts},
            "resourceFiles": [file for file in task["resourceFiles"] if not _is_shared(file)],
        }
        for task in tasks
    ]
    return {
        "tasks": own,
        "outcomes_read_url": outcomes_urls[0],
        "outcomes_write_url": outcomes_urls[1],
        "at_once": at_once,
        "max_tries": max_tries,
        "limit_seconds": limit_seconds,
    }


def sign_outcomes(signer: Signer, names: RunNames, blob: str, container_url: str) -> tuple[str, str]:
    """The URLs that read a bundle's outcomes, and write them."""
    read = read_blob_url(signer, names.output_container, blob)
    return read, f"{read.partition('?')[0]}?{container_url.partition('?')[2]}"


def _write_manifest(names: RunNames, job_id: str, task_id: str, manifest: Mapping[str, Any]) -> None:
    """Write what a bundle is to do, and that nothing is done yet: an earlier task may have failed."""
    blobs.write_blob(names.output_container, outcomes_blob(job_id, task_id), b"{}")
    blobs.write_blob(names.input_container, manifest_blob(job_id, task_id), json.dumps(manifest).encode())


def build_runner_files(
    files: Iterable[UploadedFile], names: RunNames, job_id: str, task_id: str, signer: Signer
) -> list[dict[str, Any]]:
    """The resource files of the runner and of its manifest."""
    manifest = read_blob_url(signer, names.input_container, manifest_blob(job_id, task_id))
    return [
        {"httpUrl": read_blob_url(signer, names.application_container, file.blob), "filePath": file.node_path}
        for file in files
    ] + [{"httpUrl": manifest, "filePath": MANIFEST}]


def find_live_bundles(
    names: RunNames, job_id: str, wanted: Iterable[WorkItem], done: Iterable[WorkItem]
) -> list[Bundle]:
    """The bundles of earlier attempts that still wait or run, if all they will make is wanted, or done.

    Each has of its files those that are wanted.
    """
    with open_job(f"Looking for bundles in the job {job_id}") as client:
        left = client.list_tasks(job_id, filter="state ne 'completed'", select=["id"], max_results=1000)
        ids = [found.id for found in left if found.id.startswith(BUNDLE)]
    by_id, done_ids = {item.task_id: item for item in wanted}, {item.task_id for item in done}
    found = []
    for task_id, members in zip(
        ids, in_threads(lambda one: _read_members(names, job_id, one), ids), strict=True
    ):
        items = tuple(by_id[member] for member in members if member in by_id)
        if items and all(member in by_id or member in done_ids for member in members):
            found.append(Bundle(task_id, items))
    return found


def _read_members(names: RunNames, job_id: str, task_id: str) -> list[str]:
    """The ids of a bundle's files; none if it doesn't say."""
    try:
        manifest = json.loads(blobs.read_blob(names.input_container, manifest_blob(job_id, task_id)))
        return [task["id"] for task in manifest["tasks"]]
    except NotFoundError:
        return []
