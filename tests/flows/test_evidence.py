"""What failed files printed outlives the clean-up, and the dashboard shows them as failed."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from flows.fan_out import fan_out
from tasks.errors import FilesFailedError
from tasks.spec.inputs import find_inputs
from tests.flows.services import wait_for_remains, write_files
from tests.waiting import wait_until

SCRIPT = """
echo "out of $1"; echo "err of $1" >&2
case "$1" in
  *bad*) exit 3;;
  *silent*) exit 0;;
esac
cat "$1" > "$2"
"""


@pytest.fixture
def run(accounts, tmp_path, run_key):
    """Run a program that fails for one file and writes no output for another; the error, and the run's id."""
    write_files(tmp_path / "in", {"good.txt": "a", "sub/bad file.txt": "b", "silent.txt": "c"})
    script = tmp_path / "app.sh"
    script.write_text(SCRIPT)

    def run_flow(**options) -> tuple[FilesFailedError, UUID]:
        command, folder = "sh {application} {input} {output}", str(tmp_path / "out")
        run = (str(tmp_path / "in"), str(script), command, folder)
        state = fan_out(*run, run_key=run_key, return_state=True, **options)
        return state.result(raise_on_failure=False), state.state_details.flow_run_id

    return run_flow


def read_logs(tmp_path: Path, run_key: str) -> dict[str, str]:
    folder = tmp_path / "out" / ".logs" / run_key
    return {
        str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.txt") if path.is_file()
    }


def wait_for_red(flow_run_id: UUID, count: int) -> dict[str, str]:
    """The messages of the failed task runs of a flow run, by name; the server hears of them by events."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))

    def find() -> dict[str, str]:
        with get_client(sync_client=True) as client:
            found = client.read_task_runs(flow_run_filter=chosen)
        red = {one.name: one.state.message or "" for one in found if one.state and one.state.is_failed()}
        return red if len(red) >= count else {}

    return wait_until(find, 60, f"{count} failed task runs")


def test_logs_of_failed_files_are_kept_and_each_is_red(run, tmp_path, run_key):
    """Both streams of both failed files are on disk when all else is gone; their task runs have failed."""
    error, flow_run_id = run()
    wait_for_remains(run_key, set())
    assert read_logs(tmp_path, run_key) == {
        f"{name}/{log}.txt": f"{log[3:]} of inputs/{name}\n"
        for name in ("sub/bad file.txt", "silent.txt")
        for log in ("stdout", "stderr")
    }
    red = wait_for_red(flow_run_id, 2)
    assert set(red) == {"failed sub/bad file.txt", "failed silent.txt"}
    assert red["failed sub/bad file.txt"].startswith("exit code 3")
    assert "wrote no output" in red["failed silent.txt"]
    assert {file.name: file.stderr for file in error.result.failures} == {
        name: f"err of inputs/{name}" for name in ("sub/bad file.txt", "silent.txt")
    }
    # They are no inputs of a run over that folder.
    found = find_inputs(str(tmp_path / "out"), "{name}.n")
    assert [file.name for file in found] == ["good_OUTPUT.txt"]


def test_a_shard_with_failed_files_is_red_and_has_their_names(run, tmp_path, run_key, monkeypatch):
    """Where files aren't shown one by one, a task run for all that failed has failed, with their names."""
    monkeypatch.setattr("tasks.sharding.FILES_EACH_VISIBLE", 1)
    _, flow_run_id = run(keep_logs="all")
    logs = read_logs(tmp_path, run_key)
    assert len(logs) == 6
    assert logs["good.txt/stdout.txt"] == "out of inputs/good.txt\n"
    ((name, message),) = wait_for_red(flow_run_id, 1).items()
    assert name.startswith("failed shard")
    assert "sub/bad file.txt: exit code 3" in message
    assert "silent.txt: exit code 0" in message


def test_what_prefect_adds_to_a_failed_run_is_not_shown(run, caplog):
    """Neither an artifact without a name nor the calling of a hook is in anybody's sight."""
    _, flow_run_id = run()
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(flow_run_filter=chosen)
    assert "fan-out-summary" in {one.key for one in artifacts}
    assert [one for one in artifacts if one.key is None and one.task_run_id is None] == []
    assert "Files: 3" in caplog.text
    assert "hook" not in caplog.text.lower()
