"""More files than Prefect should show one by one: shards, and calls that don't grow with the files."""

import logging
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from flows.fan_out import fan_out
from tasks.base.listeners import listening
from tasks.errors import TemporaryError
from tasks.spec.file_results import TaskResult
from tasks.spec.specs import PoolSpec
from tasks.waiting import wait_for_tasks
from tasks.watch.downloading import Outputs
from tasks.watch.progress import ARTIFACT_KEY, Counts
from tests.flows.services import wait_for_remains, write_files

COUNT = 400


@pytest.mark.soak
@pytest.mark.slow
def test_many_files_are_few_prefect_tasks_and_few_calls(accounts, tmp_path, caplog):
    """Every file has its output, Prefect sees shards, and waiting lists each task about once."""
    caplog.set_level(logging.INFO, "azure.core.pipeline.policies.http_logging_policy")
    inputs = write_files(tmp_path / "in", {f"{n % 5}/{n:03d}.txt": f"text {n}" for n in range(COUNT)})
    pool = PoolSpec(dedicated_nodes=2, task_slots_per_node=4)
    state = fan_out(inputs, None, "cat {input}", tmp_path / "out", pool, return_state=True)
    result = state.result()
    assert len(result.outputs) == COUNT
    for name, path in result.outputs.items():
        assert Path(path).read_text() == f"text {int(Path(name).stem)}"
    names = task_run_names(state.state_details.flow_run_id)
    assert "upload files 1 to 20 of 400" in names
    assert len(names) < 60

    requests = re.findall(r"Request URL: '([^']+)'\nRequest method: '(\w+)'", caplog.text)
    # Those of the wait alone: the job is new, so that its tasks are those that the run has added.
    listings = [url for url, method in requests if method == "GET" and re.search(r"/jobs/[^/]+/tasks\?", url)]
    polls = [url for url, _ in requests if "/taskcounts?" in url]
    assert all("filter=" in url and "select=" in url for url in listings)
    assert len(listings) <= len(polls) + 1
    # A request for each 100, and on a slow machine for what has waited.
    added = [url for url, method in requests if method == "POST" and "addtaskcollection" in url]
    assert COUNT / 100 <= len(added) <= COUNT / 20
    wait_for_remains(result.run_key, set())


@pytest.mark.slow
def test_what_a_first_run_knows_it_does_not_ask(accounts, tmp_path, caplog):
    """Nobody can have made a job, a pool or tasks for it before; and the tasks are counted once a poll."""
    caplog.set_level(logging.INFO, "azure.core.pipeline.policies.http_logging_policy")
    inputs = write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})
    polls: list[object] = []
    with listening(lambda news: polls.append(news) if isinstance(news, Counts) else None):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", PoolSpec(task_slots_per_node=4))
    found = re.findall(r"Request URL: '([^']+)'\nRequest method: '(\w+)'", caplog.text)
    asked = [f"{method} {re.sub('fan-out-[0-9a-f-]+', 'ID', urlsplit(url).path)}" for url, method in found]
    made = [one for one in asked if re.search(r" /(jobs|pools)(/ID|/ID/tasks)?$", one)]
    begun = ["POST /jobs", "GET /jobs/ID", "POST /pools", "GET /pools/ID", "PATCH /jobs/ID"]
    assert made[: len(begun)] == begun
    assert asked.count("GET /jobs/ID/taskcounts") == len(polls)


@pytest.mark.slow
def test_a_wait_that_is_tried_again_goes_on_telling_in_one_place(accounts, tmp_path, monkeypatch):
    """How far a run is, and how long it has stood still, are the run's and not those of one try."""
    begin, told, failed = Outputs.begin, list[object](), list[object]()

    def fail_once(outputs: Outputs, completed: list[TaskResult]) -> None:
        if told and not failed:
            failed.append(completed)
            raise TemporaryError("a file changes")
        begin(outputs, completed)

    monkeypatch.setattr(Outputs, "begin", fail_once)
    monkeypatch.setattr(wait_for_tasks, "retry_delay_seconds", [0.1] * 4)
    inputs = write_files(tmp_path / "in", {"one.txt": "1"})
    with listening(lambda news: told.append(news) if isinstance(news, Counts) else None):
        state = fan_out(inputs, None, "cat {input}", tmp_path / "out", return_state=True)
    assert failed
    assert [*state.result().outputs] == ["one.txt"]
    with get_client(sync_client=True) as client:
        body = {"artifacts": {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}}
        shown = client.request("POST", "/artifacts/filter", json=body).json()
    assert [one["key"] for one in shown].count(ARTIFACT_KEY) == 1


def task_run_names(flow_run_id) -> list[str]:
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id={"any_": [flow_run_id]}), limit=200)
    return [task_run.name for task_run in found]


@pytest.mark.slow
def test_collections_that_are_too_large_are_halved(accounts, tmp_path):
    """Names so long that 100 tasks exceed the service's limit of a request are submitted all the same."""
    folder = "/".join(["日本語" * 25] * 4)
    inputs = write_files(tmp_path / "in", {f"{folder}/{n}.txt": f"text {n}" for n in range(60)})
    result = fan_out(inputs, None, "cat {input}", tmp_path / "out", PoolSpec(task_slots_per_node=4))
    assert len(result.outputs) == 60
    assert Path(result.outputs[f"{folder}/7.txt"]).read_text() == "text 7"
