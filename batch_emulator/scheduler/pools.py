"""The life of pools: added, changed, resized, emptied, deleted."""

from __future__ import annotations

from batch_emulator.catalogue.images import find_image, runs_containers
from batch_emulator.catalogue.images import is_retired as is_retired_image
from batch_emulator.catalogue.vm_sizes import core_count
from batch_emulator.catalogue.vm_sizes import is_retired as is_retired_size
from batch_emulator.durations import parse_duration
from batch_emulator.errors import BatchError, invalid_combination, invalid_property
from batch_emulator.resources.model import Pool, Wire, key
from batch_emulator.resources.transitions import POOL, follow
from batch_emulator.scheduler import allocation, autoscaling, nodes
from batch_emulator.scheduler.certificates import refuse_missing
from batch_emulator.scheduler.world import World

_NIL = "00000000-0000-0000-0000-000000000000"
_SLOTS_PER_CORE = 4
_MOST_SLOTS = 256
# What can be updated only when the pool is empty (REST operation Update Pool, since 2024-07-01).
_KEPT_BY_NODES = (
    "displayName",
    "enableInterNodeCommunication",
    "mountConfiguration",
    "networkConfiguration",
    "taskSchedulingPolicy",
    "taskSlotsPerNode",
    "upgradePolicy",
    "userAccounts",
    "virtualMachineConfiguration",
    "vmSize",
)
_TARGETS = ("targetDedicatedNodes", "targetLowPriorityNodes")


def add_pool(world: World, spec: Wire) -> Pool:
    """Add a pool (`spec` normalised) and start to allocate its nodes."""
    if key(spec["id"]) in world.store.pools:
        raise BatchError("PoolExists")
    if len(world.store.pools) >= world.settings.pool_quota:
        raise BatchError("PoolQuotaReached")
    _refuse_pool_spec(spec)
    refuse_missing(world, spec)
    pool = Pool(
        id=spec["id"],
        spec={name: value for name, value in spec.items() if name not in _TARGETS},
        created=world.now,
        modified=world.now,
        state_since=world.now,
        allocation_since=world.now,
    )
    if spec.get("enableAutoScale"):
        autoscaling.refuse_formula(world, pool, spec["autoScaleFormula"])
    world.store.add_pool(pool)
    if spec.get("enableAutoScale"):
        autoscaling.begin(world, pool)
    if pool.allocation_state == "steady":
        # Also where a formula wants none: a new pool is always seen resizing.
        _resize_to_spec(world, pool, spec)
    return pool


def _resize_to_spec(world: World, pool: Pool, spec: Wire) -> None:
    allocation.begin_resize(
        world,
        pool,
        spec.get("targetDedicatedNodes", 0),
        spec.get("targetLowPriorityNodes", 0),
        option="requeue",
        timeout_seconds=_timeout_seconds(spec),
    )


def _timeout_seconds(request: Wire) -> float:
    return parse_duration(request.get("resizeTimeout", "PT15M")).total_seconds()


def _refuse_pool_spec(spec: Wire) -> None:
    """400 for a VM size or an image that the account does not offer, or too many task slots for the size."""
    cores = core_count(spec["vmSize"])
    if cores is None:
        raise invalid_property("vmSize", spec["vmSize"], "The specified VM size is not supported")
    most = min(_SLOTS_PER_CORE * cores, _MOST_SLOTS)
    if spec.get("taskSlotsPerNode", 1) > most:
        reason = f"The value must not be greater than {most}, which is what VM size {spec['vmSize']} allows"
        raise invalid_property("taskSlotsPerNode", spec["taskSlotsPerNode"], reason)
    machine = spec.get("virtualMachineConfiguration")
    if machine:
        _refuse_image(machine)
    _refuse_subnet(spec.get("networkConfiguration", {}).get("subnetId"))


def refuse_retired(spec: Wire) -> None:
    """400 for a VM size or an image that the service has taken off its lists."""
    if is_retired_size(spec.get("vmSize", "")):
        raise invalid_property("vmSize", spec["vmSize"], "The specified VM size is not supported")
    reference = spec.get("virtualMachineConfiguration", {}).get("imageReference", {})
    image = find_image(reference)
    if image is not None and is_retired_image(image):
        raise _unsupported_image(reference)


def _refuse_subnet(subnet_id: str | None) -> None:
    """No account is in the nil subscription, which stands in samples and tests for another one."""
    if subnet_id and f"/subscriptions/{_NIL}/" in subnet_id:
        reason = (
            "The specified subnetId is in a different subscription and cannot be used with the current "
            "Batch account"
        )
        raise invalid_property("subnetId", subnet_id, reason)


def _refuse_image(machine: Wire) -> None:
    reference = machine["imageReference"]
    if "publisher" not in reference:
        return
    image = find_image(reference)
    if image is None:
        raise _unsupported_image(reference)
    named = _describe(reference)
    if image["nodeAgentSKUId"] != machine["nodeAgentSKUId"]:
        reason = f"The specified nodeAgentSKUId is not valid for imageReference with {named}."
        raise invalid_combination("nodeAgentSKUId", reason)
    if "containerConfiguration" in machine and not runs_containers(image):
        reason = f"The specified imageReference with {named} does not support container feature."
        raise invalid_combination("containerConfiguration", reason)


def _unsupported_image(reference: Wire) -> BatchError:
    reason = f"The specified imageReference with {_describe(reference)} is not supported."
    return invalid_combination("imageReference", reason)


def _describe(reference: Wire) -> str:
    return "publisher {publisher} offer {offer} sku {sku}".format_map(reference)


def delete_pool(world: World, pool_id: str) -> None:
    """Delete a pool: its nodes leave, their tasks are requeued, then it is gone."""
    pool = world.live_pool(pool_id)
    allocation.settle(world, pool)
    pool.state, pool.state_since = follow(POOL, pool.state, "delete"), world.now
    world.stamp(pool)
    pool.resize_number += 1
    allocation.empty(world, pool)
    for node in list(world.store.nodes(key(pool.id))):
        if node.leaving is None or node.pending:
            node.leaving = None
            nodes.leave(world, node, "requeue")
    world.allocations_to_check[key(pool.id)] = None
    world.store.touch("pool", key(pool.id))


def change_pool(world: World, pool_id: str, changes: Wire) -> Pool:
    """PATCH: each named property is replaced whole; 409 for one that a pool with nodes keeps."""
    pool = world.live_pool(pool_id)
    if world.store.nodes(key(pool_id)) and (kept := [name for name in changes if name in _KEPT_BY_NODES]):
        reason = f"{', '.join(kept)} can be updated only when the pool is empty"
        raise BatchError("OperationInvalidForCurrentState", ("Reason", reason))
    _refuse_pool_spec(pool.spec | changes)
    refuse_missing(world, changes)
    allocation.settle(world, pool)
    pool.spec = pool.spec | changes
    _changed(world, pool)
    return pool


_REPLACEABLE = (
    "startTask",
    "certificateReferences",
    "applicationPackageReferences",
    "metadata",
    "targetNodeCommunicationMode",
)


def replace_pool_properties(world: World, pool_id: str, properties: Wire) -> Pool:
    """Replace Pool Properties: what is not named the pool loses."""
    pool = world.live_pool(pool_id)
    refuse_missing(world, properties)
    allocation.settle(world, pool)
    kept = {name: value for name, value in pool.spec.items() if name not in _REPLACEABLE}
    pool.spec = kept | properties
    _changed(world, pool)
    return pool


def _changed(world: World, pool: Pool) -> None:
    world.stamp(pool)
    world.store.touch("pool", key(pool.id))


def resize_pool(world: World, pool_id: str, request: Wire) -> Pool:
    """Give a pool new targets. Refused while it resizes, or sizes itself."""
    pool = world.live_pool(pool_id)
    allocation.require_steady(world, pool)
    if pool.spec.get("enableAutoScale"):
        raise BatchError("OperationNotValidOnPool", ("Reason", "The pool has auto-scaling enabled"))
    allocation.settle(world, pool)
    world.stamp(pool)
    allocation.begin_resize(
        world,
        pool,
        request.get("targetDedicatedNodes", pool.target_dedicated),
        request.get("targetLowPriorityNodes", pool.target_spot),
        option=request.get("nodeDeallocationOption", "requeue"),
        timeout_seconds=_timeout_seconds(request),
    )
    return pool


def stop_resize(world: World, pool_id: str) -> Pool:
    """Stop a resize; a pool that is steady is left as it is. The pool keeps its ETag, as recorded."""
    pool = world.live_pool(pool_id)
    if pool.allocation_state == "resizing":
        allocation.stop_resize(world, pool)
    world.store.touch("pool", key(pool.id))
    return pool


def remove_nodes(world: World, pool_id: str, request: Wire) -> Pool:
    """Take named nodes out of a pool; its targets shrink with them."""
    pool = world.live_pool(pool_id)
    allocation.require_steady(world, pool)
    leaving = [world.node(pool_id, node_id) for node_id in dict.fromkeys(request["nodeList"])]
    allocation.settle(world, pool)
    world.stamp(pool)
    option = request.get("nodeDeallocationOption", "requeue")
    allocation.begin_resize(
        world,
        pool,
        pool.target_dedicated - sum(node.dedicated for node in leaving),
        pool.target_spot - sum(not node.dedicated for node in leaving),
        option=option,
        timeout_seconds=_timeout_seconds(request),
    )
    for node in leaving:
        nodes.leave(world, node, option)
    return pool
