"""A pool, and the node counts of pools, as JSON."""

from __future__ import annotations

from batch_emulator.model import Pool, Wire, key
from batch_emulator.store import Store
from batch_emulator.ticks import etag, format_ticks

_FIRST = ("vmSize", "cloudServiceConfiguration", "virtualMachineConfiguration", "resizeTimeout")
_COUNTED = (
    ("creating", "creating"),
    ("idle", "idle"),
    ("leavingPool", "leavingpool"),
    ("offline", "offline"),
    ("preempted", "preempted"),
    ("rebooting", "rebooting"),
    ("reimaging", "reimaging"),
    ("running", "running"),
    ("starting", "starting"),
    ("startTaskFailed", "starttaskfailed"),
    ("unusable", "unusable"),
    ("unknown", "unknown"),
    ("waitingForStartTask", "waitingforstarttask"),
    ("deallocated", "deallocated"),
    ("deallocating", "deallocating"),
    ("upgradingOS", "upgradingos"),
)


def render_pool(pool: Pool, store: Store, base_url: str) -> Wire:
    """A pool, as Get Pool answers it."""
    nodes = store.nodes(key(pool.id))
    wire: Wire = {
        "id": pool.id,
        "url": f"{base_url}/pools/{pool.id}",
        "eTag": etag(pool.modified),
        "lastModified": format_ticks(pool.modified),
        "creationTime": format_ticks(pool.created),
        "state": pool.state,
        "stateTransitionTime": format_ticks(pool.state_since),
        "allocationState": pool.allocation_state,
        "allocationStateTransitionTime": format_ticks(pool.allocation_since),
    }
    if "displayName" in pool.spec:
        wire["displayName"] = pool.spec["displayName"]
    wire.update({name: pool.spec[name] for name in _FIRST if name in pool.spec})
    if pool.resize_errors:
        wire["resizeErrors"] = pool.resize_errors
    wire["currentDedicatedNodes"] = nodes.total(dedicated=True)
    wire["targetDedicatedNodes"] = pool.target_dedicated
    wire["currentLowPriorityNodes"] = nodes.total(dedicated=False)
    wire["targetLowPriorityNodes"] = pool.target_spot
    wire.update({name: value for name, value in pool.spec.items() if name not in wire})
    if pool.auto_scale_run:
        wire["autoScaleRun"] = pool.auto_scale_run
    return wire


def render_node_counts(pool: Pool, store: Store) -> Wire:
    """How many nodes of a pool are in each state, as List Pool Node Counts answers it."""
    nodes = store.nodes(key(pool.id))

    def count(dedicated: bool) -> Wire:
        found = {name: nodes.count(state, dedicated=dedicated) for name, state in _COUNTED}
        return found | {"total": sum(found.values())}

    return {"poolId": pool.id, "dedicated": count(True), "lowPriority": count(False)}
