"""Operations on pools."""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.answers import changed, created, element, json_answer, plain
from batch_emulator.api.auto_pools import check_pool
from batch_emulator.api.bodies.accounts import check_system
from batch_emulator.api.bodies.pools import (
    AutoScaleEnable,
    AutoScaleEvaluate,
    NodeRemove,
    PoolAdd,
    PoolPatch,
    PoolReplace,
    PoolResize,
    fill_accounts,
    fill_certificates,
)
from batch_emulator.api.call import Call, read_body
from batch_emulator.api.fields import NODE_COUNTS, POOLS
from batch_emulator.api.listing import behind, list_page, read_filter, start_key
from batch_emulator.api.versions import FIRST_WITHOUT_RETIRED
from batch_emulator.api.views.pools import render_node_counts, render_pool
from batch_emulator.scheduler import autoscaling, pools

#: As many pools are counted in one page of List Pool Node Counts.
_MOST_NODE_COUNTS = 10


def add_pool(call: Call) -> Response:
    spec = read_body(call, PoolAdd, "pools").to_wire()
    check_pool(call, spec)
    if call.version >= FIRST_WITHOUT_RETIRED:
        pools.refuse_retired(spec)
    pool = call.do(pools.add_pool, spec)
    return created(call, pool, f"{call.url}/{pool.id}")


def list_pools(call: Call) -> Response:
    candidates = behind(call.store.pools, start_key(call))
    return list_page(
        call,
        "pools",
        candidates,
        lambda p: render_pool(p, call.store, call.base_url, call.version),
        read_filter(call, POOLS),
    )


def get_pool(call: Call) -> Response:
    pool = _pool(call)
    return element(call, "pools", pool, render_pool(pool, call.store, call.base_url, call.version))


def _pool(call: Call):
    return call.engine.world.pool(call.parameters["pool"])


def delete_pool(call: Call) -> Response:
    call.check(_pool(call))
    call.do(pools.delete_pool, call.parameters["pool"])
    return plain(202)


def change_pool(call: Call) -> Response:
    body = read_body(call, PoolPatch, "patched pools").to_wire()
    check_pool(call, body)
    if call.version >= FIRST_WITHOUT_RETIRED:
        pools.refuse_retired(body)
    pool = _pool(call)
    body = fill_certificates(pool.spec | body, fill_accounts(pool.spec | body, body))
    check_system(pool.spec | body)
    call.check(pool)
    return changed(call, call.do(pools.change_pool, call.parameters["pool"], body))


def replace_pool(call: Call) -> Response:
    body = read_body(call, PoolReplace, "patched pools").to_wire()
    body = fill_certificates(_pool(call).spec, body)
    return changed(call, call.do(pools.replace_pool_properties, call.parameters["pool"], body), 204)


def resize_pool(call: Call) -> Response:
    body = read_body(call, PoolResize).to_wire()
    call.check(_pool(call))
    return changed(call, call.do(pools.resize_pool, call.parameters["pool"], body), 202)


def stop_resize(call: Call) -> Response:
    call.check(_pool(call))
    return changed(call, call.do(pools.stop_resize, call.parameters["pool"]), 202)


def remove_nodes(call: Call) -> Response:
    body = read_body(call, NodeRemove).to_wire()
    call.check(_pool(call))
    return changed(call, call.do(pools.remove_nodes, call.parameters["pool"], body), 202)


def enable_auto_scale(call: Call) -> Response:
    body = read_body(call, AutoScaleEnable).to_wire()
    call.check(_pool(call))
    return changed(call, call.do(autoscaling.enable, call.parameters["pool"], body))


def disable_auto_scale(call: Call) -> Response:
    return changed(call, call.do(autoscaling.disable, call.parameters["pool"]))


def evaluate_auto_scale(call: Call) -> Response:
    body = read_body(call, AutoScaleEvaluate).to_wire()
    run = call.do(autoscaling.evaluate_formula, call.parameters["pool"], body["autoScaleFormula"])
    metadata = "Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun"
    return json_answer(call, metadata, run, headers={"DataServiceId": call.url})


def list_node_counts(call: Call) -> Response:
    candidates = behind(call.store.pools, start_key(call))
    return list_page(
        call,
        "poolnodecounts",
        candidates,
        lambda pool: render_node_counts(pool, call.store),
        read_filter(call, NODE_COUNTS),
        longest=_MOST_NODE_COUNTS,
    )


ROUTES = [
    ("POST", "/pools", add_pool),
    ("GET", "/pools", list_pools),
    ("GET", "/pools/{pool}", get_pool),
    ("HEAD", "/pools/{pool}", get_pool),
    ("DELETE", "/pools/{pool}", delete_pool),
    ("PATCH", "/pools/{pool}", change_pool),
    ("POST", "/pools/{pool}/updateproperties", replace_pool),
    ("POST", "/pools/{pool}/resize", resize_pool),
    ("POST", "/pools/{pool}/stopresize", stop_resize),
    ("POST", "/pools/{pool}/removenodes", remove_nodes),
    ("POST", "/pools/{pool}/enableautoscale", enable_auto_scale),
    ("POST", "/pools/{pool}/disableautoscale", disable_auto_scale),
    ("POST", "/pools/{pool}/evaluateautoscale", evaluate_auto_scale),
    ("GET", "/nodecounts", list_node_counts),
]
