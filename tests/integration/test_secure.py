"""HTTPS, access tokens and what the service tells of secrets: over sockets, with the official clients."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from azure.batch import BatchClient, models
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

import batch_emulator
from batch_emulator import Account
from batch_emulator import control_client as control
from batch_emulator.__main__ import main
from batch_emulator.faults import Faults, RequestFault
from batch_emulator.settings import KEY_VARIABLE
from tests.certificates import make_certificate
from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until

KEY = base64.b64encode(b"a key that nobody else has").decode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its private key, as PEM files."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def account(certificate: tuple[Path, Path]) -> Iterator[Account]:
    cert, key = certificate
    with batch_emulator.serve(certificate=cert, certificate_key=key, oauth="basic", key=KEY) as account:
        yield account


class Token:
    """A credential as azure-identity's are: gives an access token for whatever scope it is asked for."""

    def __init__(self, **changes):
        self.scopes: list[str] = []
        self.changes = changes

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        now = int(time.time())
        claims = {
            "aud": "https://batch.core.windows.net/",
            "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
            "nbf": now - 60,
            "exp": now + 3600,
        } | self.changes
        parts = ({"alg": "RS256", "typ": "JWT"}, claims)
        text = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
        )
        return AccessToken(f"{text}.c2lnbmF0dXJl", now + 3600)


class AsyncToken(Token):
    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return super().get_token(*scopes, **options)

    async def close(self) -> None: ...


def connect(account: Account, credential) -> BatchClient:
    return BatchClient(account.endpoint, credential, connection_verify=str(account.certificate))


def test_token_opens_the_account(account):
    """The official client with a token credential asks for Batch's scope and is served over HTTPS."""
    credential = Token()
    with connect(account, credential) as client:
        client.create_pool(pool_parameters("by-token", target_dedicated_nodes=0))
        assert client.get_pool("by-token").url == f"{account.endpoint}/pools/by-token"
        client.begin_delete_pool("by-token")
    assert credential.scopes[0] == "https://batch.core.windows.net//.default"


async def test_token_opens_the_account_to_the_async_client(account):
    """So it is with the asynchronous client."""
    async with AsyncBatchClient(
        account.endpoint, AsyncToken(), connection_verify=str(account.certificate)
    ) as client:
        assert [pool.id async for pool in client.list_pools(filter="id eq 'absent'")] == []


def test_own_images_are_got_at_with_a_token(account):
    """A managed image is taken from who has an access token, and refused to who signs with the key."""
    compute = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"
    image = models.BatchVmImageReference(virtual_machine_image_id=f"{compute}/images/mine")
    pool = pool_parameters("managed", target_dedicated_nodes=0)
    pool.virtual_machine_configuration.image_reference = image
    key = AzureNamedKeyCredential(account.name, account.key)
    with connect(account, key) as client, pytest.raises(HttpResponseError, match="InvalidPropertyValue"):
        client.create_pool(pool)
    with connect(account, Token()) as client:
        client.create_pool(pool)
        client.begin_delete_pool("managed")


def test_key_opens_the_account_too(account):
    """SharedKey goes on working beside access tokens."""
    with connect(account, AzureNamedKeyCredential(account.name, account.key)) as client:
        assert [image.os_type for image in client.list_supported_images()]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp": 1_000_000_000}, "The token is expired"),
        ({"nbf": 4_000_000_000}, "The token is not yet valid"),
        ({"aud": "https://batch.core.windows.net"}, "wrong audience"),
        ({"iss": "https://example.com/"}, "wrong issuer"),
    ],
)
def test_bad_tokens_are_refused(account, changes, why):
    """401 AuthenticationFailed says what is wrong with the token, and where to get one."""
    with connect(account, Token(**changes)) as client, pytest.raises(ClientAuthenticationError) as refused:
        client.get_pool("p")
    error = refused.value
    assert (error.status_code, error.model.code) == (401, "AuthenticationFailed")
    assert why in error.model.error_values[0].value
    assert 'resource_id="https://batch.core.windows.net/"' in error.response.headers["WWW-Authenticate"]


def test_wrong_key_is_refused(account):
    """403 AuthenticationFailed for a signature with another key; the answer has nothing of the right one."""
    wrong = AzureNamedKeyCredential(account.name, base64.b64encode(b"another").decode())
    with connect(account, wrong) as client, pytest.raises(HttpResponseError) as refused:
        client.get_pool("p")
    assert (refused.value.status_code, refused.value.model.code) == (403, "AuthenticationFailed")
    assert account.key not in refused.value.response.text()


def test_certificate_must_be_trusted(account):
    """A client that does not know the certificate does not speak to the service."""
    with (
        BatchClient(account.endpoint, Token(), retry_total=0) as client,
        pytest.raises((ServiceRequestError, ServiceResponseError)),
    ):
        client.get_pool("p")


def test_control_api_over_https(account):
    """Faults can be asked for over HTTPS."""
    control.put_faults(account, Faults(requests=[RequestFault(drop="before", times=1)]))
    with connect(account, Token()) as client, pytest.raises((ServiceRequestError, ServiceResponseError)):
        client.get_pool("p", retry_total=0)
    assert control.count_faults(account)["requests"] == [1]
    control.clear_faults(account)


def test_tokens_need_oauth():
    """A service started without `oauth` refuses tokens, and says how it would take them."""
    with batch_emulator.serve() as account:
        token = Token().get_token("x").token
        answer = httpx.get(
            f"{account.endpoint}/pools?api-version=2025-06-01", headers={"Authorization": f"Bearer {token}"}
        )
    assert answer.status_code == 401
    assert "--oauth basic" in answer.text
    assert token not in answer.text


def test_accounts_do_not_show_their_key(account):
    """The key is not in what is printed of an account, as by a test that fails."""
    assert account.key not in repr(account)


@pytest.fixture
def start(monkeypatch, capsys) -> Callable[..., tuple[object, str]]:
    """Run the command in this process: its exit code, and what it has said."""

    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["batch_emulator", "--port", "0", *arguments])
        # What else is of the whole process.
        monkeypatch.setattr("gc.set_threshold", lambda *_: None)
        monkeypatch.setattr("batch_emulator.__main__.set_up_log", lambda _: None)
        try:
            exit_code: object = main()
        except SystemExit as end:
            exit_code = end.code
        return exit_code, "".join(capsys.readouterr())

    return run


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--key", "a2V5"], "unrecognized arguments: --key"),
        (["--host", "0.0.0.0"], "give another one (BATCH_EMULATOR_KEY)"),
        (["--oauth", "basic"], "access tokens need HTTPS"),
        (["--cert", "absent.pem"], "--cert and --key-file"),
        (["--cert", "absent.pem", "--key-file", "absent.pem"], "cannot be used"),
        (["--faults", "absent.json"], "absent.json"),
    ],
)
def test_start_with_bad_options(start, arguments, why):
    """What cannot be served safely is not served: an error that says what to do, without the key."""
    exit_code, said = start(*arguments)
    assert exit_code
    assert why in said


@pytest.mark.parametrize(("key", "why"), [("not-base64!", "is not base64"), ("", "is empty")])
def test_start_with_a_bad_key(start, monkeypatch, key, why):
    """A key comes by a variable, as all can see arguments; what is wrong with it is said without it."""
    monkeypatch.setenv(KEY_VARIABLE, key)
    exit_code, said = start()
    assert exit_code == 1
    assert f"the account key {why}" in said
    assert "not-base64!" not in said


def test_a_process_that_cannot_start_says_so():
    """Its exit code tells a script, and a line on standard error its user."""
    argv = [sys.executable, "-m", "batch_emulator", "--port", "0", "--oauth", "basic"]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("The local Batch service cannot start: ")
    assert ended.stderr.count("\n") == 1


def test_log_has_no_secrets(tmp_path):
    """With --debug each request is logged, with its path and status; neither keys, signatures nor SAS are."""
    log = tmp_path / "log"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "batch_emulator", "--port", "0", "--debug"],
            env={**os.environ, "BATCH_EMULATOR_KEY": KEY},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        endpoint = wait_until(lambda: re.search(r"ready at (http\S+),", log.read_text()), 30, "its URL")[1]
        run_task_with_a_sas(endpoint)
    finally:
        process.terminate()
        process.wait(30)
    text = log.read_text()
    assert re.search(r"POST /jobs/j/tasks 201 \d", text)
    for secret in (KEY, "SECRETSIGNATURE", "SharedKey", "sig="):
        assert secret not in text


def run_task_with_a_sas(endpoint: str) -> None:
    """A task whose resource file cannot be had, with a SAS in its URL: the service is asked, and has none."""
    with BatchClient(endpoint, AzureNamedKeyCredential("devbatchaccount1", KEY)) as client:
        client.create_pool(pool_parameters("p"))
        client.create_job(models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="p")))
        url = f"{endpoint}/container/blob?sv=1&sig=SECRETSIGNATURE"
        file = models.ResourceFile(http_url=url, file_path="f")
        options = models.BatchTaskCreateOptions(id="t", command_line="/bin/false", resource_files=[file])
        client.create_task("j", options)
        wait_until(lambda: client.get_task("j", "t").state == "completed", 60, "the end of the task")
