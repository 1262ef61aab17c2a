"""The operation List Pool Usage Metrics."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.responses import Response

from batch_emulator.api.call import Call
from batch_emulator.api.fields import USAGE
from batch_emulator.api.listing import list_page, read_filter, start_key
from batch_emulator.api.paging import invalid_query
from batch_emulator.resources.model import Wire, key
from batch_emulator.scheduler.usage import INTERVAL, PoolUsage, last_interval
from batch_emulator.ticks import format_ticks, parse_ticks


def list_usage_metrics(call: Call) -> Response:
    """The last half hour that is complete, unless others are asked for; data come two hours late."""
    now = call.engine.now()
    start, end = last_interval(now)
    start = _read_time(call, "startTime", start, now - 2 * 2 * INTERVAL - INTERVAL)
    end = _read_time(call, "endtime", end, now - 2 * 2 * INTERVAL)
    found = _keyed(call.engine.world.usage.between(call.store, start, end, now), start_key(call) or "")
    return list_page(call, "poolusagemetrics", found, _render, read_filter(call, USAGE))


def _read_time(call: Call, name: str, default: int, latest: int) -> int:
    text = call.option(name)
    if text is None:
        return default
    try:
        time = parse_ticks(text)
    except ValueError:
        raise invalid_query(name, text, "The value is not a time") from None
    if time > latest:
        raise invalid_query(name, text, f"The value must not be later than {format_ticks(latest)}")
    return time


def _keyed(found: Iterator[PoolUsage], after: str) -> Iterator[tuple[str, PoolUsage]]:
    for usage in found:
        place = f"{usage.start:020d}/{key(usage.pool_id)}/{usage.vm_size}"
        if place > after:
            yield place, usage


def _render(usage: PoolUsage) -> Wire:
    return {
        "poolId": usage.pool_id,
        "startTime": format_ticks(usage.start),
        "endTime": format_ticks(usage.end),
        "vmSize": usage.vm_size,
        "totalCoreHours": usage.core_hours,
    }


ROUTES = [("GET", "/poolusagemetrics", list_usage_metrics)]
