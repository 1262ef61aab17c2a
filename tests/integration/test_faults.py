"""Faults that were asked for, as the official client meets them: over a socket, with its own retries."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import httpx
import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from pydantic.alias_generators import to_camel

import batch_emulator
from batch_emulator import Account
from batch_emulator import control_client as control
from batch_emulator.faults import (
    AllocationFault,
    DiskFault,
    Faults,
    NodeFault,
    RequestFault,
    StartTaskFault,
)
from batch_emulator.faults.rules import KINDS
from tests.conformance.conftest import pool_parameters
from tests.integration.faulty_nodes import inject, refusal, start_task, upload, wait_for_states, wait_for_task
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with batch_emulator.serve() as account:
        yield account


@pytest.fixture(scope="module")
def client(account: Account) -> Iterator[BatchClient]:
    credential = AzureNamedKeyCredential(account.name, account.key)
    # Its waits between retries are a tenth of what they would be.
    with BatchClient(account.endpoint, credential, retry_backoff_factor=0.08) as client:
        yield client


@pytest.fixture(autouse=True)
def no_faults_left(account: Account) -> Iterator[None]:
    yield
    control.clear_faults(account)


def test_throttling_is_retried_after_the_time_named(account, client):
    """429 with Retry-After is waited for by the client, and the request then has its own answer."""
    inject(account, requests=[RequestFault(code="TooManyRequests", retry_after_seconds=1, times=1)])
    begun = time.monotonic()
    assert list(client.list_pools()) is not None
    assert time.monotonic() - begun >= 1
    assert control.count_faults(account)["requests"] == [1]


def test_throttling_without_a_time(account, client):
    """429 without Retry-After has the service's code and message, and no such header."""
    inject(account, requests=[RequestFault(code="TooManyRequests")])
    error = refusal(client.get_pool, "p", retry_total=0)
    assert (error.status_code, error.error.code) == (429, "TooManyRequests")
    assert error.message.startswith(
        "(TooManyRequests) Request failed as server encountered too many requests."
    )
    assert "Retry-After" not in error.response.headers


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        (RequestFault(code="ServerBusy"), 503, "ServerBusy"),
        (RequestFault(code="InternalError"), 500, "InternalError"),
        (RequestFault(code="OperationTimedOut", status=504), 504, "OperationTimedOut"),
    ],
)
def test_server_errors(account, client, rule, status, code):
    """A refusal has the error code asked for, with its own status or the one given."""
    inject(account, requests=[rule])
    error = refusal(client.get_pool, "p", retry_total=0)
    assert (error.status_code, error.model.code) == (status, code)


def test_error_of_a_gateway(account, client):
    """A status without a code has no body of the service's."""
    inject(account, requests=[RequestFault(status=502)])
    error = refusal(client.get_pool, "p", retry_total=0)
    assert (error.status_code, error.response.text()) == (502, "")


def test_rule_is_for_its_operations_only(account, client):
    """Operations that a rule does not name are answered as ever."""
    inject(account, requests=[RequestFault(operations=["list_jobs"], code="InternalError")])
    assert list(client.list_pools()) is not None
    assert refusal(lambda: list(client.list_jobs(retry_total=0))).status_code == 500


def test_rate_of_errors(account, client):
    """A rule with a rate strikes about that part of the requests; the client's retries hide it."""
    inject(account, seed=7, requests=[RequestFault(rate=0.5, status=503)])
    for _ in range(20):
        assert refusal(client.get_pool, "absent").status_code in (404, 503)
    assert 10 <= control.count_faults(account)["requests"][0] <= 60


def test_request_without_an_answer_is_not_carried_out(account, client):
    """A connection dropped before the request leaves everything as it was."""
    inject(account, requests=[RequestFault(operations=["create_pool"], drop="before")])
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        client.create_pool(pool_parameters("dropped", target_dedicated_nodes=0), retry_total=0)
    assert refusal(client.get_pool, "dropped").status_code == 404


def test_lost_answer_of_a_request_that_was_carried_out(account, client):
    """A connection dropped after the request: it is done, and doing it again meets what it made."""
    inject(account, requests=[RequestFault(operations=["create_pool"], drop="after", times=1)])
    pool = pool_parameters(f"lost-{uuid.uuid4().hex[:8]}", target_dedicated_nodes=0)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        client.create_pool(pool, retry_total=0)
    assert refusal(client.create_pool, pool).error.code == "PoolExists"
    client.begin_delete_pool(pool.id)


def test_latency(account, client):
    """Delays add up, and the answer is the request's own."""
    slow = RequestFault(operations=["list_pools"], latency_seconds=0.2)
    inject(account, requests=[slow, slow])
    begun = time.monotonic()
    assert list(client.list_pools()) is not None
    assert time.monotonic() - begun >= 0.4


def test_rules_of_the_start(tmp_path):
    """Rules can be settings of `serve`, too."""
    faults = Faults(requests=[RequestFault(code="ServerBusy")])
    with batch_emulator.serve(faults=faults, location=tmp_path) as account:
        credential = AzureNamedKeyCredential(account.name, account.key)
        with BatchClient(account.endpoint, credential, retry_total=0) as client:
            assert refusal(client.get_pool, "p").status_code == 503
        control.clear_faults(account)
        with BatchClient(account.endpoint, credential, retry_total=0) as client:
            assert refusal(client.get_pool, "p").status_code == 404


@pytest.fixture
def make_pool(client: BatchClient) -> Iterator:
    made: list[str] = []

    def make(**changes) -> str:
        made.append(f"faulty-{uuid.uuid4().hex[:8]}")
        client.create_pool(pool_parameters(made[-1], **changes))
        return made[-1]

    yield make
    for name in made:
        client.begin_delete_pool(name)


def test_preemption_requeues_and_refills(account, client, make_pool):
    """A preempted Spot node's task runs again once the node has been replaced, under its old id."""
    pool_id = make_pool(target_dedicated_nodes=0, target_low_priority_nodes=1)
    wait_for_states(client, pool_id, "idle")
    (node,) = client.list_nodes(pool_id)
    job_id = start_task(
        client, pool_id, "/bin/sh -c 'if [ -e ../../../../shared/x ]; then exit 9; fi; sleep 3'"
    )
    wait_for_task(client, job_id, "running")
    assert control.strike_node(account, pool_id, node.id, "preempt") == "preempted"
    task = client.get_task(job_id, "t")
    assert (task.state, task.execution_info.requeue_count) == ("active", 1)
    counts = next(iter(client.list_pool_node_counts(filter=f"poolId eq '{pool_id}'")))
    assert (counts.low_priority.preempted, counts.low_priority.total) == (1, 1)
    task = wait_for_task(client, job_id, "completed")
    assert (task.execution_info.result, task.node_info.node_id) == ("success", node.id)


@pytest.mark.parametrize(("event", "state"), [("lose", "unknown"), ("break", "unusable")])
def test_lost_and_unusable_nodes(account, client, make_pool, event, state):
    """A node that is lost or broken shows so, with its errors, until it recovers."""
    pool_id = make_pool()
    wait_for_states(client, pool_id, "idle")
    (node,) = client.list_nodes(pool_id)
    error = {"code": "Broken", "message": "It broke", "errorDetails": [{"name": "How", "value": "fell"}]}
    assert control.strike_node(account, pool_id, node.id, event, errors=[error]) == state
    (found,) = client.list_nodes(pool_id, filter=f"state eq '{state}'")
    (told,) = found.errors
    assert (told.code, told.error_details[0].value) == ("Broken", "fell")
    control.strike_node(account, pool_id, node.id, "recover")
    wait_for_states(client, pool_id, "idle")
    assert not client.get_node(pool_id, node.id).errors


def test_nodes_preempted_by_rule(account, client, make_pool):
    """Rules strike nodes by themselves after their boots."""
    inject(account, nodes=[NodeFault(event="preempt", after_seconds=0.5, times=2)])
    pool_id = make_pool(target_dedicated_nodes=0, target_low_priority_nodes=2)
    wait_until(lambda: control.count_faults(account)["nodes"] == [2], 30, "two preemptions")
    wait_for_states(client, pool_id, "idle", "idle")


def test_failing_start_tasks(account, client, make_pool):
    """A start task that is to fail does so on as many nodes as asked for."""
    inject(account, start_tasks=[StartTaskFault(exit_code=3, times=1)])
    start = models.BatchStartTask(command_line="/bin/true", wait_for_success=True)
    pool_id = make_pool(target_dedicated_nodes=2, start_task=start)
    wait_for_states(client, pool_id, "idle", "starttaskfailed")
    (node,) = client.list_nodes(pool_id, filter="state eq 'starttaskfailed'")
    assert node.start_task_info.exit_code == 3
    assert node.start_task_info.result == "failure"


def test_failing_allocation(account, client, make_pool):
    """A resize error comes with its code, message and values."""
    inject(account, allocations=[AllocationFault(reason="The server encountered an internal error.")])
    pool_id = make_pool(target_dedicated_nodes=2)
    pool = wait_until(
        lambda: (pool := client.get_pool(pool_id)).allocation_state == "steady" and pool, 30, "steady pool"
    )
    (error,) = pool.resize_errors
    assert (error.code, error.message) == (
        "AllocationFailed",
        "Desired number of dedicated nodes could not be allocated",
    )
    assert error.error_values[0].value == "The server encountered an internal error."
    assert pool.current_dedicated_nodes == 0


def test_full_disk(account, client, make_pool):
    """A task whose node's disk is full fails before its command, and the node becomes unusable."""
    pool_id = make_pool()
    inject(account, disks=[DiskFault(full=True)])
    job_id = start_task(client, pool_id, "/bin/true")
    info = wait_for_task(client, job_id, "completed").execution_info
    assert (info.exit_code, info.failure_info.code) == (None, "DiskFull")
    assert info.failure_info.category.lower() == "servererror"
    (node,) = client.list_nodes(pool_id)
    assert (node.state, node.errors[0].code) == ("unusable", "DiskFull")


def test_slow_disk(account, client, make_pool, storage):
    """Resource files take the time that a disk of that speed takes."""
    pool_id = make_pool()
    wait_for_states(client, pool_id, "idle")
    inject(account, disks=[DiskFault(bytes_per_second=100_000)])
    file = models.ResourceFile(http_url=upload(storage, bytes(100_000)), file_path="f")
    begun = time.monotonic()
    job_id = start_task(client, pool_id, "/bin/sh -c 'test -s f'", resource_files=[file])
    assert wait_for_task(client, job_id, "completed").execution_info.exit_code == 0
    assert time.monotonic() - begun >= 1


def test_control_is_for_this_machine(account):
    """The control API answers to no other host name, as of a page in a browser, and takes only JSON."""
    url = f"{account.endpoint}/_emulator/faults"
    assert httpx.get(url, headers={"Host": "example.com"}).status_code == 403
    assert httpx.put(url, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 403
    assert httpx.put(url, json={"requests": [{"code": "NoSuchCode"}]}).status_code == 400
    assert httpx.get(url).json() == {
        "seed": 0,
        "struck": {to_camel(kind): [] for kind in KINDS},
    }


def test_what_is_read_can_be_put_back(account):
    """PUT takes what GET gives."""
    inject(account, seed=3, nodes=[NodeFault(event="lose", rate=0.5)])
    url = f"{account.endpoint}/_emulator/faults"
    found = httpx.get(url).json()
    assert found["nodes"] == [{"event": "lose", "rate": 0.5}]
    assert httpx.put(url, json=found).json() == found


def test_unknown_node_event(account):
    """An event that nodes do not have, or a node that there is none of, is refused by name."""
    with pytest.raises(httpx.HTTPStatusError, match="PoolNotFound"):
        control.strike_node(account, "absent", "node", "preempt")
    with pytest.raises(httpx.HTTPStatusError, match="preempt, lose"):
        control.strike_node(account, "absent", "node", "explode")
