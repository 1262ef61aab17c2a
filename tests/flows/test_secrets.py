"""No secret gets where people read: logs, artifacts, parameters, results, command lines."""

import logging
from pathlib import Path

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_RESULTS_LOCAL_STORAGE_PATH

import batch_emulator
from flows.fan_out import fan_out
from tasks.azure.registries import read_password
from tasks.errors import FilesFailedError, SettingsError
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup, ImageSpec, PoolSpec, RegistrySpec
from tasks.spec.task_specs import ContainerSpec, TaskSpec
from tests.flows.services import batch, wait_for_remains, write_files


@pytest.fixture
def secrets(storage, batch_account) -> list[str]:
    return [storage.account_key, batch_account.key, "sig="]


def test_no_secret_is_written_where_people_read(accounts, secrets, storage, tmp_path, caplog, capfd, run_key):
    """A run with failures and all it leaves behind is searched for both keys and for signatures."""
    caplog.set_level(logging.INFO)
    inputs = write_files(tmp_path / "in", {"good.txt": "a", "bad.txt": "b"})
    script = tmp_path / "app.sh"
    script.write_text('case "$1" in *bad*) env >&2; exit 1;; esac; env > "$2"\n')
    keep = Cleanup(job="never", pool="never")
    with pytest.raises(FilesFailedError) as caught:
        fan_out(
            inputs,
            str(script),
            "sh {application} {input} {output}",
            tmp_path / "out",
            PoolSpec(),
            keep,
            run_key=run_key,
        )
    names = names_of_run(run_key)
    listed = list(batch().list_tasks(names.job_id))
    assert len(listed) == 2
    pool = batch().get_pool(names.pool_id)
    captured = capfd.readouterr()
    # The nodes of the local service are threads of this process; what they log is not the run's.
    logs = [record for record in caplog.records if record.threadName != "batch-emulator"]
    readable = {
        "the error": str(caught.value),
        "logs": "".join(record.getMessage() for record in logs) + captured.out + captured.err,
        "command lines": " ".join(
            [pool.start_task.command_line if pool.start_task else "", *(task.command_line for task in listed)]
        ),
        "environments": str(
            [[(item.name, item.value) for item in task.environment_settings] for task in listed]
        ),
        "metadata": str(pool.metadata) + str(batch().get_job(names.job_id).metadata),
        "outputs": "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()),
        "Prefect's records": prefect_records(),
        "Prefect's results": stored_results(),
    }
    assert "fan-out" in readable["Prefect's records"]
    found = [(where, secret) for where, text in readable.items() for secret in secrets if secret in text]
    assert found == []
    batch().begin_delete_job(names.job_id, polling_interval=1).wait()
    batch().begin_delete_pool(names.pool_id, polling_interval=1).wait()
    wait_for_remains(run_key, set())


def prefect_records() -> str:
    """All flow runs, task runs and artifacts that the server has, as text."""
    with get_client(sync_client=True) as client:
        answers = [
            client.request("POST", f"/{kind}/filter", json={})
            for kind in ("flow_runs", "task_runs", "artifacts")
        ]
    return "".join(answer.raise_for_status().text for answer in answers)


def stored_results() -> str:
    folder = Path(PREFECT_RESULTS_LOCAL_STORAGE_PATH.value())
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return "".join(path.read_bytes().decode("latin-1") for path in files)


def test_a_registry_s_password_reaches_the_service_alone(
    accounts, use_batch, tmp_path, caplog, capfd, run_key
):
    """It comes from a Secret block; neither the records of Prefect nor the log have it."""
    caplog.set_level(logging.INFO)
    password = "pass-of-the-registry"
    Secret(value=password).save(f"registry-{run_key}")
    registry = RegistrySpec(server="acr.io", username="puller", password_secret=f"registry-{run_key}")
    told = TaskSpec(container=ContainerSpec(image="acr.io/words:1", registry=registry))
    inputs = write_files(tmp_path / "in", {"good.txt": "a"})
    pool = PoolSpec(image=ImageSpec(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2404"))
    keep = Cleanup(job="never")
    with batch_emulator.serve(containers="host") as account:
        use_batch(account)
        run = (inputs, None, "cat {input}", tmp_path / "out", pool, keep)
        result = fan_out(*run, run_key=run_key, task=told)
        (sent,) = batch().list_tasks(result.job_id)
    assert sent.container_settings.registry.username == "puller"
    captured = capfd.readouterr()
    readable = caplog.text + captured.out + captured.err + prefect_records() + stored_results()
    assert "acr.io/words:1" in readable
    assert password not in readable


def test_a_registry_s_password_is_read_from_its_block(prefect_server, run_key):
    """What is sent is the block's value; a block that isn't there is named."""
    Secret(value="pass").save(f"registry-{run_key}")
    registry = RegistrySpec(server="acr.io", username="me", password_secret=f"registry-{run_key}")
    assert read_password(registry) == "pass"
    with pytest.raises(SettingsError, match="no block secret/no-such-block"):
        read_password(registry.model_copy(update={"password_secret": "no-such-block"}))
