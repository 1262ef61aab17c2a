"""A pool of the pure core that sizes itself."""

from __future__ import annotations

from batch_emulator.scheduler import autoscaling, pools
from tests.unit.emulator.driver import Driver

ONE_A_TASK = "$TargetDedicatedNodes = min(5, $PendingTasks.GetSample(1));"


def add_scaling_pool(driver: Driver, formula: str, **spec) -> None:
    spec = {"autoScaleEvaluationInterval": "PT5M", "vmSize": "standard_d2s_v3"} | spec
    driver.do(pools.add_pool, {"id": "pool", "enableAutoScale": True, "autoScaleFormula": formula, **spec})


def size(driver: Driver) -> tuple[int, int]:
    of_pool = driver.world.store.nodes("pool")
    return of_pool.total(dedicated=True), of_pool.total(dedicated=False)


def enable(driver: Driver, **request):
    return driver.do(autoscaling.enable, "pool", request)
