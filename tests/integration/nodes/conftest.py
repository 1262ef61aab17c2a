"""Folders, containers and runners for the tests of nodes."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient, generate_container_sas

from batch_emulator.node.process import kill_orphans
from batch_emulator.node.process_runner import ProcessRunner
from batch_emulator.node.transfer import Transfers
from deployments.azurite import BlobStorage
from tests.integration.nodes.commands import processes_of


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A task's directory; what of its processes does not end with the test fails it."""
    directory = tmp_path.resolve() / "node" / "task"
    (directory / "wd").mkdir(parents=True)
    yield directory
    deadline = time.monotonic() + 2
    while left := processes_of(directory):
        assert time.monotonic() < deadline, f"{left} were left behind"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def service(storage: BlobStorage) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(storage.connection_string) as service:
        yield service


@pytest.fixture
def container(service: BlobServiceClient) -> Iterator[ContainerClient]:
    """A container of the test's own."""
    with service.create_container(f"t{uuid.uuid4().hex}") as container:
        yield container
        container.delete_container()


@pytest.fixture
async def transfers() -> AsyncIterator[Transfers]:
    transfers = Transfers(retry_delays_seconds=(0.01, 0.01))
    yield transfers
    await transfers.close()


@pytest.fixture
def wd(tmp_path: Path) -> Path:
    """The working directory of a task whose path looks like a pattern."""
    wd = tmp_path / "nodes [a-z]*" / "task" / "wd"
    wd.mkdir(parents=True)
    return wd


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[ProcessRunner]:
    """A runner with the open nodes n1 and n2, of whose processes and threads none may be left at the end.

    Other services may be alive in this process, with threads and children of their own.
    """
    others = set(psutil.Process().children())
    runner = ProcessRunner(
        tmp_path, stop_grace_seconds=0.5, transfers=Transfers(retry_delays_seconds=(0.01,))
    )
    runner.open_node("n1", "pool1")
    runner.open_node("n2", "pool1")
    yield runner
    await runner.close()
    assert kill_orphans(tmp_path) == 0
    own = set(psutil.Process().children()) - others
    assert [child for child in own if child.status() == psutil.STATUS_ZOMBIE] == []
    assert not [thread for thread in threading.enumerate() if str(tmp_path.resolve()) in thread.name]


@pytest.fixture
def task_container_url(storage: BlobStorage) -> str:
    """A new container with a SAS that reads, writes and lists."""
    name = f"t{uuid.uuid4().hex}"
    with ContainerClient.from_connection_string(storage.connection_string, name) as container:
        container.create_container()
        sas = generate_container_sas(
            storage.account_name,
            name,
            account_key=storage.account_key,
            permission="rwl",
            expiry=datetime.now(timezone.utc) + timedelta(hours=1),
        )
        return f"{container.url}?{sas}"
