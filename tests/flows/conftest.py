"""A local Batch service, Azurite and a Prefect server for whole flows."""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.states import Crashed

import batch_emulator
from batch_emulator.server import Account
from flows.fan_out import fan_out
from tasks.cleanup import clean_up_after
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.specs import Cleanup
from tests.flows.attempts import flow_run_with
from tests.flows.repeated_steps import delete_pool
from tests.flows.services import batch, blobs, exists, wait_for_remains
from tests.messages import find_nonsense

run_numbers = itertools.count(1)
OURS = tuple(f"{Path(__file__).parents[2] / name}{os.sep}" for name in ("flows", "tasks"))


@pytest.fixture(scope="session")
def batch_account() -> Iterator[Account]:
    """A local Batch service for the whole session, on whose nodes `python3` is this Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        with batch_emulator.serve(
            port=0,
            node_allocation_seconds=0.05,
            node_boot_seconds=0.1,
            node_removal_seconds=0.05,
            deletion_seconds=0.1,
        ) as account:
            yield account


@pytest.fixture
def use_batch(monkeypatch) -> Callable[[Account], None]:
    """Point the environment at a Batch account."""

    def use(account: Account) -> None:
        monkeypatch.setenv("AZURE_BATCH_ACCOUNT", account.name)
        monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", account.key)
        monkeypatch.setenv("AZURE_BATCH_ENDPOINT", account.endpoint)

    return use


@pytest.fixture
def accounts(batch_account, storage, prefect_server, use_batch, monkeypatch) -> None:
    """The environment of a run on the local services."""
    use_batch(batch_account)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)


@pytest.fixture(autouse=True)
def plain_messages(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Hold each message that a flow logs in a test to plain words, whatever it is about."""
    yield
    records = [one for one in caplog.get_records("call") if one.pathname.startswith(OURS)]
    found = [nonsense for record in records for nonsense in find_nonsense(record.getMessage())]
    assert found == []


@pytest.fixture
def run_key() -> str:
    """A run key of the test's own."""
    return f"test-{next(run_numbers)}"


@pytest.fixture
def kept(accounts, run_key) -> Iterator[str]:
    """A run key whose resources are deleted after the test, whatever its policy kept."""
    yield run_key
    clean_up_after(fan_out, flow_run_with(run_key, Cleanup()), Crashed())
    wait_for_remains(run_key, set())


@pytest.fixture
def names(accounts, run_key) -> Iterator[RunNames]:
    """The names of a run, whose containers and pool are deleted after the test."""
    names = names_of_run(f"cached-{run_key}")
    yield names
    # The step would keep an output that lies there alone.
    for container in filter(lambda one: blobs().get_container_client(one).exists(), names.containers):
        blobs().delete_container(container)
    if exists(lambda: batch().get_pool(names.pool_id)):
        delete_pool(names)
