"""Each setting of a running service has an effect; those of the pure core are in tests/unit/emulator."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError

import batch_emulator
from batch_emulator import DEFAULT_PORT, Account, Settings
from batch_emulator.node.simulation import Simulation
from deployments.processes import free_port
from tests.certificates import make_certificate
from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until

POOLS = "pools?api-version=2025-06-01"
KEY = "YSBrZXkgdGhhdCBub2JvZHkgZWxzZSBoYXM="
WAYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "settings": lambda given: batch_emulator.serve(Settings(**{"port": 0} | given)),
    "changes": lambda given: batch_emulator.serve(**given),
}
"""How settings are given to `serve`, by the parameter that takes them."""


@dataclass(frozen=True)
class Observed:
    """What a setting is given, or what makes it, how it is observed and what is seen then; `also` is set with
    and without it."""

    value: Any
    observe: Callable[[dict[str, Any]], object]
    expected: object
    also: dict[str, Any]


def connect(account: Account, name: str | None = None, key: str | None = None) -> BatchClient:
    credential = AzureNamedKeyCredential(name or account.name, key or account.key)
    return BatchClient(account.endpoint, credential)


def status_of(request: Callable[[], object]) -> int:
    try:
        request()
    except HttpResponseError as error:
        return error.status_code
    return 200


def answer_to(name: str | None, key: str | None) -> Callable[[dict], int]:
    """The status of the answer to a client that signs with this name and key."""

    def observe(given: dict) -> int:
        with batch_emulator.serve(**given) as account, connect(account, name, key) as client:
            return status_of(lambda: list(client.list_pools()))

    return observe


def is_at(place: str) -> Callable[[dict], bool]:
    """Whether clients reach the service at this address, in which `{port}` is the port that it was given, or
    else has taken."""

    def observe(given: dict) -> bool:
        with batch_emulator.serve(**given) as account:
            taken = account.endpoint.rpartition(":")[2]
            host, port = place.format(port=given.get("port", taken)).split(":")
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5):
                return account.endpoint == f"http://{host}:{port}"
        return False

    return observe


def is_at_its_port(given: dict) -> bool:
    return "port" in given and is_at("127.0.0.1:{port}")(given)


def starts(given: dict) -> bool:
    try:
        with batch_emulator.serve(**given):
            return True
    except ValueError:
        return False


def looks_at_tokens(given: dict) -> bool:
    """Whether it is read what a bearer token says."""
    with batch_emulator.serve(**given) as account:
        trusted = ssl.create_default_context(cafile=account.certificate)
        headers = {"Authorization": "Bearer none"}
        answer = httpx.get(f"{account.endpoint}/{POOLS}", headers=headers, verify=trusted)
        return "JSON Web Token" in answer.text


def keeps(folder: Path) -> Callable[[dict], bool]:
    def observe(given: dict) -> bool:
        with batch_emulator.serve(**given):
            pass
        return (folder / "state.db").exists()

    return observe


def hours_pass(given: dict) -> bool:
    """Whether an hour of the service passes while a pool is made and asked for."""
    with batch_emulator.serve(**given) as account, connect(account) as client:
        client.create_pool(pool_parameters("pool", target_dedicated_nodes=0))
        first = client.get_pool("pool").last_modified
        client.update_pool("pool", models.BatchPoolUpdateOptions(metadata=[]))
        return (client.get_pool("pool").last_modified - first).total_seconds() > 3600


def run_task(client: BatchClient, command: str) -> None:
    """Start the task `job/task` on a pool of one node."""
    client.create_pool(pool_parameters("pool"))
    client.create_job(models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool")))
    client.create_task("job", models.BatchTaskCreateOptions(id="task", command_line=command))


def exit_code(given: dict) -> int:
    with batch_emulator.serve(**given) as account, connect(account) as client:
        run_task(client, "/bin/sh -c 'exit 7'")
        wait_until(lambda: client.get_task("job", "task").state == "completed", 30, "end of the task")
        return client.get_task("job", "task").execution_info.exit_code


def container_task(given: dict) -> int:
    task = models.BatchTaskCreateOptions(
        id="task",
        command_line="/bin/true",
        container_settings=models.BatchTaskContainerSettings(image_name="image"),
    )
    with batch_emulator.serve(**given) as account, connect(account) as client:
        client.create_job(
            models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool"))
        )
        return status_of(lambda: client.create_task("job", task))


# Needs two seconds after SIGTERM: killed before with a short grace, done with the default one.
SLOW_TO_STOP = "trap 'sleep 2; echo stopped in order; exit' TERM; echo ready; while :; do sleep 0.1; done"


def stops_in_order(given: dict) -> bool:
    """Whether a task that is slow to stop gets to its end when the service ends."""
    location = Path(tempfile.mkdtemp(dir="."))
    with batch_emulator.serve(location=location, **given) as account, connect(account) as client:
        run_task(client, f'/bin/sh -c "{SLOW_TO_STOP}"')
        wait_until(lambda: "ready" in printed(location), 30, "running task")
    return "stopped in order" in printed(location)


def printed(folder: Path) -> str:
    return "".join(
        each.read_text() for each in folder.glob("nodes/pool/*/workitems/job/job-1/task/stdout.txt")
    )


FOLDER = Path("kept")
CERTIFICATE = {"certificate": Path("cert.pem"), "certificate_key": Path("key.pem")}
"""Files that are made in the temporary folder in which each test runs."""

SERVED = {
    "account": Observed("other", answer_to("other", None), 200, {}),
    "key": Observed(KEY, answer_to(None, KEY), 200, {}),
    "host": Observed("127.0.0.2", is_at("127.0.0.2:{port}"), True, {}),
    "port": Observed(free_port, is_at_its_port, True, {}),
    "certificate": Observed(Path("other-cert.pem"), starts, False, CERTIFICATE),
    "certificate_key": Observed(Path("other-key.pem"), starts, False, CERTIFICATE),
    "oauth": Observed("basic", looks_at_tokens, True, CERTIFICATE),
    "location": Observed(FOLDER, keeps(FOLDER), True, {}),
    "speed": Observed(10_000_000.0, hours_pass, True, {}),
    "simulate": Observed(Simulation(mean_seconds=0), exit_code, 0, {}),
    "containers": Observed("host", container_task, 200, {}),
    "stop_grace_seconds": Observed(0.1, stops_in_order, False, {}),
}


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """Two certificates with their keys in the present folder."""
    monkeypatch.chdir(tmp_path)
    make_certificate(tmp_path)
    make_certificate(tmp_path, "other-")


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize("name", SERVED)
def test_setting_has_an_effect(name):
    """With the setting something else is observed than without it."""
    observed = SERVED[name]
    value = observed.value() if callable(observed.value) else observed.value
    assert observed.observe(observed.also) != observed.expected
    assert observed.observe({**observed.also, name: value}) == observed.expected


@pytest.mark.usefixtures("in_folder")
def test_certificate_is_served():
    """With a certificate the endpoint is HTTPS, and shows it."""
    with batch_emulator.serve(**CERTIFICATE) as account:
        assert account.endpoint.startswith("https://")
        trusted = ssl.create_default_context(cafile="cert.pem")
        assert httpx.get(f"{account.endpoint}/{POOLS}", verify=trusted).status_code == 403


@pytest.mark.parametrize("way", WAYS)
def test_parameter_of_serve_takes_settings(way):
    """Settings are taken as one object and as single changes, on a free port where none is named."""
    with WAYS[way]({"account": "other"}) as account, connect(account, "other") as client:
        assert list(client.list_pools()) == []
        assert account.endpoint != f"http://127.0.0.1:{DEFAULT_PORT}"
