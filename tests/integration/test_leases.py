"""Leases of pools, kept by the local Batch service through the official client.

The service's time runs faster than ours in some of them, so that its minutes pass in seconds.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

import batch_emulator
from batch_emulator import control_client
from batch_emulator.faults import Faults, NodeFault, RequestFault
from tasks.bodies.pools import build_pool
from tasks.images import Image
from tasks.spec.naming import names_of_run
from tasks.spec.ownership import Ownership, read_batch_ownership
from tasks.spec.specs import PoolSpec
from tasks.watch.lease_formula import Lease, build_formula, build_lease, call_nodes, read_formula
from tasks.watch.leases import renew_lease
from tasks.watch.pool_watch import PoolWatch, begin_no_more, check_pool
from tests.waiting import wait_until

IMAGE = Image("canonical", "ubuntu-24_04-lts", "server", "latest", "batch.node.ubuntu 24.04")
FAST = 300.0
SECONDS = 30


@contextmanager
def client_of(**settings) -> Iterator[BatchClient]:
    with (
        batch_emulator.serve(port=0, **settings) as account,
        BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key)) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[BatchClient]:
    with client_of() as client:
        yield client


def in_minutes(minutes: float) -> datetime:
    return (datetime.now(timezone.utc) + timedelta(minutes=minutes)).replace(microsecond=0)


def new_pool(client: BatchClient, ends_at: datetime, nodes: int | None = None, **spec) -> str:
    """A pool as a run makes it, which has called so many nodes; None: all."""
    names = names_of_run(f"run-{uuid.uuid4().hex[:8]}")
    owned = Ownership(names.key, ends_at, "always")
    lease = build_lease(PoolSpec(**spec), ends_at)
    begun = call_nodes(lease, lease.most_nodes if nodes is None else nodes, datetime.now(timezone.utc))
    client.create_pool(build_pool(names, PoolSpec(**spec), IMAGE, None, owned, begun))
    return names.pool_id


def node_count(client: BatchClient, pool_id: str) -> int:
    return len(list(client.list_nodes(pool_id)))


def wait_for_nodes(client: BatchClient, pool_id: str, count: int) -> None:
    wait_until(lambda: node_count(client, pool_id) == count, SECONDS, f"pool of {count} nodes")


def wait_until_steady(client: BatchClient, pool_id: str) -> None:
    wait_until(lambda: client.get_pool(pool_id).allocation_state == "steady", SECONDS, "steady pool")


def lease_of(client: BatchClient, pool_id: str) -> Lease:
    return read_formula(client.get_pool(pool_id).auto_scale_formula)


def add_tasks(client: BatchClient, pool_id: str, *command_lines: str) -> str:
    job_id = f"job-{uuid.uuid4().hex[:8]}"
    client.create_job(
        models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool_id))
    )
    for number, command_line in enumerate(command_lines):
        client.create_task(job_id, models.BatchTaskCreateOptions(id=f"t{number}", command_line=command_line))
    return job_id


def evaluated(client: BatchClient, pool_id: str, lease: Lease) -> str:
    run = client.evaluate_pool_auto_scale(
        pool_id, models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=build_formula(lease))
    )
    assert run.error is None
    return run.results


def test_the_service_evaluates_a_lease(client):
    """The service takes each formula, which gives the nodes that were called until the end of the lease."""
    pool_id = new_pool(client, in_minutes(60), dedicated_nodes=2)
    wait_for_nodes(client, pool_id, 2)
    for order, size in (("dedicated_first", (4, 2)), ("spot_first", (3, 3)), ("spot_or_dedicated", (0, 3))):
        lasting = call_nodes(Lease(4, 3, in_minutes(1), 15, node_order=order), 6, in_minutes(0))
        wanted = f"$TargetDedicatedNodes={size[0]};$TargetLowPriorityNodes={size[1]};"
        assert evaluated(client, pool_id, lasting).startswith(
            f"{wanted}$NodeDeallocationOption=taskcompletion;"
        )
        over = replace(lasting, ends_at=in_minutes(-1))
        assert evaluated(client, pool_id, over).startswith(
            "$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;"
        )


def test_a_pool_follows_the_queue_by_its_formula_alone(tmp_path):
    """Nobody is there: it grows to its limit while tasks wait, gives back what is idle beside a straggler,
    which goes on, and has no node when that has ended."""
    with client_of(speed=FAST) as client:
        pool_id = new_pool(client, in_minutes(60 * 24), nodes=0, dedicated_nodes=3, task_slots_per_node=2)
        assert node_count(client, pool_id) == 0
        hold, straggle = tmp_path / "hold", tmp_path / "straggle"
        hold.touch()
        straggle.touch()
        until_gone = "sh -c 'while [ -e {} ]; do sleep 0.05; done'"
        job_id = add_tasks(client, pool_id, until_gone.format(straggle), *[until_gone.format(hold)] * 7)
        wait_for_nodes(client, pool_id, 3)
        wait_until(lambda: client.get_job_task_counts(job_id).task_counts.running == 6, SECONDS, "6 tasks")
        hold.unlink()
        wait_for_nodes(client, pool_id, 1)
        straggler = client.get_task(job_id, "t0")
        assert (straggler.state, straggler.execution_info.requeue_count) == ("running", 0)
        straggle.unlink()
        wait_for_nodes(client, pool_id, 0)
        assert client.get_job_task_counts(job_id).task_counts.succeeded == 8


def test_two_jobs_on_one_pool_have_the_nodes_that_both_need(tmp_path):
    """The formula counts the tasks of all; as the one job ends, what only that needed is given back."""
    with client_of(speed=FAST) as client:
        pool_id = new_pool(client, in_minutes(60 * 24), nodes=0, dedicated_nodes=4)
        holds = [tmp_path / "first", tmp_path / "second"]
        for hold in holds:
            hold.touch()
        commands = [f"sh -c 'while [ -e {hold} ]; do sleep 0.05; done'" for hold in holds]
        first_id = add_tasks(client, pool_id, commands[0])
        add_tasks(client, pool_id, commands[1], commands[1])
        wait_for_nodes(client, pool_id, 3)
        holds[1].unlink()
        wait_for_nodes(client, pool_id, 1)
        assert client.get_task(first_id, "t0").execution_info.requeue_count == 0
        holds[0].unlink()
        wait_for_nodes(client, pool_id, 0)


def test_dedicated_nodes_come_where_no_spot_nodes_do():
    """By the formula alone: Spot nodes are not to be had, tasks wait, and are run by dedicated nodes."""
    with client_of(speed=FAST, spot_core_quota=0) as client:
        spec = {"dedicated_nodes": 1, "low_priority_nodes": 2, "node_order": "spot_or_dedicated"}
        pool_id = new_pool(client, in_minutes(60 * 24), **spec)
        job_id = add_tasks(client, pool_id, "/bin/true", "/bin/true")

        def is_done() -> bool:
            return client.get_job_task_counts(job_id).task_counts.succeeded == 2

        wait_until(is_done, SECONDS, "tasks that ran")
        assert all(client.get_task(job_id, id).node_info.node_id.endswith("_d") for id in ("t0", "t1"))


def test_an_idle_pool_gives_its_nodes_back_and_gets_them_again():
    """Without tasks the nodes go after the idle time; with the next task they come back."""
    with client_of(speed=FAST) as client:
        pool_id = new_pool(client, in_minutes(60 * 24), idle_minutes=5)
        wait_for_nodes(client, pool_id, 1)
        wait_for_nodes(client, pool_id, 0)
        job_id = add_tasks(client, pool_id, "/bin/true")
        wait_until(lambda: client.get_task(job_id, "t0").state == "completed", SECONDS, "run task")
        wait_for_nodes(client, pool_id, 0)


def test_after_the_end_of_a_lease_no_task_begins():
    """What runs then may end, and the node with it; what waits, waits for whoever renews it."""
    with client_of(speed=FAST) as client:
        pool_id = new_pool(client, in_minutes(20), idle_minutes=5)
        job_id = add_tasks(client, pool_id, "sleep 600", "/bin/true")
        wait_until(lambda: client.get_task(job_id, "t0").state == "running", SECONDS, "running task")
        wait_until(lambda: client.get_pool(pool_id).target_dedicated_nodes == 0, SECONDS, "end of the lease")
        assert client.get_task(job_id, "t0").state == "running"
        client.terminate_task(job_id, "t0")
        wait_for_nodes(client, pool_id, 0)
        assert client.get_task(job_id, "t1").state == "active"
        client.begin_delete_job(job_id, polling_interval=1).wait()


def test_at_its_cost_limit_a_run_gives_back_the_nodes_that_run_nothing():
    """A pool of its own goes as its tasks end, however many wait; one that others need stays theirs."""
    with client_of(speed=FAST) as client:
        pool_id = new_pool(client, in_minutes(60 * 24), dedicated_nodes=3)
        wait_for_nodes(client, pool_id, 3)
        job_id = add_tasks(client, pool_id, "sleep 600")
        wait_until(
            lambda: client.get_job_task_counts(job_id).task_counts.running == 1, SECONDS, "running task"
        )
        watch = PoolWatch(pool_id, lease_of(client, pool_id), None, in_minutes(60), job_id=job_id)
        begin_no_more(watch)
        other_id = add_tasks(client, pool_id, "/bin/true", "sleep 600")
        check_pool(client, watch, 0.0)
        assert lease_of(client, pool_id).ends_at > in_minutes(60)
        client.begin_delete_job(other_id, polling_interval=1).wait()
        begin_no_more(watch)
        seconds = itertools.count(0, 60)

        def is_left_alone() -> bool:
            check_pool(client, watch, float(next(seconds)), lambda: 50)
            return node_count(client, pool_id) == 1

        wait_until(is_left_alone, SECONDS, "pool with the node that works")
        assert client.get_task(job_id, "t0").state == "running"
        client.terminate_task(job_id, "t0")
        wait_for_nodes(client, pool_id, 0)


def test_a_second_run_renews_the_lease(client):
    """A run that comes to a pool adds its nodes and its time, for all to see, and gets the nodes at once."""
    ends_at = in_minutes(60)
    pool_id = new_pool(client, ends_at, dedicated_nodes=2, idle_minutes=60)
    wait_for_nodes(client, pool_id, 2)
    wait_until_steady(client, pool_id)
    first_interval = client.get_pool(pool_id).auto_scale_evaluation_interval
    wanted = call_nodes(Lease(1, 1, in_minutes(120), 15), 3, in_minutes(0))
    wanted = replace(wanted, low_priority_nodes=1, called_nodes=3)
    assert renew_lease(client, pool_id, wanted) == "renewed"
    assert lease_of(client, pool_id) == replace(wanted, dedicated_nodes=2, idle_minutes=60)
    # Only a new interval makes the service evaluate at once.
    assert client.get_pool(pool_id).auto_scale_evaluation_interval != first_interval
    assert read_batch_ownership(client.get_pool(pool_id).metadata).expires_at == wanted.ends_at
    wait_for_nodes(client, pool_id, 3)
    assert renew_lease(client, pool_id, Lease(1, 1, ends_at, 15)) == "lasts"


def test_a_pool_that_is_being_resized_is_renewed_later(client):
    """A change that the service refuses for now is no error, and leaves the lease as it was."""
    with client_of(node_allocation_seconds=600) as client:
        ends_at = in_minutes(60)
        pool_id = new_pool(client, ends_at)
        assert renew_lease(client, pool_id, Lease(1, 0, in_minutes(90), 15)) == "later"
        assert lease_of(client, pool_id).ends_at == ends_at


def test_a_lease_is_not_renewed_twice_in_a_moment(client):
    """The service's limit of one change in thirty seconds is kept without an error."""
    pool_id = new_pool(client, in_minutes(60))
    wait_until_steady(client, pool_id)
    assert renew_lease(client, pool_id, Lease(1, 0, in_minutes(90), 15)) == "renewed"
    wait_until_steady(client, pool_id)
    assert renew_lease(client, pool_id, Lease(1, 0, in_minutes(99), 15)) == "later"


def test_a_pool_of_others_is_left_alone(client):
    """A pool with a formula or a size that isn't ours gets no lease."""
    pool_id = new_pool(client, in_minutes(60))
    wait_until_steady(client, pool_id)
    theirs = "$TargetDedicatedNodes = 1;"
    client.enable_pool_auto_scale(pool_id, models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=theirs))
    assert renew_lease(client, pool_id, Lease(5, 0, in_minutes(90), 15)) == "not ours"
    assert client.get_pool(pool_id).auto_scale_formula == theirs


def test_nodes_that_are_lost_are_told_of_until_that_has_come_to_somebody():
    """A report that could not be made, as nodes could not be listed, is made at the next look, and once."""
    broken = Faults(nodes=(NodeFault(event="break", times=1),))
    with (
        batch_emulator.serve(port=0, faults=broken) as account,
        BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key)) as client,
    ):
        pool_id = new_pool(client, in_minutes(60), dedicated_nodes=2)
        wait_until(lambda: count_unusable(client, pool_id) == 1, SECONDS, "unusable node")
        unlisted = RequestFault(operations=("list_nodes",), status=400, times=1)
        control_client.put_faults(account, Faults(requests=(unlisted,)))
        watch = PoolWatch(pool_id, None, None, in_minutes(60))
        told = [any("is unusable" in line for line in check_pool(client, watch, 0.0)[1]) for _ in range(3)]
        assert told == [False, True, False]


def count_unusable(client: BatchClient, pool_id: str) -> int | None:
    counts = next(iter(client.list_pool_node_counts(filter=f"poolId eq '{pool_id}'")))
    return counts.dedicated and counts.dedicated.unusable
