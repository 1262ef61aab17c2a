"""No secret gets where people read: logs, artifacts, parameters, results, command lines."""

import base64
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_RESULTS_LOCAL_STORAGE_PATH,
    temporary_settings,
)

import batch_emulator
from flows.fan_out import fan_out
from tasks.azure.registries import read_password
from tasks.errors import FilesFailedError, SettingsError
from tasks.spec.naming import names_of_run
from tasks.spec.specs import Cleanup, ImageSpec, PoolSpec, RegistrySpec
from tasks.spec.task_specs import ContainerSpec, TaskSpec
from tests.faulty_proxy import FaultyProxy
from tests.flows.outages import Stand, proxied
from tests.flows.services import batch, remains_of, wait_for_remains, write_files

SIGNATURE = re.compile(rb"sig=(?!REDACTED)[\w%+/]{20,}")
# Where a secret has to be, by its name, the service that gets it, and the request.
SENT = {
    ("signature", "batch", "POST /jobs/*/addtaskcollection"),
    ("token of the program", "batch", "POST /jobs/*/addtaskcollection"),
}
SCRIPT = """
case "$1" in
*bad*) env >&2; echo "$API_TOKEN"; exit 1;;
*) for process in /proc/[0-9]*; do tr '\\0' ' ' < $process/cmdline; echo; done > "$2" 2>/dev/null
   printf '%s' "$API_TOKEN" | md5sum >> "$2";;
esac
"""


@pytest.fixture
def proxies(
    accounts, batch_account, storage, prefect_server, monkeypatch
) -> Iterator[dict[str, FaultyProxy]]:
    """What the driver sends to each service is seen."""
    stand = Stand(batch_account, storage, prefect_server.removesuffix("/api"))
    with proxied(stand) as proxies:
        url = f"{proxies['storage'].url}/{storage.account_name}"
        connection_string = storage.connection_string.replace(storage.blob_endpoint, url)
        monkeypatch.setenv("AZURE_BATCH_ENDPOINT", proxies["batch"].url)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string)
        with temporary_settings(
            {PREFECT_API_URL: f"{proxies['prefect'].url}/api", PREFECT_LOGGING_TO_API_ENABLED: True}
        ):
            yield proxies


def test_no_secret_is_written_where_people_read(
    proxies, batch_account, storage, tmp_path, caplog, capfd, run_key
):
    """A run whose program is given a secret, and prints it: all that is sent, written and left behind is
    searched for the keys of both accounts and of Prefect, for signatures and for that secret."""
    caplog.set_level(logging.INFO)
    token = f"token-of-{run_key}"
    known = {
        "key of storage": storage.account_key,
        "key of Batch": batch_account.key,
        "key of Prefect": str(PREFECT_API_AUTH_STRING.value()),
        "token of the program": token,
    }
    secrets = {name: [value.encode(), base64.b64encode(value.encode())] for name, value in known.items()}
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):
        Secret(value=token).save(f"token-{run_key}")
    for proxy in proxies.values():
        proxy.sent.clear()
    inputs = write_files(tmp_path / "in", {"good.txt": "a", "bad.txt": "b"})
    (tmp_path / "app.sh").write_text(SCRIPT)
    with pytest.raises(FilesFailedError) as caught:
        fan_out(
            str(inputs),
            str(tmp_path / "app.sh"),
            "sh {application} {input} {output}",
            str(tmp_path / "out"),
            cleanup=Cleanup(job="never", pool="never"),
            run_key=run_key,
            task=TaskSpec(secret_environment={"API_TOKEN": f"token-{run_key}"}),
            stream_output="bad.txt",
        )
    APILogHandler().flush()
    assert find_sent(proxies, secrets) == SENT
    names = names_of_run(run_key)
    listed, pool = list(batch().list_tasks(names.job_id)), batch().get_pool(names.pool_id)
    captured = capfd.readouterr()
    # The nodes of the local service are threads of this process; what they log is not the run's.
    logs = [record for record in caplog.records if record.threadName != "batch-emulator"]
    output = (tmp_path / "out" / "good_OUTPUT.txt").read_text()
    readable = {
        "the error": str(caught.value),
        "logs": "".join(record.getMessage() for record in logs) + captured.out + captured.err,
        "command lines": str([pool.start_task, *(task.command_line for task in listed)]),
        "metadata": str(pool.metadata) + str(batch().get_job(names.job_id).metadata),
        "outputs, with the arguments of all processes": output,
        "Prefect's records": prefect_records(),
        "Prefect's results": stored_results(),
        "Prefect's database": read_database(),
    }
    found = {(where, name) for where, text in readable.items() for name in find_secrets(text, secrets)}
    assert found == set()
    assert hashlib.md5(token.encode()).hexdigest() in output
    assert "pytest" in output
    assert "fan-out" in readable["Prefect's records"]
    assert "API_TOKEN=********" in readable["Prefect's database"]
    assert "bad.txt | ********" in readable["logs"]
    batch().begin_delete_job(names.job_id, polling_interval=0.2).wait()
    batch().begin_delete_pool(names.pool_id, polling_interval=0.2).wait()
    wait_for_remains(run_key, set())


def find_sent(proxies: dict[str, FaultyProxy], secrets: dict[str, list[bytes]]) -> set[tuple[str, str, str]]:
    """Which secrets the driver has sent, to which service, by which request; but for Prefect's own header.
    What nodes send is signed, and the program's own."""
    found = set()
    for service, proxy in proxies.items():
        requests = [sent for sent in proxy.sent if not sent.is_of_node]
        assert requests
        for sent in requests:
            is_open = service == "prefect"
            headers = re.sub("(?im)^authorization: basic .*$", "", sent.headers) if is_open else sent.headers
            text = b"\n".join([sent.line.encode(), headers.encode(), sent.body])
            request = re.sub("/jobs/[^/]*/", "/jobs/*/", sent.line.partition("?")[0])
            found |= {(name, service, request) for name in find_secrets(text, secrets)}
    return found


def find_secrets(text: str | bytes, secrets: dict[str, list[bytes]]) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    found = [name for name, forms in secrets.items() if any(form in content for form in forms)]
    return [*found, "signature"] if SIGNATURE.search(unquote_to_bytes(content)) else found


def read_database() -> str:
    """The files of Prefect's database, what was deleted in them too."""
    files = Path(os.environ["PREFECT_HOME"]).glob("prefect.db*")
    return "".join(path.read_bytes().decode("latin-1") for path in files)


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
    Secret(value="pass-of-the-registry").save(f"registry-{run_key}")
    registry = RegistrySpec(server="acr.io", username="me", password_secret=f"registry-{run_key}")
    assert read_password(registry) == "pass-of-the-registry"
    with pytest.raises(SettingsError, match="no block secret/no-such-block"):
        read_password(registry.model_copy(update={"password_secret": "no-such-block"}))


def test_a_secret_that_is_not_there_ends_the_run_before_anything_is_made(accounts, tmp_path, run_key):
    """So does one that is no text; the message names block and variable."""
    Secret(value={"a": 1}).save(f"object-{run_key}")
    inputs = str(write_files(tmp_path / "in", {"good.txt": "a"}))
    for block, said in (
        ("no-such-block", "no block secret/no-such-block"),
        (f"object-{run_key}", "as a text"),
    ):
        told = TaskSpec(secret_environment={"TOKEN": block})
        with pytest.raises(SettingsError, match=f"{said}(.|\n)*") as caught:
            fan_out(inputs, None, "cat {input}", str(tmp_path / "out"), run_key=run_key, task=told)
        assert "what TOKEN is to be" in str(caught.value)
    assert remains_of(run_key) == set()
