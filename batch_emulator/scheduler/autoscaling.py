"""Pools that size themselves: formula, evaluation on the interval, samples of what the formula may ask.

Source: documentation page "Create a formula to automatically scale compute nodes in a Batch pool"; REST
operations Enable, Disable and Evaluate Pool Auto Scale. Samples are taken of pools that scale themselves
only; they are not kept over a restart, after which the history begins anew.
"""

from __future__ import annotations

from batch_emulator.autoscale import (
    SAMPLE_PERIOD_SECONDS,
    Evaluation,
    FormulaError,
    InsufficientSampleData,
    Samples,
    evaluate,
)
from batch_emulator.autoscale.parser import parse
from batch_emulator.durations import parse_duration
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Deallocation, Pool, Wire, key
from batch_emulator.scheduler import allocation
from batch_emulator.scheduler.measures import measure
from batch_emulator.scheduler.world import World
from batch_emulator.ticks import format_ticks, to_datetime

_LEAST_SECONDS_BETWEEN_ENABLING = 30.0
# What is read of a pool in the half second after enabling tells no evaluation yet, as recorded.
_SECONDS_TO_FIRST_EVALUATION = 0.5
# A pool's resizeTimeout "applies only to manual scaling" (REST operation Pool Add).
_RESIZE_TIMEOUT_SECONDS = 15 * 60.0
_DEFAULTS = {"autoScaleEvaluationInterval": "PT15M"}
_SETTINGS = ("autoScaleFormula", "autoScaleEvaluationInterval")


def enable(world: World, pool_id: str, request: Wire) -> Pool:
    """Let a pool scale itself, or change how it does. As recorded, a steady pool begins to resize with it,
    also to the size that it has; one that is said to resize still keeps its ETag. Neither tells an evaluation
    yet."""
    pool = world.live_pool(pool_id)
    _refuse_enabling(world, pool, request)
    known = {name: pool.spec[name] for name in _SETTINGS if name in pool.spec}
    wanted = _DEFAULTS | known | request
    refuse_formula(world, pool, wanted["autoScaleFormula"])
    is_steady = pool.allocation_state == "steady"
    allocation.settle(world, pool)
    pool.spec = pool.spec | {"enableAutoScale": True} | wanted
    pool.auto_scale_enabled = world.now
    number = _begin_sampling(world, pool)
    world.store.touch("pool", key(pool.id))
    if is_steady:
        world.stamp(pool)
        _scale(world, key(pool.id), number, resizes=True)
        _tell_later(world, pool, number)
    else:
        pool.auto_scale_run = None  # That of another formula.
        world.after(_SECONDS_TO_FIRST_EVALUATION, _scale, key(pool.id), number)
    return pool


def _tell_later(world: World, pool: Pool, number: int) -> None:
    world.after(_SECONDS_TO_FIRST_EVALUATION, _tell, key(pool.id), number, pool.auto_scale_run)
    pool.auto_scale_run = None


def _tell(world: World, pool_key: str, number: int, run: Wire) -> None:
    pool = _scaling(world, pool_key, number)
    if pool is not None and pool.auto_scale_run is None:
        pool.auto_scale_run = run
        world.store.touch("pool", pool_key)


def _refuse_enabling(world: World, pool: Pool, request: Wire) -> None:
    is_enabled = pool.spec.get("enableAutoScale")
    if not is_enabled and "autoScaleFormula" not in request:
        raise BatchError("MissingRequiredProperty", ("PropertyName", "autoScaleFormula"))
    if not request:
        raise BatchError("MissingRequiredProperty", ("PropertyName", " and/or ".join(_SETTINGS)))
    last = pool.auto_scale_enabled
    if last is not None and world.seconds_since(last) < _LEAST_SECONDS_BETWEEN_ENABLING:
        raise BatchError("TooManyEnableAutoScaleRequests")
    allocation.require_steady(world, pool)


def refuse_formula(world: World, pool: Pool, formula: str) -> None:
    """400 for a formula that cannot be evaluated. Too few samples are not the formula's fault."""
    try:
        parse(formula)
    except FormulaError as error:
        raise BatchError("AutoScalingFormulaSyntaxError", ("Message", str(error))) from None
    try:
        _evaluate(world, pool, formula)
    except InsufficientSampleData:
        return
    except FormulaError as error:
        raise BatchError(error.code, ("Message", str(error))) from None


def disable(world: World, pool_id: str) -> Pool:
    """Leave a pool at the size that it has: a resize under way is stopped. A steady one resizes to it, which
    is a change of its ETag. As recorded."""
    pool = world.live_pool(pool_id)
    _require_enabled(pool)
    allocation.settle(world, pool)
    kept = {name: value for name, value in pool.spec.items() if name not in _SETTINGS}
    pool.spec = kept | {"enableAutoScale": False}
    pool.auto_scale_run = None
    pool.auto_scale_number = world.store.next_number()
    world.samples.pop(key(pool.id), None)
    if pool.allocation_state == "steady":
        world.stamp(pool)
        _resize(world, pool, pool.target_dedicated, pool.target_spot, option="requeue")
    elif pool.allocation_state == "resizing":
        allocation.stop_resize(world, pool)
    world.store.touch("pool", key(pool.id))
    return pool


def _require_enabled(pool: Pool) -> None:
    """AutoScaleNotEnabled, unless the pool scales itself."""
    if not pool.spec.get("enableAutoScale"):
        raise BatchError("AutoScaleNotEnabled")


def evaluate_formula(world: World, pool_id: str, formula: str) -> Wire:
    """The AutoScaleRun of a formula for a pool now; it is not applied. The pool's targets are those that its
    own formula gives it, as recorded, before that has been applied for the first time too."""
    pool = world.live_pool(pool_id)
    _require_enabled(pool)
    return _run(world, pool, formula, _first_targets(world, pool))[0]


def _first_targets(world: World, pool: Pool) -> tuple[int, int] | None:
    if pool.auto_scale_run is not None:
        return None
    first = _run(world, pool, pool.spec["autoScaleFormula"])[1]
    return (first.target_dedicated_nodes, first.target_low_priority_nodes) if first else None


def begin(world: World, pool: Pool) -> None:
    """Take a sample, evaluate the formula and apply it, and go on doing so."""
    _scale(world, key(pool.id), _begin_sampling(world, pool))


def _begin_sampling(world: World, pool: Pool) -> int:
    """The number of the timers of a pool whose samples are taken from now on."""
    number = _take_over(world, pool)
    _sample(world, key(pool.id), number)
    return number


def resume(world: World, pool: Pool) -> None:
    """After a restart: what a pool that scales itself would have done goes on, with a history from now on."""
    if pool.spec.get("enableAutoScale"):
        world.samples.setdefault(key(pool.id), Samples())


def _take_over(world: World, pool: Pool) -> int:
    """A number for the timers of this pool; those of any other number have no effect any more."""
    pool.auto_scale_number = world.store.next_number()
    world.samples.setdefault(key(pool.id), Samples())
    return pool.auto_scale_number


def _scaling(world: World, pool_key: str, number: int) -> Pool | None:
    pool = world.store.pools.get(pool_key)
    current = pool and pool.auto_scale_number == number and pool.state == "active"
    return pool if current else None


def _sample(world: World, pool_key: str, number: int) -> None:
    pool = _scaling(world, pool_key, number)
    if pool is not None:
        _record(world, pool, world.samples[pool_key])
        world.after(SAMPLE_PERIOD_SECONDS, _sample, pool_key, number)


def _record(world: World, pool: Pool, samples: Samples) -> None:
    for name, value in measure(world, pool).items():
        samples.record(name, to_datetime(world.now), value)


def _scale(world: World, pool_key: str, number: int, *, resizes: bool = False) -> None:
    """Evaluate the formula and apply it. What `resizes` has the pool resize to the size that it has, too."""
    pool = _scaling(world, pool_key, number)
    if pool is None:
        return
    pool.auto_scale_run, evaluation = _run(world, pool, pool.spec["autoScaleFormula"])
    if evaluation is not None:
        _apply(world, pool, evaluation, resizes)
    world.store.touch("pool", pool_key)
    world.after(_interval_seconds(pool), _scale, pool_key, number)


def _interval_seconds(pool: Pool) -> float:
    return parse_duration(pool.spec["autoScaleEvaluationInterval"]).total_seconds()


def _run(
    world: World, pool: Pool, formula: str, targets: tuple[int, int] | None = None
) -> tuple[Wire, Evaluation | None]:
    """An AutoScaleRun, and what it came to unless there was an error."""
    try:
        evaluation = _evaluate(world, pool, formula, targets)
    except FormulaError as error:
        return _describe(world, error.partial) | {"error": _describe_error(error)}, None
    return _describe(world, evaluation), evaluation


def _describe(world: World, evaluation: Evaluation | None) -> Wire:
    results = {"results": evaluation.results} if evaluation else {}
    return {"timestamp": format_ticks(world.now)} | results


def _describe_error(error: FormulaError) -> Wire:
    return {
        "code": error.code,
        "message": error.summary,
        "values": [{"name": "Message", "value": str(error)}],
    }


def _evaluate(world: World, pool: Pool, formula: str, targets: tuple[int, int] | None = None) -> Evaluation:
    """Raises FormulaError. A pool without a history is evaluated as if its first sample had been taken."""
    dedicated, spot = targets or (pool.target_dedicated, pool.target_spot)
    samples = world.samples.get(key(pool.id))
    if samples is None:
        samples = Samples()
        _record(world, pool, samples)
    present = {
        "$TargetDedicatedNodes": dedicated,
        "$TargetLowPriorityNodes": spot,
        "$NodeDeallocationOption": "requeue",
    }
    now = to_datetime(world.now)
    return evaluate(formula, now=now, samples=samples, current=present | measure(world, pool))


def _apply(world: World, pool: Pool, evaluation: Evaluation, resizes: bool) -> None:
    """Resize to the targets, unless the pool has them. A resize under way to other ones is replaced; one
    that is being stopped is left alone until the next evaluation."""
    wanted = (evaluation.target_dedicated_nodes, evaluation.target_low_priority_nodes)
    on_its_way = pool.allocation_state == "resizing" and wanted == (pool.target_dedicated, pool.target_spot)
    is_there = wanted == _present_size(world, pool) and not resizes
    if on_its_way or is_there or pool.allocation_state == "stopping":
        return
    _resize(world, pool, *wanted, option=evaluation.node_deallocation_option)


def _resize(world: World, pool: Pool, dedicated: int, spot: int, *, option: Deallocation) -> None:
    allocation.begin_resize(
        world, pool, dedicated, spot, option=option, timeout_seconds=_RESIZE_TIMEOUT_SECONDS
    )


def _present_size(world: World, pool: Pool) -> tuple[int, int] | None:
    """Dedicated and Spot nodes of a pool that is neither changing nor short of nodes."""
    if pool.allocation_state != "steady":
        return None
    nodes = world.store.nodes(key(pool.id))
    size = (nodes.total(dedicated=True), nodes.total(dedicated=False))
    return size if size == (pool.target_dedicated, pool.target_spot) else None
