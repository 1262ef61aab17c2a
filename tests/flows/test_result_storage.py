"""Prefect's results in a blob container, as flows of any kind can have them."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect import flow, task
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore

from deployments.local.settings import REPOSITORY
from tasks.azure.blocks import AzureStorageAccount
from tasks.reuse.output_records import read_records, write_records
from tasks.reuse.record_lines import OutputRecord
from tasks.reuse.result_storage import AzureBlobResults


@pytest.fixture
def results(storage, prefect_server, run_key) -> AzureBlobResults:
    """A saved block of a container that isn't there yet."""
    account = AzureStorageAccount(connection_string=storage.connection_string)
    block = AzureBlobResults(account=account, container=f"results-{run_key}")
    block.save(run_key, _sync=True)
    return AzureBlobResults.load(run_key, _sync=True)


def blobs(results: AzureBlobResults) -> list[str]:
    container = results.account.get_client().get_container_client(results.container)
    return [blob.name for blob in container.list_blobs()]


def test_a_flow_keeps_and_reads_its_results_there(results):
    """The result of a task is a blob, from which the second call of that task is answered."""
    calls = []

    @task(cache_key_fn=lambda _context, parameters: f"square-of-{parameters['number']}")
    def square(number: int) -> int:
        calls.append(number)
        return number**2

    @flow(result_storage=results, persist_result=True)
    def squares() -> list[int]:
        return [square(3), square(3)]

    assert squares() == [9, 9]
    assert calls == [3]
    assert "square-of-3" in blobs(results)


async def test_an_asynchronous_flow_does_too(results):
    """The same by Prefect's asynchronous engine."""

    @flow(result_storage=results, persist_result=True)
    async def nine() -> int:
        return 9

    state = await nine(return_state=True)
    assert await state.result() == 9
    assert len(blobs(results)) == 1


def test_what_is_not_there_is_told(results):
    """Reading what nobody wrote raises ValueError, which Prefect takes for "not cached"."""
    with pytest.raises(ValueError, match="no blob absent"):
        results.read_path("absent")


@pytest.mark.soak
def test_a_process_of_the_flows_knows_it_by_the_variable(results, run_key):
    """Where the variable names the block, the flows' processes keep results there without further ado."""
    program = (
        "import flows.fan_out\n"
        "from prefect.results import get_default_result_storage\n"
        "print(get_default_result_storage(_sync=True).container)\n"
    )
    variables = {**os.environ, "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK": f"azure-blob-results/{run_key}"}
    argv = [sys.executable, "-c", program]
    ended = subprocess.run(argv, env=variables, cwd=REPOSITORY, capture_output=True, text=True)
    assert ended.stdout.strip() == results.container, ended.stderr


class Away(LocalFileSystem):
    """A folder of results that for a while nobody can read."""

    _block_type_name = "Away"
    _block_type_slug = "away"
    is_away: bool = False

    def read_path(self, path: str, _sync: bool = True) -> bytes:
        if self.is_away:
            raise ConnectionError("the storage is away")
        return super().read_path(path, _sync=_sync)


def test_what_is_remembered_outlives_a_storage_that_is_away(tmp_path, monkeypatch, caplog):
    """What a run can't read it doesn't replace by what it has made itself, and says so."""
    storage = Away(basepath=str(tmp_path))
    store = ResultStore(result_storage=storage)
    monkeypatch.setattr("tasks.reuse.output_records.get_result_store", lambda: store)
    write_records(tmp_path, [("one", OutputRecord("1", "a"))])
    storage.is_away = True
    write_records(tmp_path, [("two", OutputRecord("2", "b"))])
    assert read_records(tmp_path) == {}
    assert "can't be remembered: the storage is away" in caplog.text
    storage.is_away = False
    write_records(tmp_path, [("three", OutputRecord("3", "c"))])
    assert read_records(tmp_path).keys() == {"one", "three"}


def test_two_runs_that_remember_at_once_forget_nothing_of_each_other(tmp_path, monkeypatch):
    """One that reads while another is about to write waits for that."""
    store = ResultStore(result_storage=Away(basepath=str(tmp_path)))
    monkeypatch.setattr("tasks.reuse.output_records.get_result_store", lambda: store)
    made = [[(f"{n}", OutputRecord(f"{n}", "a"))] for n in range(20)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: write_records(tmp_path, one), made))
    assert read_records(tmp_path).keys() == {f"{n}" for n in range(20)}
