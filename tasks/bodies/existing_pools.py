"""Whether a pool that is there does for a run, and what tells it from others of its id."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from azure.batch import models
from azure.core.exceptions import ResourceNotFoundError

from tasks.azure.accounts import current_accounts
from tasks.azure.clients import batch_client
from tasks.azure.sas import is_lasting, read_expiry
from tasks.bodies.start_tasks import find_failed_nodes
from tasks.images import Image
from tasks.prefect.caching import build_identity
from tasks.spec.command_line import APPLICATION_VARIABLE, START_VARIABLE
from tasks.spec.naming import RunNames
from tasks.spec.ownership import MARGIN, compute_expiry, read_batch_ownership
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import PoolSpec
from tasks.watch.lease_formula import build_lease, covers, read_formula


def identify_pool(
    names: RunNames, options: RunOptions, image: Image, application: str | None = None, **_: Any
) -> str | None:
    """The pool and its creation time; None unless it is as the spec says, for as long as the run, and no node
    came too late for the application."""
    with batch_client(f"Looking for the pool {names.pool_id}") as client:
        try:
            pool = client.get_pool(names.pool_id)
            if application is not None and find_failed_nodes(client, names.pool_id):
                return None
        except ResourceNotFoundError:
            return None
    if pool.state != models.BatchPoolState.ACTIVE or any(find_differences(pool, options.pool, image)):
        return None
    if not _brings(pool, application) or not _lasts(pool, options, application is not None):
        return None
    # A start task that was changed for another attempt, and back again, has left nodes with its application.
    start = pool.start_task and pool.start_task.resource_files
    return build_identity(current_accounts().batch_endpoint, pool.id, pool.creation_time, start)


def _brings(pool: models.BatchPool, application: str | None) -> bool:
    """Whether nodes that come from now on bring the application, if the start task is to bring one."""
    return application is None or _read_start_settings(pool).get(APPLICATION_VARIABLE) == application


def _read_start_settings(pool: models.BatchPool) -> dict[str, str | None]:
    """The environment of a pool's start task."""
    settings = pool.start_task.environment_settings if pool.start_task else None
    return {one.name: one.value for one in settings or []}


def _read_signed_until(pool: models.BatchPool) -> datetime | None:
    """When the first of the signatures ends that the start task brings files by."""
    files = pool.start_task.resource_files if pool.start_task else None
    return min(filter(None, (read_expiry(file.http_url) for file in files or [])), default=None)


def _lasts(pool: models.BatchPool, options: RunOptions, has_signature: bool) -> bool:
    """Whether a pool's lease, and the signature that its start task has, can do for a run that begins now."""
    now = datetime.now(timezone.utc)
    if has_signature and not is_lasting(_read_signed_until(pool), options.timeout_seconds):
        return False
    held = read_formula(pool.auto_scale_formula)
    if held is None or read_batch_ownership(pool.metadata) is None:
        # A pool of others has no lease that a step could renew.
        return True
    ends_at = compute_expiry(now, options.timeout_seconds) - MARGIN / 2
    wanted = build_lease(options.pool, ends_at, options.required_slots)
    return covers(held, wanted, now)


def find_differences(pool: models.BatchPool, spec: PoolSpec, image: Image) -> Iterator[str]:
    """In which ways a pool can't stand in for the one that the spec describes, in words."""
    if (pool.vm_size or "").lower() != spec.vm_size.lower():
        yield f"vm_size {pool.vm_size} instead of {spec.vm_size}"
    machine = pool.virtual_machine_configuration
    found = machine.image_reference if machine else None
    is_there = [found.publisher, found.offer, found.sku] if found else [None]
    is_wanted = [image.publisher, image.offer, image.sku]
    if [(part or "").lower() for part in is_there] != [part.lower() for part in is_wanted]:
        yield f"image {' '.join(part or '?' for part in is_there)} instead of {' '.join(is_wanted)}"
    if pool.task_slots_per_node and pool.task_slots_per_node != spec.slots_per_node:
        yield f"task_slots_per_node {pool.task_slots_per_node} instead of {spec.slots_per_node}"
    if spec.containers.are_wanted and not (machine and machine.container_configuration):
        yield "no container configuration, so its nodes run no container tasks"
    subnet_id = pool.network_configuration.subnet_id if pool.network_configuration else None
    if spec.subnet_id and (subnet_id or "").lower() != spec.subnet_id.lower():
        yield _tell_apart("subnet_id", subnet_id, spec.subnet_id)
    yield from _find_start_differences(pool, spec)
    yield from _find_override_differences(pool.as_dict(), spec.overrides)
    if not pool.enable_auto_scale and not (pool.target_dedicated_nodes or pool.target_low_priority_nodes):
        yield "no nodes, and no autoscale formula that would bring some (resize it)"


def _tell_apart(name: str, found: object, wanted: object) -> str:
    """A difference in words, with both values."""
    is_there, is_wanted = (
        value if isinstance(value, str) else "none" if value is None else json.dumps(value, default=str)
        for value in (found, wanted)
    )
    return f"{name} {is_there} instead of {is_wanted}"


def _find_start_differences(pool: models.BatchPool, spec: PoolSpec) -> Iterator[str]:
    """Whether nodes run the start command that is wanted; where none is, that of others is right."""
    is_ours = read_batch_ownership(pool.metadata) is not None
    found = _read_start_settings(pool).get(START_VARIABLE)
    if found != spec.start_command and (is_ours or spec.start_command is not None):
        yield _tell_apart("start_command", found, spec.start_command)


def _find_override_differences(found: Any, wanted: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What of the overrides the pool hasn't; `found` is the pool, or a part of it, as the service has it."""
    for name, value in wanted.items():
        there = found.get(name) if isinstance(found, Mapping) else None
        where = f"{path}.{name}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _find_override_differences(there, value, where)
        elif not _has_all(there, value):
            yield _tell_apart(where, there, value)


def _has_all(found: Any, wanted: Any) -> bool:
    """Whether a value is the one that is wanted; the service may add fields, and spell words its way."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _has_all(found.get(name), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        is_like = isinstance(found, list) and len(found) == len(wanted)
        return is_like and all(map(_has_all, found, wanted))
    if isinstance(wanted, str) and isinstance(found, str):
        return found.casefold() == wanted.casefold()
    return found == wanted


def read_pool_run_key(pool: models.BatchPool) -> str | None:
    """The key of the run that made a pool; None for a pool that no run made."""
    owned = read_batch_ownership(pool.metadata)
    return owned and owned.run_key
