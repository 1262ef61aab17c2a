"""Which steps Prefect's cache answers, and what makes each of them run."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from prefect.states import State
from prefect.utilities.annotations import opaque

from tasks.containers import create_containers, delete_containers
from tasks.downloads import download_output, download_shard
from tasks.outputs.unfetched import FOLDER
from tasks.spec.inputs import find_inputs
from tasks.spec.naming import SOURCE_METADATA, name_by_content
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup
from tasks.spec.work import make_item
from tasks.uploads import list_uploaded, upload_application, upload_input, upload_shard
from tests.flows.repeated_steps import HOUR_SECONDS, RUNS_AFTER_CHANGE, attempt, attempts
from tests.flows.services import blobs, write_files
from tests.sampling import sample


@pytest.fixture
def folder(names, tmp_path) -> Path:
    """Two files, for the containers of a run that are there."""
    create_containers.fn(names, RunOptions())
    return write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})


def test_containers_are_created_once(names):
    """The second attempt has them from the cache; where one is gone, the step runs, and makes it."""
    gone = names.output_container
    states = attempts(
        lambda: create_containers(names, RunOptions(), return_state=True),
        lambda: blobs().delete_container(gone),
    )
    assert states == RUNS_AFTER_CHANGE
    assert blobs().get_container_client(gone).exists()


@pytest.mark.parametrize(
    "other", [RunOptions(timeout_seconds=2 * HOUR_SECONDS), RunOptions(cleanup=Cleanup(containers="never"))]
)
def test_containers_are_told_what_has_changed(names, other):
    """Those that would expire too early, or have another policy, are told so, and back again."""
    assert attempt(lambda: create_containers(names, RunOptions(), return_state=True)) == "Completed"
    for options in [other, RunOptions()]:
        state = attempt(lambda options=options: create_containers(names, options, return_state=True))
        # Longer than need be does no harm.
        lasts = options == RunOptions() and other.timeout_seconds != options.timeout_seconds
        assert state == ("Cached" if lasts else "Completed")


def test_containers_are_told_where_outputs_go_now(names, tmp_path):
    """An attempt that returns to an earlier one's folder says so again, as another came between."""
    folders = [tmp_path / "first", tmp_path / "second", tmp_path / "first"]
    for folder in folders:
        create = partial(create_containers, names, RunOptions(), folder, return_state=True)
        assert [attempt(create), attempt(create)] == ["Completed", "Cached"]
        told = blobs().get_container_client(names.output_container).get_container_properties().metadata
        assert told[FOLDER] == quote(str(folder))


@pytest.mark.parametrize("change", ["file", "blob", "container"])
def test_an_input_is_uploaded_once(names, folder, change):
    """It is sent again if it has changed, if somebody has written the blob, or if all was deleted."""
    container = names.input_container
    file = find_inputs(str(folder), "{name}.out")[0]

    def upload() -> State:
        return upload_input(container, file, opaque(list_uploaded(container)[0]), return_state=True)

    def change_it() -> None:
        if change == "file":
            write_files(folder, {"one.txt": "changed"})
        elif change == "blob":
            blobs().get_blob_client(container, blob_of("one.txt", "1")).upload_blob(b"x", overwrite=True)
        else:
            delete_containers.fn(names)
            create_containers.fn(names, RunOptions())

    assert attempts(upload, change_it) == RUNS_AFTER_CHANGE
    text = (folder / "one.txt").read_text()
    content = blobs().get_blob_client(container, blob_of("one.txt", text)).download_blob().readall()
    assert content == text.encode()


def blob_of(name: str, text: str) -> str:
    return name_by_content(name, hashlib.md5(text.encode()).hexdigest())


def test_a_shard_of_inputs_is_uploaded_once(names, folder):
    """Under whatever number: one blob of it that is gone makes the step run, and send that one alone."""
    container, files = names.input_container, find_inputs(str(folder), "{name}.out")
    labels = iter("1234")

    def upload() -> State:
        there = opaque(list_uploaded(container)[0])
        return upload_shard(next(labels), container, opaque(files), there, return_state=True)

    changed = blobs().get_blob_client(container, blob_of("two.txt", "2"))
    kept = blobs().get_blob_client(container, blob_of("one.txt", "1"))
    etags = []

    def change() -> None:
        etags.append(kept.get_blob_properties().etag)
        changed.delete_blob()

    assert attempts(upload, change) == RUNS_AFTER_CHANGE
    assert changed.exists()
    assert kept.get_blob_properties().etag == etags[0]


def test_an_application_is_uploaded_once(names, folder):
    """It is sent again when its content has changed."""
    path = str(folder / "one.txt")
    states = attempts(
        lambda: upload_application(names.application_container, "app.sh", path, return_state=True),
        lambda: write_files(folder, {"one.txt": "changed"}),
    )
    assert states == RUNS_AFTER_CHANGE


FETCHES = {
    f"{change}, {size}": (change, size == "many")
    for change in ("file is gone", "file was changed", "output was made anew")
    for size in ("one", "many")
}


@pytest.mark.parametrize(
    ("change", "many"),
    sample(FETCHES, "file is gone, many", "file was changed, one", "output was made anew, many"),
)
def test_an_output_is_fetched_once(names, folder, tmp_path, change, many):
    """It is fetched again if it is no longer on disk, or in the container, as it was."""
    container, out = names.output_container, tmp_path / "out"
    item = make_item("one", "one.out", "0a1b", "recipe")
    output = blobs().get_blob_client(container, item.output_name)
    output.upload_blob(b"output", metadata={SOURCE_METADATA: item.source})
    labels = iter("1234")

    def change_it() -> None:
        if change == "file is gone":
            (out / "one.out").unlink()
        elif change == "file was changed":
            (out / "one.out").write_text("by somebody")
        else:
            output.upload_blob(b"another", metadata={SOURCE_METADATA: item.source}, overwrite=True)

    def download() -> State:
        if many:
            return download_shard(next(labels), container, opaque([item]), out, return_state=True)
        return download_output(container, item, out, return_state=True)

    assert attempts(download, change_it) == RUNS_AFTER_CHANGE
    assert (out / "one.out").read_bytes() == output.download_blob().readall()


def test_an_output_that_is_not_there_is_looked_for_each_time(names, folder, tmp_path):
    """That there is none is not remembered."""
    item = make_item("one", "one.out", "0a1b", "recipe")
    call = partial(download_output, names.output_container, item, tmp_path / "out", return_state=True)
    assert [attempt(call), attempt(call)] == ["Completed", "Completed"]
