"""Azurite, installed and run as a real process, used through the official SDK."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import psutil
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

from deployments import azurite
from deployments.errors import LocalServiceError
from deployments.processes import is_free
from tasks.azure.sas import Signer, read_blob_url, validity, write_container_url
from tests.azurite_tokens import Tokens
from tests.certificates import make_certificate
from tests.waiting import wait_until

SOMEBODY = "00000000-0000-0000-0000-000000000001"
INSTALL = [sys.executable, "-m", "deployments.azurite"]
KILLED_USER = """
import time
from deployments import azurite
with azurite.serve() as storage:
    print(storage.blob_endpoint, flush=True)
    time.sleep(600)
"""


def client(storage: azurite.BlobStorage) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(storage.connection_string)


def port_of(storage: azurite.BlobStorage) -> int:
    return int(storage.blob_endpoint.rsplit(":", 1)[1].split("/")[0])


def processes_with(word: str) -> list[psutil.Process]:
    """Processes of this machine with the word in their command line."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if any(word in part for part in process.info["cmdline"] or [])]


def test_blobs_are_kept(storage):
    """A blob that was uploaded is listed and read back."""
    with client(storage) as service:
        container = service.create_container("kept")
        container.upload_blob("a/b.txt", b"text")
        assert [blob.name for blob in container.list_blobs()] == ["a/b.txt"]
        assert container.download_blob("a/b.txt").readall() == b"text"


def test_telemetry_is_not_even_loaded(tmp_path):
    """The library that Azurite would report itself by is loaded by no Azurite of ours."""
    library = tmp_path / "node_modules" / "applicationinsights" / "index.js"
    library.parent.mkdir(parents=True)
    library.write_text("throw new Error('it was loaded')")
    program = tmp_path / "main.js"
    program.write_text("require('node:fs'); require('applicationinsights')")
    argv = azurite.command(tmp_path, 0, azurite.new_account_key()).argv
    options = argv[1 : argv.index(str(azurite.install() / azurite.BLOB_SERVICE))]
    subprocess.run([azurite.NODE, *options, program], check=True, timeout=60)


@pytest.mark.soak
def test_two_at_once_are_apart(storage):
    """A second Azurite has its own port and its own blobs."""
    with azurite.serve() as other, client(other) as service, client(storage) as first:
        first.create_container("apart")
        assert "apart" not in [container.name for container in service.list_containers()]


@pytest.mark.soak
def test_location_keeps_the_data(tmp_path):
    """Blobs in a location of one's own are there at the next start; its log begins anew."""
    with azurite.serve(location=tmp_path / "blobs") as storage, client(storage) as service:
        service.create_container("first")
    with azurite.serve(location=tmp_path / "blobs") as storage, client(storage) as service:
        assert [container.name for container in service.list_containers()] == ["first"]


@pytest.mark.soak
def test_nothing_is_left_after_the_block(tmp_path, monkeypatch):
    """When the block ends the port is free, the process gone and the temporary folder removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with azurite.serve() as storage:
        assert processes_with(str(tmp_path))
    assert is_free(port_of(storage))
    assert not processes_with(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_reported(storage):
    """Where another program has the port, the error names Azurite and ends with what it said."""
    with (
        pytest.raises(LocalServiceError, match=r"(?s)Azurite ended .*EADDRINUSE"),
        azurite.serve(port=port_of(storage)),
    ):
        pass


def test_nothing_survives_a_killed_user(tmp_path):
    """After SIGKILL of the program that used it, Azurite ends and its temporary folder is removed."""
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", KILLED_USER], stdout=subprocess.PIPE, env=variables) as user:
        assert user.stdout.readline().startswith(b"http://127.0.0.1:")
        user.kill()
    wait_until(lambda: not processes_with(str(tmp_path)), 30, "end of Azurite")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(azurite.TEMPORARY_PREFIX)] == []


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    return make_certificate(tmp_path)


def test_bearer_tokens_over_tls(certificate):
    """With a certificate and `oauth`, a client signs in with a token, and has keys to sign URLs with."""
    with azurite.serve(cert=certificate[0], key=certificate[1], oauth=True) as storage:
        assert storage.blob_endpoint.startswith("https://127.0.0.1:")
        with BlobServiceClient(
            storage.blob_endpoint, Tokens(), connection_verify=str(certificate[0])
        ) as service:
            service.create_container("secure")
            assert [container.name for container in service.list_containers()] == ["secure"]
            check_delegated_signatures(service, certificate[0])


def check_delegated_signatures(service: BlobServiceClient, certificate: Path) -> None:
    """What a run without an account key gives its nodes: one URL reads one blob, one writes a container."""
    times = validity(datetime.now(timezone.utc), 60)
    key = service.get_user_delegation_key(*times)
    signer = Signer(azurite.ACCOUNT_NAME, service.url.rstrip("/"), *times, user_delegation_key=key)
    service.get_blob_client("secure", "a.txt").upload_blob(b"text")
    trusted = {"connection_verify": str(certificate)}
    with BlobClient.from_blob_url(read_blob_url(signer, "secure", "a.txt"), **trusted) as blob:
        assert blob.download_blob().readall() == b"text"
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            blob.upload_blob(b"other", overwrite=True)
    with ContainerClient.from_container_url(write_container_url(signer, "secure"), **trusted) as container:
        container.upload_blob("b.txt", b"output")
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            list(container.list_blobs())


@pytest.mark.soak
def test_installation_survives_a_kill_and_a_crowd(tmp_path):
    """An installation that was killed half-way isn't used; the next two, at once, make one that works."""
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    cache = tmp_path / "prefect-azure-batch"
    with subprocess.Popen(INSTALL, env=variables, start_new_session=True) as killed:
        wait_until(lambda: list(cache.glob("*.partial/install.log")), 60, "begun installation")
        os.killpg(killed.pid, signal.SIGKILL)
    assert not list(cache.glob(f"azurite-{azurite.VERSION}"))
    # Its npm may still be writing.
    both = [subprocess.Popen(INSTALL, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=150)[0] for process in both]
    assert answers == [f"Azurite {azurite.VERSION} is in {cache / f'azurite-{azurite.VERSION}'}\n"] * 2
    assert not list(cache.glob("*.partial"))


def test_a_failed_installation_is_explained(tmp_path):
    """Where npm can't fetch anything, the message says what failed and ends with npm's own words."""
    offline = {"npm_config_offline": "true", "npm_config_cache": str(tmp_path / "empty")}
    variables = {**os.environ, **offline, "XDG_CACHE_HOME": str(tmp_path)}
    result = subprocess.run(INSTALL, env=variables, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert f"npm could not install azurite {azurite.VERSION}" in result.stderr
    assert "ENOTCACHED" in result.stderr
    assert not (tmp_path / "prefect-azure-batch" / f"azurite-{azurite.VERSION}").exists()
