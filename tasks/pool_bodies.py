"""The pool that a run wants, as the service takes it."""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, cast

from azure.batch import models

from tasks.azure.registries import build_pool_containers
from tasks.azure.sas import make_signer, read_blob_url
from tasks.images import Image
from tasks.spec.naming import RunNames
from tasks.spec.overrides import merge_overrides
from tasks.spec.ownership import Ownership, as_batch_metadata, build_ownership
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import PoolSpec
from tasks.start_tasks import build_start_task
from tasks.watch.lease_formula import INTERVAL, Lease, build_formula, build_lease, call_nodes


@dataclass(frozen=True)
class WantedPool:
    """The pool that a run wants if it begins now."""

    body: models.BatchPoolCreateOptions
    lease: Lease
    begun: Lease
    """That with the nodes that are called now."""

    signed_until: datetime | None


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
    spec, timeout_seconds = options.pool, options.timeout_seconds
    signer = make_signer(timeout_seconds) if application else None
    url = read_blob_url(signer, names.application_container, application) if signer and application else None
    owned = build_ownership(names.key, options.cleanup.pool, timeout_seconds)
    lease = build_lease(spec, owned.expires_at, options.required_slots)
    first = lease.most_nodes if first_tasks is None else lease.count_needed(first_tasks)
    begun = call_nodes(lease, first, datetime.now(timezone.utc).replace(microsecond=0))
    containers = build_pool_containers(spec.containers)
    body = build_pool(names, spec, image, application, url, owned, containers, begun)
    return WantedPool(body, lease, begun, signer and signer.expires_at)


def build_pool(
    names: RunNames,
    spec: PoolSpec,
    image: Image,
    application: str | None,
    url: str | None,
    owned: Ownership,
    containers: dict[str, Any] | None = None,
    lease: Lease | None = None,
) -> models.BatchPoolCreateOptions:
    """The pool's body, as REST operation Pool Add takes it, with what the specification overrides.

    It has no fixed size: whatever becomes of us, the service takes its nodes away when its lease ends.
    """
    lease = lease or build_lease(spec, owned.expires_at)
    body = models.BatchPoolCreateOptions(
        id=names.pool_id,
        vm_size=spec.vm_size,
        virtual_machine_configuration=models.VirtualMachineConfiguration(
            image_reference=models.BatchVmImageReference(
                publisher=image.publisher, offer=image.offer, sku=image.sku, version=image.version
            ),
            node_agent_sku_id=image.node_agent_sku_id,
            container_configuration=cast(Any, containers),
        ),
        network_configuration=models.NetworkConfiguration(subnet_id=spec.subnet_id)
        if spec.subnet_id
        else None,
        enable_auto_scale=True,
        auto_scale_formula=build_formula(lease),
        auto_scale_evaluation_interval=INTERVAL,
        task_slots_per_node=spec.slots_per_node,
        start_task=build_start_task(application, url, spec.start_command),
        metadata=as_batch_metadata(owned),
    )
    return models.BatchPoolCreateOptions(merge_overrides(body.as_dict(), spec.overrides))
