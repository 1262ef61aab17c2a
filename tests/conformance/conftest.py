"""The account that the suite runs on: the local service, or a real one where its variables are set.

A real account is used if AZURE_BATCH_CONFORMANCE_ENDPOINT, _ACCOUNT and _KEY are set. Its tests then make
pools of one small node, and take minutes where the local service takes seconds.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceNotFoundError

import batch_emulator
from tests.waiting import wait_until

_PREFIX = "AZURE_BATCH_CONFORMANCE_"


@dataclass(frozen=True)
class Target:
    """Where the suite runs, and how long a node may take there."""

    name: str
    key: str
    endpoint: str
    node_seconds: float


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    if endpoint := os.environ.get(f"{_PREFIX}ENDPOINT"):
        account, key = os.environ[f"{_PREFIX}ACCOUNT"], os.environ[f"{_PREFIX}KEY"]
        yield Target(account, key, endpoint, node_seconds=900)
        return
    with batch_emulator.serve() as account:
        yield Target(account.name, account.key, account.endpoint, node_seconds=30)


@pytest.fixture(scope="session")
def client(target: Target) -> Iterator[BatchClient]:
    with BatchClient(target.endpoint, AzureNamedKeyCredential(target.name, target.key)) as client:
        yield client


def pool_parameters(pool_id: str, **changes) -> models.BatchPoolCreateOptions:
    """A pool of one small Ubuntu node, unless changed."""
    defaults = {
        "id": pool_id,
        "vm_size": "standard_d2s_v3",
        "target_dedicated_nodes": 1,
        "virtual_machine_configuration": models.VirtualMachineConfiguration(
            image_reference=models.BatchVmImageReference(
                publisher="canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
            ),
            node_agent_sku_id="batch.node.ubuntu 24.04",
        ),
    }
    return models.BatchPoolCreateOptions(**defaults | changes)


@pytest.fixture(scope="session")
def pool_id(client: BatchClient, target: Target) -> Iterator[str]:
    """A pool with one node that is idle to begin with, and two task slots."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    client.create_pool(pool_parameters(name, task_slots_per_node=2))
    wait_until(lambda: states(client, name) == ["idle"], target.node_seconds, "an idle node")
    yield name
    client.begin_delete_pool(name)


def states(client: BatchClient, pool_id: str) -> list[str]:
    return [node.state for node in client.list_nodes(pool_id)]


@pytest.fixture
def new_pool(client: BatchClient) -> Iterator[Callable[..., str]]:
    """Makes pools without nodes, and deletes them at the end."""
    made: list[str] = []

    def make(**changes) -> str:
        made.append(f"pool-{uuid.uuid4().hex[:8]}")
        client.create_pool(pool_parameters(made[-1], **{"target_dedicated_nodes": 0} | changes))
        return made[-1]

    yield make
    for name in made:
        try:
            client.begin_delete_pool(name)
        except ResourceNotFoundError:
            pass


@pytest.fixture
def job_id(client: BatchClient, pool_id: str) -> Iterator[str]:
    """A job on the shared pool."""
    name = f"job-{uuid.uuid4().hex[:8]}"
    client.create_job(models.BatchJobCreateOptions(id=name, pool_info=models.BatchPoolInfo(pool_id=pool_id)))
    yield name
    try:
        client.begin_delete_job(name)
    except ResourceNotFoundError:
        pass


@pytest.fixture
def new_job(client: BatchClient, pool_id: str) -> Iterator[Callable[..., str]]:
    """Makes jobs, on the shared pool unless they name another, and deletes them at the end."""
    made: list[str] = []

    def make(**changes) -> str:
        made.append(f"job-{uuid.uuid4().hex[:8]}")
        defaults = {"id": made[-1], "pool_info": models.BatchPoolInfo(pool_id=pool_id)}
        client.create_job(models.BatchJobCreateOptions(**defaults | changes))
        return made[-1]

    yield make
    for name in made:
        try:
            client.begin_delete_job(name)
        except ResourceNotFoundError:
            pass


@pytest.fixture
def run(client: BatchClient, job_id: str) -> Callable[..., models.BatchTask]:
    """Runs a command line as a Batch task to its end."""

    def run_task(command_line: str, timeout: float = 60, **changes) -> models.BatchTask:
        name = f"task-{uuid.uuid4().hex[:8]}"
        client.create_task(
            job_id, models.BatchTaskCreateOptions(id=name, command_line=command_line, **changes)
        )
        wait_until(lambda: client.get_task(job_id, name).state == "completed", timeout, f"the end of {name}")
        return client.get_task(job_id, name)

    return run_task
