"""More files than Prefect should show one by one: shards, and calls that don't grow with the files."""

import logging
import re
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter

from flows.fan_out import fan_out
from tasks.spec.specs import PoolSpec
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
