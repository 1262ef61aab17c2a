"""What a run takes from an earlier one: outputs that still hold, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prefect.settings import PREFECT_RESULTS_LOCAL_STORAGE_PATH, temporary_settings

from flows.fan_out import fan_out
from flows.streaming import fan_out_in_shards
from tasks.azure.blocks import AzureStorageAccount
from tasks.errors import FilesFailedError
from tasks.extra_files import identify_remote_files
from tasks.reuse.result_storage import AzureBlobResults
from tasks.spec.run_results import RunResult
from tasks.spec.task_specs import FileSpec, TaskSpec
from tests.flows.attempts import KEEP_ALL
from tests.flows.services import blobs, remains_of, steps_of, wait_for_remains, write_files
from tests.waiting import wait_until

PROGRAM = """sh -c 'echo "$GREETING $(cat "$FAN_OUT_INPUT")"'"""


@pytest.fixture
def folder(accounts, tmp_path) -> Path:
    write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})
    return tmp_path


def run(folder: Path, command: str = PROGRAM, flow=fan_out, **options) -> RunResult:
    return flow(str(folder / "in"), None, command, str(folder / "out"), **options)


def states(result: RunResult) -> dict[str, str]:
    return {file.name: file.state for file in result.files}


def lookups_of(result: RunResult) -> dict[str, str]:
    """The files that a run has looked up, and the states of those Prefect tasks."""
    return {name: state for name, state in steps_of(result.run_key).items() if name.startswith("look up ")}


def test_nothing_is_made_if_nothing_has_changed(folder):
    """The second run has the same outputs, no job and no pool; each file is `Unchanged` in the dashboard."""
    first = run(folder)
    assert states(first) == {"one.txt": "succeeded", "two.txt": "succeeded"}
    second = run(folder)
    assert states(second) == {"one.txt": "unchanged", "two.txt": "unchanged"}
    assert second.outputs == first.outputs
    assert (second.job_id, second.pool_id) == ("", "")
    hits = {"look up one.txt": "Unchanged", "look up two.txt": "Unchanged"}
    # The server records them a little later.
    wait_until(lambda: steps_of(second.run_key) == hits, 30, "two look-ups and no other step")


def test_an_attempt_that_has_nothing_to_do_cleans_up_behind_the_earlier_one(folder, run_key):
    """Outputs that hold are left out whether or not the run's job was kept; its policy is the last one's."""
    run(folder, run_key=run_key, cleanup=KEEP_ALL)
    assert remains_of(run_key) == {"containers", "job", "pool"}
    assert set(states(run(folder, run_key=run_key)).values()) == {"unchanged"}
    wait_for_remains(run_key, set())


def test_only_what_has_changed_is_run(folder):
    """A changed input is run, a new one too, and one whose output was changed or is gone."""
    write_files(folder / "in", {"three.txt": "3", "four.txt": "4"})
    run(folder)
    write_files(folder / "in", {"two.txt": "zwei", "five.txt": "5"})
    (folder / "out" / "three_OUTPUT.txt").write_text("spoiled")
    (folder / "out" / "four_OUTPUT.txt").unlink()
    again = run(folder)
    assert states(again) == {
        "five.txt": "succeeded",
        "four.txt": "succeeded",
        "one.txt": "unchanged",
        "three.txt": "succeeded",
        "two.txt": "succeeded",
    }
    outputs = {name: Path(path).read_text().strip() for name, path in again.outputs.items()}
    assert outputs == {"five.txt": "5", "four.txt": "4", "one.txt": "1", "three.txt": "3", "two.txt": "zwei"}
    names = {"four": "Completed", "one": "Unchanged", "three": "Completed", "two": "Completed"}
    lookups = {f"look up {name}.txt": state for name, state in names.items()}
    wait_until(lambda: len(lookups_of(again)) == len(lookups), 30, "recorded look-ups")
    assert lookups_of(again) == lookups


CHANGES = {
    "command": {"command": PROGRAM.replace("echo", "echo new")},
    "environment": {"task": TaskSpec(environment={"GREETING": "Hi"})},
    "refresh": {"refresh": True},
}


@pytest.mark.soak
@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_another_way_of_making_outputs_makes_them_anew(folder, changes):
    """Another command or environment, or the wish to refresh, and every file is run."""
    run(folder)
    assert set(states(run(folder, **changes)).values()) == {"succeeded"}


@pytest.mark.soak
def test_another_program_makes_outputs_anew(folder):
    """The content of the application counts, not its name."""
    program = folder / "program.sh"
    for text, state in [
        ("cat $1 > $2", "succeeded"),
        ("cat $1 > $2", "unchanged"),
        ("wc $1 > $2", "succeeded"),
    ]:
        program.write_text(text)
        result = fan_out(
            str(folder / "in"), str(program), "sh {application} {input} {output}", str(folder / "out")
        )
        assert set(states(result).values()) == {state}


def test_a_file_that_failed_is_run_again(folder, run_key):
    """Only outputs are remembered: what failed is tried again, beside what holds, also by the same run."""
    fails_once = f"""sh -c 'if [ "$FAN_OUT_NAME" = two.txt ] && [ ! -e {folder}/again ]; then
        touch {folder}/again; exit 1; fi; cat "$FAN_OUT_INPUT"'"""
    with pytest.raises(Exception, match="1 of 2 files failed"):
        run(folder, fails_once, run_key=run_key)
    wait_for_remains(run_key, set())
    assert states(run(folder, fails_once, run_key=run_key)) == {
        "one.txt": "unchanged",
        "two.txt": "succeeded",
    }


def test_what_has_arrived_is_remembered_by_a_run_that_is_stopped(folder):
    """Whoever leaves a run keeps the outputs that lie on disk; only the others run again."""
    hold = folder / "hold"
    hold.touch()
    command = f"""sh -c 'while [ "$FAN_OUT_NAME" = two.txt ] && [ -e {hold} ]; do sleep 0.1; done
        cat "$FAN_OUT_INPUT"'"""
    shards = fan_out_in_shards(
        inputs=str(folder / "in"), application=None, command=command, output_dir=str(folder / "out")
    )
    assert [file.name for file in next(shards)] == ["one.txt"]
    shards.close()
    hold.unlink()
    assert states(run(folder, command)) == {"one.txt": "unchanged", "two.txt": "succeeded"}


def test_a_file_that_fails_leaves_no_output_of_an_earlier_command(folder, caplog):
    """It is set aside and said; and what the summary says of the next run holds."""
    run(folder, "cat {input}")
    fails = f"""sh -c 'if [ "$FAN_OUT_NAME" = two.txt ] && [ ! -e {folder}/heal ]; then exit 1; fi
        wc "$FAN_OUT_INPUT"'"""
    with pytest.raises(FilesFailedError) as caught:
        run(folder, fails)
    out = folder / "out"
    assert {path.name for path in out.iterdir()} == {"one_OUTPUT.txt", ".earlier", ".logs"}
    assert (out / ".earlier" / "two_OUTPUT.txt").read_text() == "2"
    assert caught.value.result.set_aside == ("two_OUTPUT.txt",)
    assert "Set aside: 1 of earlier runs whose files failed now, two_OUTPUT.txt first" in caplog.text
    assert "Run again: only the 1 failed file runs" in caplog.text
    (folder / "heal").touch()
    assert states(run(folder, fails)) == {"one.txt": "unchanged", "two.txt": "succeeded"}


@pytest.mark.soak
def test_what_is_remembered_can_lie_in_a_blob(folder, storage, run_key):
    """With result storage in a blob container, runs on other machines know of the outputs too."""
    account = AzureStorageAccount(connection_string=storage.connection_string)
    AzureBlobResults(account=account, container=f"results-{run_key}").save(run_key, _sync=True)
    elsewhere = fan_out.with_options(result_storage=AzureBlobResults.load(run_key, _sync=True))
    run(folder, flow=elsewhere)
    assert set(states(run(folder, flow=elsewhere)).values()) == {"unchanged"}
    container = account.get_client().get_container_client(f"results-{run_key}")
    (remembered,) = [blob.name for blob in container.list_blobs() if "fan-out-outputs" in blob.name]
    record = json.loads(container.download_blob(remembered).readall())
    assert record["metadata"]["storage_key"] == remembered


def test_without_the_first_run_s_storage_nothing_is_known(folder):
    """Where the results of the first run can't be read, the second runs every file."""
    run(folder)
    with temporary_settings({PREFECT_RESULTS_LOCAL_STORAGE_PATH: folder / "elsewhere"}):
        assert set(states(run(folder)).values()) == {"succeeded"}


@pytest.mark.parametrize("by_container", [False, True], ids=["file", "container"])
@pytest.mark.soak
def test_another_file_behind_the_same_url_makes_outputs_anew(folder, run_key, by_container):
    """A URL doesn't say what is behind it; on the run's own account its ETag does."""
    container = blobs().create_container(f"models-{run_key}")
    source = (
        {"storage_container_url": container.url} if by_container else {"http_url": f"{container.url}/model"}
    )
    task = TaskSpec(files=[source])
    seen = []
    for text in (b"first", b"second"):
        container.upload_blob("model", text, overwrite=True)
        runs = [run(folder, "cat model {input}", task=task) for _ in range(2)]
        seen.append([set(states(one).values()) for one in runs])
        assert Path(runs[1].outputs["one.txt"]).read_bytes() == text + b"1"
    blobs().delete_container(container.container_name)
    assert seen == [[{"succeeded"}, {"unchanged"}]] * 2


def test_what_cannot_be_told_is_made_anew_in_each_run(accounts):
    """What is behind a URL elsewhere counts as the same in one run alone."""
    files = [FileSpec(http_url="https://example.com/model", file_path="model")]
    first, again, other = (identify_remote_files(files, key) for key in ("one", "one", "two"))
    assert first == again != other


def test_only_what_a_prefix_names_counts(accounts, run_key):
    """Of a container from which tasks get what begins with a prefix, all else may change."""
    container = blobs().create_container(f"models-{run_key}")
    container.upload_blob("v1/model", b"1")
    files = [FileSpec(storage_container_url=container.url, blob_prefix="v1/")]
    seen = [identify_remote_files(files, "key")]
    for name in ("v2/model", "v1/model"):
        container.upload_blob(name, b"2", overwrite=True)
        seen.append(identify_remote_files(files, "key"))
    blobs().delete_container(container.container_name)
    assert seen[0] == seen[1] != seen[2]
