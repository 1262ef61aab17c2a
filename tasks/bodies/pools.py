"""The pool that a run wants, as the service takes it."""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

from azure.batch import models

from tasks.azure.registries import build_pool_containers
from tasks.azure.sas import make_signer, read_blob_url
from tasks.bodies.start_tasks import build_start_task
from tasks.images import Image
from tasks.spec.naming import RunNames
from tasks.spec.overrides import merge_overrides
from tasks.spec.ownership import Ownership, as_batch_metadata, build_ownership
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import PoolSpec
from tasks.watch.lease_formula import INTERVAL, Lease, build_formula, build_lease, call_nodes


@dataclass(frozen=True)
class WantedStart:
    """What nodes begin with if a run begins now."""

    task: models.BatchStartTask | None
    signed_until: datetime | None = None
    """When the signature ends by which it brings the application; None if it brings none."""


@dataclass(frozen=True)
class WantedPool:
    """The pool that a run wants if it begins now."""

    body: models.BatchPoolCreateOptions
    lease: Lease
    begun: Lease
    """That with the nodes that are called now."""

    start: WantedStart


def want_pool(
    names: RunNames,
    options: RunOptions,
    image: Image,
    application: str | None,
    first_tasks: int | None = None,
) -> WantedPool:
    """That pool, with `application` as the blob that its start task brings, if any, and nodes called for so
    many Batch tasks; None: for all that it may need.
    """
    start, lease = want_start(names, options, application), want_lease(names, options)
    first = lease.most_nodes if first_tasks is None else lease.count_needed(first_tasks)
    begun = call_nodes(lease, first, datetime.now(timezone.utc).replace(microsecond=0))
    owned = _own(names, options)
    return WantedPool(build_pool(names, options.pool, image, start.task, owned, begun), lease, begun, start)


def want_lease(names: RunNames, options: RunOptions) -> Lease:
    """How many nodes a run may need that begins now, and until when."""
    return build_lease(options.pool, _own(names, options).expires_at, options.required_slots)


def want_start(names: RunNames, options: RunOptions, application: str | None) -> WantedStart:
    """What nodes begin with, with a signature for the application, if any, that lasts as long as the run."""
    if application is None:
        return WantedStart(build_start_task(None, None, options.pool.start_command))
    signer = make_signer(options.timeout_seconds)
    url = read_blob_url(signer, names.application_container, application)
    return WantedStart(build_start_task(application, url, options.pool.start_command), signer.expires_at)


def _own(names: RunNames, options: RunOptions) -> Ownership:
    return build_ownership(names.key, options.cleanup.pool, options.timeout_seconds)


def build_pool(
    names: RunNames,
    spec: PoolSpec,
    image: Image,
    start_task: models.BatchStartTask | None,
    owned: Ownership,
    lease: Lease,
) -> models.BatchPoolCreateOptions:
    """The pool's body, as REST operation Pool Add takes it, with what the specification overrides.

    It has no fixed size: whatever becomes of us, the service takes its nodes away when its lease ends.
    """
    body = models.BatchPoolCreateOptions(
        id=names.pool_id,
        vm_size=spec.vm_size,
        virtual_machine_configuration=models.VirtualMachineConfiguration(
            image_reference=models.BatchVmImageReference(
                publisher=image.publisher, offer=image.offer, sku=image.sku, version=image.version
            ),
            node_agent_sku_id=image.node_agent_sku_id,
            container_configuration=cast(Any, build_pool_containers(spec.containers)),
        ),
        network_configuration=models.NetworkConfiguration(subnet_id=spec.subnet_id)
        if spec.subnet_id
        else None,
        enable_auto_scale=True,
        auto_scale_formula=build_formula(lease),
        auto_scale_evaluation_interval=INTERVAL,
        task_slots_per_node=spec.slots_per_node,
        start_task=start_task,
        metadata=as_batch_metadata(owned),
    )
    return models.BatchPoolCreateOptions(merge_overrides(body.as_dict(), spec.overrides))
