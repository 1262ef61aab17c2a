"""The only copy of an output: whoever deletes its container fetches it first, or keeps it and says so."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Completed, Crashed, State

from flows.cleanup import cleanup
from flows.fan_out import fan_out
from flows.sweep import sweep
from tasks.cleanup import clean_up_after
from tasks.containers import create_containers
from tasks.outputs.unfetched import HOST, is_marked, mark_fetched, note_attempt
from tasks.spec.naming import INPUT_METADATA, RECIPE_METADATA, SOURCE_METADATA, names_of_run
from tasks.spec.ownership import MARGIN_SECONDS
from tasks.spec.run_spec import RunOptions
from tests.flows.services import blobs

LONG_AGO_SECONDS = -MARGIN_SECONDS - 2 * 3600


@pytest.fixture
def prefect(accounts) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def left_by(prefect, out) -> Iterator[Callable[..., FlowRun]]:
    """Make a flow run that has ended so, with outputs `a.txt` and `sub/b.txt` in its container."""
    made: list[str] = []

    def leave(state: State, recipe: str = "", timeout_seconds: float = 60, **metadata: str) -> FlowRun:
        flow_run = prefect.create_flow_run(fan_out, state=state)
        names = names_of_run(str(flow_run.id))
        made.append(names.output_container)
        options = RunOptions().model_copy(update={"timeout_seconds": timeout_seconds})
        create_containers.fn(names, options, out)
        container = blobs().get_container_client(names.output_container)
        told = dict(container.get_container_properties().metadata)
        container.set_container_metadata({**told, **metadata})
        for name in ("a.txt", "sub/b.txt"):
            says = {SOURCE_METADATA: "x" * 32, **({RECIPE_METADATA: recipe} if recipe else {})}
            container.upload_blob(name, f"text of {name}", metadata=says)
        return flow_run

    yield leave
    for name in made:
        if blobs().get_container_client(name).exists():
            blobs().delete_container(name)


def has_outputs(flow_run: FlowRun) -> bool:
    return blobs().get_container_client(f"output-{flow_run.id}").exists()


def read_all(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


FETCHED = {"a.txt": "text of a.txt", "sub/b.txt": "text of sub/b.txt"}


def test_logs_of_failed_files_outlive_their_run(left_by, out):
    """What a failed file of a dead run printed is kept beside the outputs, by the name of its input."""
    flow_run = left_by(Crashed())
    container = blobs().get_container_client(f"output-{flow_run.id}")
    container.upload_blob(".logs/task-1/stderr.txt", "no!", metadata={INPUT_METADATA: "sub/c%20%C3%A9.txt"})
    assert cleanup(flow_run.id)[-1].outcome == "deleted"
    assert read_all(out) == {**FETCHED, f".logs/{flow_run.id}/sub/c é.txt/stderr.txt": "no!"}


@pytest.mark.parametrize(("there", "is_deleted"), [("text of a.txt", True), ("TEXT OF A.TXT", False)])
def test_an_output_without_an_md5_is_compared_by_its_content(left_by, out, there, is_deleted):
    """Blobs that were sent in blocks have none: a newer file of the same size is no proof."""
    flow_run = left_by(Crashed())
    blob = blobs().get_blob_client(f"output-{flow_run.id}", "a.txt")
    metadata = blob.get_blob_properties().metadata
    blob.stage_block("1", b"text of a.txt")
    blob.commit_block_list([BlobBlock("1")], metadata=metadata)
    assert blob.get_blob_properties().content_settings.content_md5 is None
    out.mkdir()
    (out / "a.txt").write_text(there)
    later = time.time() + 60
    os.utime(out / "a.txt", (later, later))
    assert cleanup(flow_run.id)[-1].outcome == ("deleted" if is_deleted else "kept")
    assert read_all(out) == {**FETCHED, "a.txt": there}
    assert has_outputs(flow_run) is not is_deleted


@pytest.mark.parametrize("who", ["cleanup", "hook", "sweep"])
def test_whoever_cleans_up_fetches_what_the_run_could_not(left_by, out, who):
    """Outputs that a dead run has not fetched are in its folder, and its container is gone."""
    flow_run = left_by(Crashed())
    if who == "cleanup":
        assert cleanup(flow_run.id)[-1].outcome == "deleted"
    elif who == "hook":
        clean_up_after(fan_out, flow_run, Cancelled())
    else:
        sweep()
    assert read_all(out) == FETCHED
    assert not has_outputs(flow_run)


def test_on_another_machine_outputs_stay_where_they_are(left_by, out):
    """What can't be fetched is kept, by `cleanup` and by `sweep`, which say where it lies and until when."""
    flow_run = left_by(Crashed(), **{HOST: "elsewhere"})
    about_containers = cleanup(flow_run.id)[-1]
    assert about_containers.outcome == "kept"
    assert f"2 outputs in the container output-{flow_run.id} alone" in about_containers.problem
    assert "is on the machine elsewhere" in about_containers.problem
    assert f"run_key='{flow_run.id}'" in about_containers.problem
    assert "include_kept deletes them, from 20" in about_containers.problem
    sweep()
    assert has_outputs(flow_run)
    assert not out.exists()


def test_what_lies_in_the_folder_counts_on_any_machine(left_by, out):
    """A folder that several machines share proves that the outputs were fetched."""
    flow_run = left_by(Crashed(), **{HOST: "elsewhere"})
    for name, text in FETCHED.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    assert cleanup(flow_run.id)[-1].outcome == "deleted"
    assert not has_outputs(flow_run)


def test_outputs_of_a_later_run_are_not_replaced(left_by, out):
    """A newer file in the way stays as it is, and so does the container; the other output is fetched."""
    flow_run = left_by(Crashed())
    out.mkdir()
    (out / "a.txt").write_text("newer")
    later = time.time() + 60
    os.utime(out / "a.txt", (later, later))
    about_containers = cleanup(flow_run.id)[-1]
    assert "was written later, and has another content" in about_containers.problem
    assert read_all(out) == {**FETCHED, "a.txt": "newer"}
    assert has_outputs(flow_run)


def test_outputs_of_another_command_are_not_mixed_with_those_of_the_last(left_by, out):
    """What an earlier attempt made by another command is not put where the last one's outputs are to be."""
    flow_run = left_by(Crashed(), recipe="first")
    note_attempt(f"output-{flow_run.id}", "second")
    assert "made by another command" in cleanup(flow_run.id)[-1].problem
    assert read_all(out) == {}
    assert has_outputs(flow_run)


def test_an_owner_who_says_so_has_them_deleted(left_by, prefect):
    """A sweep with include_kept deletes what can't be fetched once it has expired, and only then."""
    old = left_by(Crashed(), timeout_seconds=LONG_AGO_SECONDS, **{HOST: "elsewhere"})
    fresh = left_by(Crashed(), **{HOST: "elsewhere"})
    sweep()
    assert has_outputs(old)
    sweep(include_kept=True)
    assert not has_outputs(old)
    assert has_outputs(fresh)
    chosen = {"artifacts": {"key": {"any_": ["sweep"]}}}
    (artifact,) = prefect.request("POST", "/artifacts/latest/filter", json=chosen).json()
    rows = {row["name"]: row for row in json.loads(artifact["data"])}
    assert "2 outputs in the container" in rows[f"output-{fresh.id}"]["why"]


def test_a_run_that_has_fetched_all_says_so_until_another_attempt_begins(left_by, out, accounts):
    """With the mark a container may go from any machine; whoever goes on with it takes the mark away."""
    flow_run = left_by(Completed(), **{HOST: "elsewhere"})
    names = names_of_run(str(flow_run.id))
    mark_fetched(names.output_container)
    create_containers.fn(names, RunOptions(), out)
    container = blobs().get_container_client(names.output_container)
    assert not is_marked(container.get_container_properties().metadata)
    mark_fetched(names.output_container)
    assert cleanup(flow_run.id)[-1].outcome == "deleted"
    assert not out.exists()
