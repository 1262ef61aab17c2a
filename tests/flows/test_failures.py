"""What goes wrong with accounts, pools and time: told clearly and soon, with nothing left behind."""

import socket
import threading

import pytest
from azure.core.exceptions import ResourceNotFoundError
from prefect.artifacts import Artifact

import batch_emulator
from flows.fan_out import fan_out
from tasks.errors import (
    AccessError,
    FilesFailedError,
    JobError,
    PoolError,
    RunTimeoutError,
    SettingsError,
    UnreachableError,
)
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup, ImageSpec, PoolSpec
from tests.flows.services import batch, remains_of, wait_for_remains, write_files
from tests.waiting import wait_until

# Far below the run's own timeout, and far above what the service needs.
SOON_SECONDS = 120


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", {"one.txt": "a b", "two.txt": "c d e"})


def test_a_wrong_batch_key_names_its_variable(
    accounts, inputs, tmp_path, monkeypatch, run_key, batch_account
):
    """A refused key is told at once, by its variable and without its value, and nothing is created."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "d3Jvbmcga2V5")
    with pytest.raises(AccessError, match="AZURE_BATCH_ACCESS_KEY") as caught:
        fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=run_key)
    assert "d3Jvbmcga2V5" not in str(caught.value)
    # Not the request that was to be signed, which the service recites.
    assert len(str(caught.value).splitlines()) == 1
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", batch_account.key)
    assert remains_of(run_key) == set()


def test_a_wrong_storage_key_names_its_variable(accounts, inputs, tmp_path, monkeypatch, run_key, storage):
    """A refused storage key is told at once, and nothing is created."""
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        storage.connection_string.replace(storage.account_key, "d3Jvbmcga2V5"),
    )
    with pytest.raises(AccessError, match="AZURE_STORAGE_CONNECTION_STRING"):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=run_key)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    assert remains_of(run_key) == set()


@pytest.mark.parametrize("variable", ["AZURE_BATCH_ENDPOINT", "AZURE_STORAGE_CONNECTION_STRING"])
def test_an_endpoint_that_does_not_answer_names_its_variable(
    accounts, inputs, tmp_path, monkeypatch, run_key, storage, variable
):
    """Nobody listening is told long before the run's timeout, with the variable that says where."""
    monkeypatch.setattr("tasks.base.deadlines.FIRST_ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    values = {
        "AZURE_BATCH_ENDPOINT": nobody,
        "AZURE_STORAGE_CONNECTION_STRING": storage.connection_string.replace(
            storage.blob_endpoint, f"{nobody}/{storage.account_name}"
        ),
    }
    monkeypatch.setenv(variable, values[variable])
    with pytest.raises(UnreachableError, match=variable):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=run_key)


def test_missing_variables_are_named(prefect_server, inputs, tmp_path, monkeypatch):
    """Without an account the error says what to set."""
    monkeypatch.delenv("AZURE_BATCH_ENDPOINT", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(SettingsError, match="AZURE_BATCH_ENDPOINT"):
        fan_out(inputs, None, "cat {input}", tmp_path / "out")


def test_an_image_that_the_account_does_not_offer_is_refused(accounts, inputs, tmp_path, run_key):
    """An unknown image is told with others to choose from, before anything is created."""
    pool = PoolSpec(image=ImageSpec(offer="windows-95"))
    with pytest.raises(
        PoolError, match=r"no verified image canonical windows-95 server\. There are: canonical"
    ):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", pool, run_key=run_key)
    assert remains_of(run_key) == set()


def test_a_failing_start_task_fails_the_run_soon(accounts, inputs, tmp_path, run_key):
    """The error has the start task's exit code and the end of its stderr, long before the timeout."""
    pool = PoolSpec(start_command="echo 'E: no such package' >&2; exit 42", dedicated_nodes=2)
    with pytest.raises(PoolError) as caught:
        fan_out(inputs, None, "cat {input}", tmp_path / "out", pool, timeout_seconds=600, run_key=run_key)
    message = str(caught.value)
    assert "none of its 2 nodes can run tasks" in message
    assert "the start task failed, exit code 42" in message
    assert "E: no such package" in message
    wait_for_remains(run_key, set())


def test_a_quota_that_leaves_no_node_fails_the_run_soon(
    storage, prefect_server, use_batch, monkeypatch, inputs, tmp_path, run_key
):
    """A resize error that stands is told with what helps against it."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    with batch_emulator.serve(port=0, core_quota=0) as account:
        use_batch(account)
        with pytest.raises(PoolError, match=r"AccountCoreQuotaReached(.|\n)*more quota"):
            fan_out(inputs, None, "cat {input}", tmp_path / "out", timeout_seconds=600, run_key=run_key)
        wait_for_remains(run_key, set())


def test_time_that_runs_out_is_told_with_how_far_it_got(accounts, inputs, tmp_path, run_key):
    """The timeout ends the run, what was done is collected, and the job goes with its running task."""
    command = """sh -c 'cat "$FAN_OUT_INPUT"; case "$FAN_OUT_NAME" in two*) sleep 300;; esac'"""
    with pytest.raises(RunTimeoutError, match="1 of 2 Batch tasks completed, 1 running"):
        fan_out(inputs, None, command, tmp_path / "out", timeout_seconds=8, run_key=run_key)
    assert Artifact.get("fan-out-progress").description == "stopped at 1/2"
    assert (tmp_path / "out" / "one_OUTPUT.txt").read_text() == "a b"
    wait_for_remains(run_key, set())


def test_a_job_that_is_kept_is_stopped_when_the_run_fails(accounts, inputs, tmp_path, run_key):
    """With a policy that keeps the job its tasks stop all the same, as nobody waits for them."""
    keep = Cleanup(job="never", pool="never", containers="never")
    with pytest.raises(RunTimeoutError):
        fan_out(inputs, None, "sleep 300", tmp_path / "out", PoolSpec(), keep, 4, run_key=run_key)
    job_id = names_of_run(run_key).job_id
    wait_until(lambda: batch().get_job(job_id).state == "completed", SOON_SECONDS, "end of the job")
    assert remains_of(run_key) == {"containers", "job", "pool"}
    batch().begin_delete_pool(names_of_run(run_key).pool_id, polling_interval=1).wait()


def test_a_job_that_somebody_deletes_is_told(accounts, inputs, tmp_path, run_key):
    """A run whose job vanishes doesn't wait for it."""
    names = names_of_run(run_key)

    def delete_job_once_it_runs():
        wait_until(lambda: running(names.job_id), SOON_SECONDS, "running task")
        batch().begin_delete_job(names.job_id, polling_interval=1).wait()

    thread = threading.Thread(target=delete_job_once_it_runs)
    thread.start()
    with pytest.raises(JobError, match="was deleted while its tasks were waiting"):
        fan_out(inputs, None, "sleep 300", tmp_path / "out", run_key=run_key)
    thread.join()
    wait_for_remains(run_key, set())


def running(job_id: str) -> int:
    try:
        return batch().get_job_task_counts(job_id).task_counts.running
    except ResourceNotFoundError:
        return 0


def test_a_server_that_takes_no_artifacts_fails_no_run(accounts, tmp_path, run_key, monkeypatch):
    """Outputs are there and the run succeeds, though each artifact is refused."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("500 Internal Server Error for url /api/artifacts")

    for name in ("create_markdown_artifact", "create_table_artifact"):
        monkeypatch.setattr(f"tasks.prefect.observing.{name}", refuse)
    monkeypatch.setattr("tasks.watch.progress.create_progress_artifact", refuse)
    write_files(tmp_path / "in", {"one.txt": "1", "two.txt": "2"})
    result = fan_out(str(tmp_path / "in"), None, "cat {input}", str(tmp_path / "out"), run_key=run_key)
    assert len(result.outputs) == 2


def test_what_a_program_prints_is_made_printable(accounts, tmp_path, run_key):
    """A NUL and a terminal's escapes in stderr reach neither the error's message nor the result."""
    write_files(tmp_path / "in", {"one.txt": "1"})
    command = r"""sh -c 'printf "a\000b\033[31mred" >&2; exit 3'"""
    with pytest.raises(FilesFailedError) as caught:
        fan_out(str(tmp_path / "in"), None, command, str(tmp_path / "out"), run_key=run_key)
    assert "a�b�[31mred" in str(caught.value)
    assert caught.value.result.failures[0].stderr == "a�b�[31mred"
