"""What an autoscale formula can ask of a pool: the present values of the sampled variables.

From sums and counts that the store keeps, so that a sample costs the same whatever the number of tasks and
nodes. `$CPUPercent` is the share of the usable nodes' task slots that are taken: the nodes are folders of one
machine, whose processor says nothing of any of them. Memory, disk, network and `$WallClockSeconds` are not
measured, and so have no samples.
"""

from __future__ import annotations

from batch_emulator.resources.model import Pool, key
from batch_emulator.resources.pool_nodes import PoolNodes
from batch_emulator.scheduler.world import World

_USABLE = ("idle", "running")


def measure(world: World, pool: Pool) -> dict[str, float]:
    """The value of each variable that has one now; of a pool that is not there yet, its first ones."""
    load = world.store.load(key(pool.id))
    nodes = world.store.nodes(key(pool.id)) if world.store.has_pool(key(pool.id)) else PoolNodes()
    usable = sum(nodes.count(*_USABLE, dedicated=dedicated) for dedicated in (True, False))
    slots = usable * pool.slots_per_node
    return {
        "$ActiveTasks": load.ready,
        "$RunningTasks": load.running,
        "$PendingTasks": load.ready + load.running,
        "$SucceededTasks": load.succeeded,
        "$FailedTasks": load.failed,
        "$TaskSlotsPerNode": pool.slots_per_node,
        "$CurrentDedicatedNodes": nodes.total(dedicated=True),
        "$CurrentLowPriorityNodes": nodes.total(dedicated=False),
        "$UsableNodeCount": usable,
        "$PreemptedNodeCount": nodes.count("preempted", dedicated=False),
        "$SampleNodeCount": usable,
        **({"$CPUPercent": min(100.0, 100.0 * load.running_slots / slots)} if slots else {}),
    }
