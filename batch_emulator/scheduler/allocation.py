"""How a pool gets from the nodes it has to the nodes it wants."""

from __future__ import annotations

from batch_emulator.catalogue.vm_sizes import core_count
from batch_emulator.errors import BatchError
from batch_emulator.faults.injector import resize_error
from batch_emulator.resources.model import Deallocation, Node, Pool, key
from batch_emulator.resources.transitions import ALLOCATION, AllocationEvent, follow
from batch_emulator.scheduler import nodes
from batch_emulator.scheduler.world import World

#: What each recorded pool shows that is being deleted: as many ticks as 32 bits hold.
_DELETION_TIMEOUT = "PT7M9.497S"


def _move_allocation(world: World, pool: Pool, event: AllocationEvent) -> None:
    pool.allocation_state = follow(ALLOCATION, pool.allocation_state, event)
    pool.allocation_since = world.now
    world.store.touch("pool", key(pool.id))


def require_steady(world: World, pool: Pool) -> None:
    """PoolBeingResized, unless the pool is steady, or is as soon as somebody changes it."""
    if pool.allocation_state != "steady" and not _has_arrived(world, pool):
        raise BatchError("PoolBeingResized")


def settle(world: World, pool: Pool) -> None:
    """End a resize that has nothing to do, for whoever changes the pool and is not refused.

    As of a pool without nodes, it takes Azure a second or two: here it is over as soon as somebody changes
    the pool.
    """
    check_allocation(world, key(pool.id))


def begin_resize(
    world: World, pool: Pool, dedicated: int, spot: int, *, option: Deallocation, timeout_seconds: float
) -> None:
    """Set a pool's targets and start to move towards them."""
    pool.target_dedicated, pool.target_spot = dedicated, spot
    pool.node_deallocation = option
    pool.resize_errors = []
    pool.resize_number = world.store.next_number()
    if pool.allocation_state == "steady":
        _move_allocation(world, pool, "resize")
    number = pool.resize_number
    world.after(world.settings.node_allocation_seconds, _allocate, key(pool.id), number)
    world.after(timeout_seconds, _time_out, key(pool.id), number)


def empty(world: World, pool: Pool) -> None:
    """A pool is being deleted: a resize that goes on is stopped, then it resizes to none. As recorded."""
    if pool.allocation_state == "steady":
        _resize_to_none(world, pool)
        return
    if pool.allocation_state == "resizing":
        _move_allocation(world, pool, "stop")
    _settle_later(world, pool)


def _resize_to_none(world: World, pool: Pool) -> None:
    pool.target_dedicated = pool.target_spot = 0
    pool.spec = pool.spec | {"resizeTimeout": _DELETION_TIMEOUT}
    _move_allocation(world, pool, "resize")
    world.allocations_to_check[key(pool.id)] = None


def _allocate(world: World, pool_key: str, number: int) -> None:
    pool = _resizing(world, pool_key, number)
    if pool is None:
        return
    world.store.touch("pool", pool_key)
    for dedicated in (True, False):
        staying = world.store.nodes(pool_key).staying(dedicated=dedicated)
        wanted = pool.target_dedicated if dedicated else pool.target_spot
        if wanted > len(staying):
            _grow(world, pool, wanted - len(staying), dedicated)
        else:
            _shrink(world, pool, staying, len(staying) - wanted)
    check_allocation(world, pool_key)


def _resizing(world: World, pool_key: str, number: int) -> Pool | None:
    pool = world.store.pools.get(pool_key)
    current = pool and pool.resize_number == number and pool.allocation_state == "resizing"
    return pool if current else None


def _grow(world: World, pool: Pool, count: int, dedicated: bool) -> None:
    cores = core_count(pool.spec["vmSize"]) or 1
    possible = min(count, max(0, _free_cores(world, dedicated) // cores))
    if possible < count:
        code = "AccountCoreQuotaReached" if dedicated else "AccountLowPriorityCoreQuotaReached"
        pool.resize_errors.append(resize_error(code, dedicated))
    for _ in range(_without_fault(world, pool, possible, dedicated=dedicated, growing=True)):
        _add_node(world, pool, dedicated)


def _without_fault(world: World, pool: Pool, count: int, *, dedicated: bool, growing: bool) -> int:
    """How many of `count` nodes come, or go, in spite of the faults that were asked for."""
    fault = (
        world.faults.limit_allocation(key(pool.id), dedicated=dedicated, growing=growing) if count else None
    )
    if fault is None:
        return count
    if fault.code != "AllocationTimedout":
        values = {"Reason": fault.reason} if fault.reason else {}
        pool.resize_errors.append(resize_error(fault.code, dedicated, **values))
    return min(count, fault.nodes)


def _free_cores(world: World, dedicated: bool) -> int:
    used = 0
    for pool_key, pool in world.store.pools.items():
        count = world.store.nodes(pool_key).total(dedicated=dedicated)
        used += count * (core_count(pool.spec["vmSize"]) or 1)
    quota = world.settings.core_quota if dedicated else world.settings.spot_core_quota
    return quota - used


def _add_node(world: World, pool: Pool, dedicated: bool) -> None:
    pool.node_number += 1
    node = Node(
        id=f"tvmps_{world.random.getrandbits(256):064x}_{'d' if dedicated else 'p'}",
        pool_key=key(pool.id),
        number=pool.node_number,
        dedicated=dedicated,
        slots=pool.slots_per_node,
        allocated=world.now,
        state_since=world.now,
    )
    world.store.add_node(node)
    world.after(world.settings.node_boot_seconds, nodes.boot, node.pool_key, node.id, node.boot_number)


def _shrink(world: World, pool: Pool, staying: list[Node], count: int) -> None:
    dedicated = bool(staying) and staying[0].dedicated
    possible = _without_fault(world, pool, count, dedicated=dedicated, growing=False)
    idlest_first = sorted(
        staying, key=lambda node: (_runs_manager(world, node), len(node.occupants), -node.number)
    )
    for node in idlest_first[:possible]:
        nodes.leave(world, node, pool.node_deallocation)


def _runs_manager(world: World, node: Node) -> bool:
    """Nodes with job manager tasks are kept as long as possible (REST documentation of Add Job)."""
    tasks = [world.store.find_task(job_key, task_key) for _, job_key, task_key in node.occupants.values()]
    return any(task is not None and task.is_manager for task in tasks)


def check_allocation(world: World, pool_key: str) -> None:
    """Steady once the nodes are those that were wanted (or that could be had) and none is still leaving."""
    pool = world.store.pools.get(pool_key)
    if pool is None:
        return
    if pool.state == "deleting":
        _remove_empty(world, pool)
        return
    if _has_arrived(world, pool):
        _move_allocation(world, pool, "settle")


def _has_arrived(world: World, pool: Pool) -> bool:
    leaving = world.store.nodes(key(pool.id)).leaving
    return pool.allocation_state == "resizing" and not leaving and _is_at_target(world, pool)


def _is_at_target(world: World, pool: Pool) -> bool:
    if pool.resize_errors:
        return True
    of_pool = world.store.nodes(key(pool.id))
    return (
        of_pool.total(dedicated=True) == pool.target_dedicated
        and of_pool.total(dedicated=False) == pool.target_spot
    )


def _remove_empty(world: World, pool: Pool) -> None:
    """As recorded, a deleted pool without nodes is steady for a while, here half the deletion, then gone."""
    following = {"resizing": _end_at_none, "steady": remove_pool}.get(pool.allocation_state)
    if following is not None and not world.store.nodes(key(pool.id)):
        world.after(world.settings.deletion_seconds / 2, following, key(pool.id))


def _end_at_none(world: World, pool_key: str) -> None:
    pool = world.store.pools.get(pool_key)
    if pool is not None and pool.state == "deleting" and pool.allocation_state == "resizing":
        _move_allocation(world, pool, "settle")
        _remove_empty(world, pool)


def remove_pool(world: World, pool_key: str) -> None:
    """A deleted pool without nodes is gone."""
    pool = world.store.pools.get(pool_key)
    if pool is not None and pool.state == "deleting":
        world.store.remove_pool(pool_key)
        world.samples.pop(pool_key, None)


def _time_out(world: World, pool_key: str, number: int) -> None:
    pool = _resizing(world, pool_key, number)
    if pool is None:
        return
    _report_shortfall(world, pool, "AllocationTimedout")
    _move_allocation(world, pool, "settle")


def stop_resize(world: World, pool: Pool) -> None:
    """End a resize where it stands; the shortfall becomes resize errors."""
    _move_allocation(world, pool, "stop")
    _settle_later(world, pool)


def _settle_later(world: World, pool: Pool) -> None:
    pool.resize_number = world.store.next_number()
    world.after(world.settings.node_allocation_seconds, _stopped, key(pool.id), pool.resize_number)


def _stopped(world: World, pool_key: str, number: int) -> None:
    pool = world.store.pools.get(pool_key)
    if pool is None or pool.resize_number != number or pool.allocation_state != "stopping":
        return
    if pool.state != "deleting":
        _report_shortfall(world, pool, "ResizeStopped")
    _move_allocation(world, pool, "settle")
    if pool.state == "deleting":
        _resize_to_none(world, pool)


def _report_shortfall(world: World, pool: Pool, code: str) -> None:
    for dedicated, wanted in ((True, pool.target_dedicated), (False, pool.target_spot)):
        if world.store.nodes(key(pool.id)).total(dedicated=dedicated) != wanted:
            pool.resize_errors.append(resize_error(code, dedicated))
