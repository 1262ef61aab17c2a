"""When the nodes of a run were allocated, and when their start task had prepared them."""

from dataclasses import dataclass
from datetime import datetime

from azure.batch import models

from tasks.azure.clients import batch_client
from tasks.base.deadlines import glance

SELECT = ["id", "allocationTime", "lastBootTime", "startTaskInfo"]
PAGE_MAX = 1000


@dataclass(frozen=True)
class NodeStart:
    """How one node came to be ready: it was allocated, it booted, and its start task ran."""

    node_id: str
    allocated_at: datetime
    booted_at: datetime
    """When its start task began, if it has one."""

    ready_at: datetime


def list_node_starts(pool_id: str) -> list[NodeStart]:
    """Those of the pool's nodes that are ready; a node that has left it is not known any more."""
    with glance(), batch_client(f"Looking at the nodes of {pool_id}") as client:
        nodes = client.list_nodes(pool_id, select=SELECT, max_results=PAGE_MAX)
        return [start for node in nodes if (start := read_node_start(node)) is not None]


def read_node_start(node: models.BatchNode) -> NodeStart | None:
    """None of a node that has not come so far, or was started anew since."""
    if node.id is None or node.allocation_time is None or node.last_boot_time is None:
        return None
    ran = node.start_task_info
    if ran is None:
        return NodeStart(node.id, node.allocation_time, node.last_boot_time, node.last_boot_time)
    if ran.start_time is None or ran.end_time is None:
        return None
    return NodeStart(node.id, node.allocation_time, ran.start_time, ran.end_time)
