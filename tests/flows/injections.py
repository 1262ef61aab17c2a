"""What somebody else does to the job, the pool and the containers of a run while it goes on."""

from collections.abc import Callable

from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tasks.spec.naming import RunNames
from tests.flows.services import batch, blobs

Injection = Callable[[RunNames], None]
ZERO = "$TargetDedicatedNodes = 0;"


def disable_job(names: RunNames) -> None:
    options = models.BatchJobDisableOptions(disable_tasks="requeue")
    batch().begin_disable_job(names.job_id, options, polling_interval=1)


def terminate_job(names: RunNames) -> None:
    batch().begin_terminate_job(names.job_id, {"terminateReason": "by the operator"}, polling_interval=1)


def change_formula(names: RunNames) -> None:
    options = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=ZERO)
    batch().enable_pool_auto_scale(names.pool_id, options, retry_total=0)


def set_offline(names: RunNames) -> None:
    nodes = list(batch().list_nodes(names.pool_id))
    if not nodes or any(node.state not in ("idle", "running") for node in nodes):
        raise HttpResponseError("not there yet")
    options = models.BatchNodeDisableSchedulingOptions(node_disable_scheduling_option="requeue")
    for node in nodes:
        batch().disable_node_scheduling(names.pool_id, node.id, options)


def deallocate_nodes(names: RunNames) -> None:
    nodes = list(batch().list_nodes(names.pool_id))
    if not nodes or any(node.state not in ("idle", "running") for node in nodes):
        raise HttpResponseError("not there yet")
    for node in nodes:
        how = {"nodeDeallocateOption": "requeue"}
        batch().begin_deallocate_node(names.pool_id, node.id, how, polling_interval=1)


def stop_resize(names: RunNames) -> None:
    batch().begin_stop_pool_resize(names.pool_id, polling_interval=1)
    batch().disable_pool_auto_scale(names.pool_id)


def delete_outputs(names: RunNames) -> None:
    blobs().delete_container(names.output_container)


def delete_tasks(names: RunNames) -> None:
    for task in list(batch().list_tasks(names.job_id)):
        batch().delete_task(names.job_id, task.id)


def delete_pool(names: RunNames) -> None:
    batch().begin_delete_pool(names.pool_id, polling_interval=1)
