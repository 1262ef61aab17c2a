"""A pool, and the node counts of pools, as JSON."""

from __future__ import annotations

from batch_emulator.api.views import order
from batch_emulator.api.views.order import arrange
from batch_emulator.catalogue.images import has_old_agent
from batch_emulator.resources.model import Pool, Wire, key
from batch_emulator.resources.pool_nodes import PoolNodes
from batch_emulator.resources.store import Store
from batch_emulator.ticks import etag, format_ticks

_COUNTED = (
    ("creating", "creating"),
    ("deallocated", "deallocated"),
    ("deallocating", "deallocating"),
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
    ("upgradingOS", "upgradingos"),
    ("waitingForStartTask", "waitingforstarttask"),
)


def render_pool(pool: Pool, store: Store, base_url: str, version: str) -> Wire:
    """A pool, as Get Pool of an API version answers it."""
    nodes = store.nodes(key(pool.id))
    wire: Wire = {"id": pool.id}
    if "displayName" in pool.spec:
        wire["displayName"] = pool.spec["displayName"]
    wire |= {
        "url": f"{base_url}/pools/{pool.id}",
        "eTag": etag(pool.modified),
        "lastModified": format_ticks(pool.modified),
        "creationTime": format_ticks(pool.created),
        "state": pool.state,
        "stateTransitionTime": format_ticks(pool.state_since),
        "allocationState": pool.allocation_state,
        "allocationStateTransitionTime": format_ticks(pool.allocation_since),
    }
    return wire | arrange(_defaults(version) | pool.spec | _render_size(pool, nodes), order.POOL)


def _defaults(version: str) -> Wire:
    """What the answers of a version always have: as recorded since the autumn of 2024, those of that year an
    empty list of certificates."""
    return {"certificateReferences": []} if version.startswith("2024-") else {}


def _render_size(pool: Pool, nodes: PoolNodes) -> Wire:
    wire: Wire = {
        "currentDedicatedNodes": nodes.total(dedicated=True),
        "targetDedicatedNodes": pool.target_dedicated,
        "currentLowPriorityNodes": nodes.total(dedicated=False),
        "targetLowPriorityNodes": pool.target_spot,
    }
    if pool.resize_errors:
        wire["resizeErrors"] = pool.resize_errors
    if pool.auto_scale_run:
        wire["autoScaleRun"] = pool.auto_scale_run
    if len(nodes):
        wire["currentNodeCommunicationMode"] = _communication_mode(pool)
    return wire


def _communication_mode(pool: Pool) -> str:
    """What the pool's nodes use: `simplified` where the pool does not ask for the other, or has an image that
    ended before that became usual."""
    wanted = pool.spec.get("targetNodeCommunicationMode", "default")
    if wanted != "default":
        return wanted
    return "classic" if has_old_agent(pool.spec) else "simplified"


def render_node_counts(pool: Pool, store: Store) -> Wire:
    """How many nodes of a pool are in each state, as List Pool Node Counts answers it."""
    nodes = store.nodes(key(pool.id))

    def count(dedicated: bool) -> Wire:
        found = {name: nodes.count(state, dedicated=dedicated) for name, state in _COUNTED}
        return found | {"total": sum(found.values())}

    return {"poolId": pool.id, "dedicated": count(True), "lowPriority": count(False)}
