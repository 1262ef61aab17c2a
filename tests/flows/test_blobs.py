"""Inputs and outputs in blob storage: read and written by the nodes alone."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient
from prefect import flow

from deployments import azurite
from flows.check import check
from flows.fan_out import fan_out
from flows.running import run
from tasks.azure import blobs
from tasks.azure.blocks import AzureStorageAccount
from tasks.errors import AccessError, FilesFailedError, InputError, PermanentError
from tasks.plans import find_output_place, find_plan_inputs, plan_run
from tasks.spec.run_results import RunResult
from tasks.spec.run_spec import RunSpec
from tasks.spec.task_specs import FileSpec, TaskSpec
from tests.faulty_proxy import FaultyProxy, before
from tests.flows.services import blobs as storage_service
from tests.flows.services import remains_of, wait_for_remains, write_files

CAT = "cat {input}"
numbers = itertools.count(1)


@pytest.fixture
def proxy(accounts, storage, monkeypatch):
    """Storage behind a proxy that notes requests."""
    host = re.sub(r"^http://([^/]+)/.*", r"\1", storage.blob_endpoint)
    with before(f"http://{host}") as proxy:
        monkeypatch.setenv(
            "AZURE_STORAGE_CONNECTION_STRING",
            storage.connection_string.replace(f"http://{host}", proxy.url),
        )
        yield proxy


def make_container(contents: dict[str, str], name: str = "") -> str:
    """A container with these blobs."""
    name = name or f"blobs-{next(numbers)}"
    client = storage_service().get_container_client(name)
    client.create_container()
    for blob, content in contents.items():
        client.upload_blob(blob, content)
    return name


def requests_of_driver(proxy: FaultyProxy, container: str) -> list[str]:
    """Those about blobs of a container that have no signature in their URL, as nodes' have."""
    found = [re.sub(r"^(\w+) /[^/]+/", r"\1 ", one) for one in proxy.requests if "sig=" not in one]
    return [one for one in found if one.split(" ")[1].startswith(f"{container}/")]


def test_blobs_are_read_where_they_lie(proxy, tmp_path):
    """A prefix, a URL, a list and a local folder together: no byte of a blob passes through the driver, which
    leaves all of them as they are, and a second run finds them unchanged by their ETags."""
    source = make_container(
        {"in/a.txt": "A", "in/sub/ü $(x) 'q'.txt": "B", "in/.hidden": "-", "in/sub/": "", "else/z.txt": "-"}
    )
    single, listed = make_container({"deep/one [1].txt": "C"}), make_container({"l/x.txt": "D"})
    (tmp_path / "list").write_text(f"az://{listed}/l/x.txt\n")
    write_files(tmp_path / "in", {"local.txt": "E"})
    inputs = [
        f"az://{source}/in/**",
        f"{blobs.locate_account()}/{single}/deep/one%20[1].txt",
        f"@{tmp_path}/list",
        f"{tmp_path}/in",
    ]
    proxy.requests.clear()
    first = fan_out(inputs, None, CAT, tmp_path / "out", output_name="{name}")
    contents = {name: Path(path).read_text() for name, path in first.outputs.items()}
    expected = {"a.txt": "A", "sub/ü $(x) 'q'.txt": "B", "one [1].txt": "C", "l/x.txt": "D", "local.txt": "E"}
    assert contents == expected
    for container in (source, single, listed):
        methods = {
            one.split(" ")[0] for one in requests_of_driver(proxy, container) if "comp=list" not in one
        }
        assert methods == {"HEAD"}
        assert storage_service().get_container_client(container).exists()
    storage_service().get_container_client(source).upload_blob("in/a.txt", "A2", overwrite=True)
    second = fan_out(inputs, None, CAT, tmp_path / "out", output_name="{name}")
    assert {file.name for file in second.files if file.state == "succeeded"} == {"a.txt"}
    assert {file.state for file in second.files if file.name != "a.txt"} == {"unchanged"}
    assert (tmp_path / "out" / "a.txt").read_text() == "A2"


def read_blobs(container: str) -> dict[str, str]:
    client = storage_service().get_container_client(container)
    return {name: client.download_blob(name).readall().decode() for name in client.list_blob_names()}


def test_from_blobs_to_blobs_no_byte_passes_through_the_driver(proxy, tmp_path, monkeypatch):
    """Nodes read the inputs and write the outputs. The driver lists and looks; nothing there is deleted. What
    still holds is left out; what something else lies in the place of is refused, skipped or overwritten."""
    monkeypatch.chdir(tmp_path)
    source = make_container({"in/a.txt": "A", "in/sub/b c.txt": "B"})
    results = make_container({"2026/c.txt": "foreign", "else": "1"})

    def run_again(**given) -> dict[str, str]:
        result = fan_out(
            f"az://{source}/in", None, CAT, f"az://{results}/2026/", output_name="{name}", **given
        )
        assert result.output_dir == f"{blobs.locate_account()}/{results}/2026"
        assert result.outputs["sub/b c.txt"] == f"{result.output_dir}/sub/b%20c.txt"
        return {file.name: file.state for file in result.files}

    proxy.requests.clear()
    assert run_again() == {"a.txt": "succeeded", "sub/b c.txt": "succeeded"}
    asked = [one for place in (source, results) for one in requests_of_driver(proxy, place)]
    contents = [one for one in asked if not one.startswith("HEAD ") and "comp=list" not in one]
    # The one that never writes, by which is seen that it may.
    assert contents == [f"PUT {results}/2026/.probe"]
    assert list(tmp_path.iterdir()) == []
    there = {"2026/a.txt": "A", "2026/sub/b c.txt": "B", "2026/c.txt": "foreign", "else": "1"}
    assert read_blobs(results) == there
    client = storage_service().get_container_client(source)
    client.upload_blob("in/a.txt", "A2", overwrite=True)
    client.upload_blob("in/c.txt", "C")
    with pytest.raises(InputError, match=r"2026/c\.txt, of 'c\.txt'"):
        run_again()
    expected = {"a.txt": "succeeded", "sub/b c.txt": "unchanged", "c.txt": "skipped"}
    assert run_again(existing_outputs="skip") == expected
    assert read_blobs(results) == there | {"2026/a.txt": "A2"}
    expected = {"a.txt": "unchanged", "sub/b c.txt": "unchanged", "c.txt": "succeeded"}
    # What is there is seen by one listing, a few at a time, where there are many.
    monkeypatch.setattr("tasks.reuse.existing_outputs.FILES_EACH_VISIBLE", 1)
    monkeypatch.setattr("tasks.reuse.existing_outputs.SHARD_MAX", 1)
    assert run_again(existing_outputs="overwrite") == expected
    assert read_blobs(results) == there | {"2026/a.txt": "A2", "2026/c.txt": "C"}


FAILING = (
    """sh -c 'case "$FAN_OUT_NAME" in bad*) echo no >&2; test -e %s || exit 3;; esac; cat "$FAN_OUT_INPUT"'"""
)


def test_local_files_to_blobs_with_the_logs_of_those_that_fail(accounts, tmp_path, run_key):
    """The nodes send what failed programs printed to the place of the outputs; its end is in the result. A
    run with the same key goes on."""
    results = make_container({})
    write_files(tmp_path / "in", {"bad.txt": "1", "good.txt": "2"})
    given = (str(tmp_path / "in"), None, FAILING % (tmp_path / "go"), f"az://{results}")
    logs = {"stderr.txt": "no\n", "stdout.txt": ""}
    for key, options in ((f"{run_key}-bundled", {"files_per_task": 2}), (run_key, {})):
        with pytest.raises(FilesFailedError) as caught:
            fan_out(*given, run_key=key, **options)
        result = caught.value.result
        assert {file.name: file.stderr for file in result.files} == {"bad.txt": "no", "good.txt": ""}
        kept = {f".logs/{key}/bad.txt/{name}": text for name, text in logs.items()}
        there = read_blobs(results)
        assert kept.items() <= there.items()
        assert {name for name in there if not name.startswith(".logs/")} == {"good_OUTPUT.txt"}
        wait_for_remains(key, set())
    (tmp_path / "go").touch()
    again = fan_out(*given, run_key=run_key)
    assert {file.name: file.state for file in again.files} == {
        "bad.txt": "succeeded",
        "good.txt": "unchanged",
    }


@pytest.mark.soak
def test_another_account_is_named_by_its_block(accounts, tmp_path):
    """Inputs and outputs on it are given by their URLs; what signs in there is in the block, and named where
    it does not do."""
    with azurite.serve() as other:
        url, key = other.blob_endpoint, "d3Jvbmcga2V5"
        AzureStorageAccount(connection_string=other.connection_string).save("other", overwrite=True)
        wrong = other.connection_string.replace(other.account_key, key)
        AzureStorageAccount(connection_string=wrong).save("wrong", overwrite=True)
        with BlobServiceClient.from_connection_string(other.connection_string) as service:
            service.create_container("results")
            service.create_container("photos").upload_blob("2026/a.txt", "A")
            given = (f"{url}/photos/2026", None, CAT, f"{url}/results/2026")
            with pytest.raises(AccessError, match="the block azure-storage-account/wrong"):
                fan_out(*given, storage_accounts=["wrong"])
            result = fan_out(*given, storage_accounts=["other"])
            assert result.outputs == {"a.txt": f"{url}/results/2026/a_OUTPUT.txt"}
            client = service.get_blob_client("results", "2026/a_OUTPUT.txt")
            assert client.download_blob().readall() == b"A"
            assert client.get_blob_properties().metadata["input_url"] == f"{url}/photos/2026/a.txt"
        local = fan_out(f"{url}/photos/2026", None, CAT, str(tmp_path), storage_accounts=["other"])
        assert Path(local.outputs["a.txt"]).read_text() == "A"


def test_what_lies_in_a_local_folder_may_be_refused_or_left_alone(accounts, tmp_path):
    """By the same parameter; as usual it is overwritten. Nothing is made for files that are skipped."""
    write_files(tmp_path, {"in/a.txt": "A", "out/a_OUTPUT.txt": "foreign"})
    given = (str(tmp_path / "in"), None, CAT, str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"a_OUTPUT\.txt, of 'a\.txt'"):
        fan_out(*given, existing_outputs="refuse")
    skipped = fan_out(*given, existing_outputs="skip")
    assert [(file.name, file.state) for file in skipped.files] == [("a.txt", "skipped")]
    assert skipped.job_id == ""
    assert (tmp_path / "out" / "a_OUTPUT.txt").read_text() == "foreign"


@flow
def run_after(change, **parameters) -> RunResult:
    """A run whose inputs change once they are listed."""
    plan = plan_run(RunSpec(**parameters))
    change()
    return run(plan)


def test_a_blob_that_changes_or_vanishes_under_the_run_fails_its_file_alone(accounts, tmp_path, run_key):
    """What was made of another content than the one that was listed is no output, and nobody fetches it: not
    the run, and not who cleans up."""
    container = make_container({"changes": "old", "vanishes": "old", "stays": "old"})
    client = storage_service().get_container_client(container)

    def change() -> None:
        client.upload_blob("changes", "new", overwrite=True)
        client.delete_blob("vanishes")

    given = {"inputs": f"az://{container}", "command": CAT, "output_dir": str(tmp_path), "run_key": run_key}
    with pytest.raises(FilesFailedError) as caught:
        run_after(change, **given)
    problems = {file.name: file.problem for file in caught.value.result.files}
    assert problems.keys() == {"changes", "stays", "vanishes"}
    assert problems["stays"] == ""
    assert "was changed after the run had begun; run again" in problems["changes"]
    assert "BlobNotFound" in problems["vanishes"]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"stays_OUTPUT"}
    wait_for_remains(run_key, set())


def test_what_can_t_be_an_input_is_told_before_anything_is_made(accounts, tmp_path):
    """A container, a prefix or a blob that isn't there, archived blobs, names that no node can have, two
    prefixes with the same names, and what a place in blob storage can't be."""
    one = make_container({"a/x": "1", "b/x": "1", "bad//x": "1", "h/.x": "", "cold": "1"}, "blobs-errors")
    storage_service().get_blob_client(one, "cold").set_standard_blob_tier("Archive")
    folder = storage_service().get_blob_client(one, "a")
    folder.upload_blob(b"", metadata={"hdi_isfolder": "true"})
    (tmp_path / "list").write_text(f"az://{one}/a/x\naz://{one}/gone\naz://{one}/a\n")
    messages = {
        f"@{tmp_path}/list": f"{one}/a is a folder",
        f"az://{one}s/a": f"There is {one}.",
        f"az://{one}/nothing": "no blob is or matches nothing",
        f"az://{one}/h": "Left out: 1 hidden (h/.x).",
        f"az://{one}/**": "in the archive tier",
        f"az://{one}/cold": "in the archive tier",
        f"az://{one}/bad": "has a part without a name",
        f"@{tmp_path}/./list": f"{one}/gone is not there",
        "https://else.blob.core.windows.net/c/x": "storage_accounts",
    }
    with pytest.raises(InputError, match="has a signature"):
        # Before Prefect has recorded it.
        fan_out(["https://else.blob.core.windows.net/c/x?sv=1&sig=abc"], None, CAT)
    for inputs, message in messages.items():
        with pytest.raises(InputError) as caught:
            plan_run(RunSpec(inputs=inputs, command=CAT, output_dir=str(tmp_path / "out"), run_key="never"))
        assert message in str(caught.value)
    with pytest.raises(InputError, match="would both be 'x'"):
        find_plan_inputs(RunSpec(inputs=[f"az://{one}/a", f"az://{one}/b"], command=CAT))
    places = {
        f"az://{one}s": "There is no container",
        f"az://{one}/*": "has wildcards",
        f"az://{one}/a": "would be input of the next run",
        "https://else.blob.core.windows.net/c/x": "storage_accounts",
        f"az://{one}/{'x' * 960}": "is too long below",
    }
    for output_dir, message in places.items():
        with pytest.raises(InputError) as caught:
            plan_run(RunSpec(inputs=f"az://{one}/a", command=CAT, output_dir=output_dir, run_key="never"))
        assert message in str(caught.value)
    with pytest.raises(PermanentError) as told:
        check(f"az://{one}/nothing", output_dir=f"az://{one}s")
    assert "output folder: There is no container" in str(told.value)
    assert "inputs: In the container" in str(told.value)
    over = RunSpec(inputs=f"az://{one}/a", command=CAT, output_dir=f"az://{one}/a", output_name="{name}")
    with pytest.raises(InputError, match="input would be overwritten"):
        find_plan_inputs(over, find_output_place(over))
    with pytest.raises(InputError, match="is in blob storage, where only inputs"):
        plan_run(
            RunSpec(
                inputs=f"az://{one}/a",
                command=CAT,
                task=TaskSpec(files=[FileSpec(local_path=f"az://{one}/b")]),
                output_dir=str(tmp_path / "out"),
                run_key="never",
            )
        )
    assert remains_of("never") == set()
