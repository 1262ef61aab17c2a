"""What the check finds on the local services, and by what it is told."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from threading import Thread

import pytest
import requests
from prefect import flow

from deployments import azurite
from flows.check import check
from flows.fan_out import fan_out
from tasks.checks import check_accounts, find_pool_problems, find_space_problems
from tasks.errors import AccessError, PermanentError
from tasks.images import choose_image
from tasks.spec.naming import names_of_run
from tasks.spec.prices import PriceSpec
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import ImageSpec, PoolSpec
from tests.azurite_tokens import Tokens
from tests.certificates import make_certificate
from tests.faulty_proxy import HOP_BY_HOP
from tests.flows.services import blobs, remains_of, write_files


def test_all_is_fine_and_nothing_stays(accounts, tmp_path):
    """Accounts, image, slots, names and room are found fine; the container that was written to is gone."""
    write_files(tmp_path / "in", {"a.txt": "a"})
    prices = PriceSpec(per_hour=3)
    findings = check(
        str(tmp_path / "in"), command="wc {input}", output_dir=str(tmp_path / "out"), prices=prices
    )
    assert {finding.outcome for finding in findings} <= {"fine", "warning"}
    about = {
        "clock",
        "Batch account",
        "image",
        "quotas",
        "storage account",
        "signatures",
        "command",
        "inputs",
        "cost",
    }
    assert {finding.about for finding in findings} == about | {"output folder"}
    # Where there is no limit, nothing is said of one.
    hours, cost = [finding.message for finding in findings if finding.about == "cost"]
    assert hours == "at most 0.3333 node-hours within the time limit of the run."
    assert cost.startswith("at most")
    assert not [one for one in blobs().list_containers() if one.name.startswith("check-")]


def test_all_that_is_wrong_is_told_at_once(accounts, tmp_path, monkeypatch):
    """A wrong key, too many slots, a command and a folder that can't be: each in the one message."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "d3Jvbmcga2V5")
    pool = PoolSpec(task_slots_per_node=64)
    with pytest.raises(PermanentError) as caught:
        check(str(tmp_path / "nowhere"), command="wc {inptu}", output_dir=str(tmp_path), pool=pool)
    message = str(caught.value)
    assert "AZURE_BATCH_ACCESS_KEY" in message
    # Of what Batch answers, without the request's own lines.
    assert "The MAC signature found in the HTTP request" in message
    assert "string to sign" not in message
    assert "64 task slots are too many for STANDARD_D2S_V3: with 2 cores it takes 8" in message
    assert "There is no file or folder" in message
    assert "{inptu}" in message


@pytest.mark.parametrize(
    ("vm_size", "is_warned_of"),
    [
        ("STANDARD_D2S_V3", False),
        ("Standard_NC24ads_A100_v4", False),
        ("standard_a1_v2", False),
        ("standard_nope_v9", True),
        ("D2s v3", True),
    ],
)
def test_a_size_that_azure_would_not_spell_so_is_warned_of(vm_size, is_warned_of):
    """Only the making of a pool tells which sizes there are; of a slip of the keyboard one learns before."""
    findings = list(find_pool_problems(PoolSpec(vm_size=vm_size, task_slots_per_node=1)))
    assert [(one.about, one.outcome) for one in findings] == [("VM size", "warning")] * is_warned_of
    assert all(vm_size in one.message for one in findings)


@pytest.mark.parametrize("folder", ["file/x", "/proc/x", "x" * 300])
def test_a_folder_where_no_output_can_be_written_is_wrong(folder, tmp_path):
    """Below a file, where nothing can be made whoever one is, and with a name that no disk takes; and nothing
    is made to see it."""
    (tmp_path / "file").touch()
    [finding] = find_space_problems(tmp_path / folder, [])
    assert finding.outcome == "wrong"
    assert finding.message.startswith(f"Nothing can be written to {tmp_path / folder}: ")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    [finding] = find_space_problems(tmp_path / "new" / "folder", [])
    assert finding.outcome != "wrong"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_what_a_plan_refuses_the_check_tells(accounts, tmp_path):
    """Options that don't go together, or are not for these inputs; a program and a file that aren't there."""
    write_files(tmp_path / "in", {"a.txt": "a"})
    options = {
        "application": str(tmp_path / "app.py"),
        "files_per_task": 2,
        "stream_output": "b.txt",
        "task": {"container": {"image": "busybox"}, "files": [{"local_path": str(tmp_path / "more")}]},
    }
    with pytest.raises(PermanentError) as caught:
        check(str(tmp_path / "in"), command="{application} {input}", **options)
    message = str(caught.value)
    assert "options: files_per_task and task.container.image don't go together" in message
    assert "options: stream_output: none of the 1 inputs is named 'b.txt'" in message
    assert "application: There is no application" in message
    assert "task.files: " in message


def test_what_is_in_the_way_of_others_is_told_once(accounts, tmp_path):
    """A path that can't be, which inputs, room and cost are asked about too, hides no other finding."""
    write_files(tmp_path / "in", {"a.txt": "a"})
    with pytest.raises(PermanentError) as caught:
        check(str(tmp_path / "in"), output_dir=f"{tmp_path}/{'x' * 300}", output_name="{name.upper}")
    message = str(caught.value)
    assert message.count("File name too long") == 1
    assert message.startswith("Wrong: 2 of ")
    assert "\noutput folder: The path" in message
    assert "\noutput name: The output name '{name.upper}' can't be used" in message


@pytest.fixture
def server_of_another_time() -> Iterator[str]:
    """The endpoint of a service whose clock is 20 minutes ahead of ours, and which refuses every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(403)
            theirs = datetime.now(timezone.utc) + timedelta(minutes=20)
            self.send_header("Date", format_datetime(theirs, usegmt=True))
            # As each answer of the service has: what comes without is a gateway's.
            self.send_header("request-id", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_clock_that_is_off_is_named_and_not_the_keys(accounts, server_of_another_time, monkeypatch):
    """A refused signature is explained by the clock wherever it is refused, and the check finds it too."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", server_of_another_time)
    with pytest.raises(AccessError, match="clock is 20 minutes behind the service's") as caught:
        choose_image.fn(ImageSpec())
    assert "AZURE_BATCH_ACCESS_KEY" not in str(caught.value)
    with pytest.raises(PermanentError, match=r"clock: Batch: This machine's clock is 20 minutes behind"):
        check()


def test_a_run_tells_what_is_wrong_with_both_accounts(accounts, storage, monkeypatch, run_key):
    """Its first step asks Batch and storage, and the error has both answers."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "d3Jvbmcga2V5")
    wrong = storage.connection_string.replace(storage.account_key, "d3Jvbmcga2V5")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    with pytest.raises(AccessError, match=r"AZURE_BATCH_ACCESS_KEY(.|\n)*AZURE_STORAGE_CONNECTION_STRING"):
        flow(lambda: check_accounts(names_of_run(run_key), RunOptions()), name="first-step")()


class Restricted(BaseHTTPRequestHandler):
    """Before Azurite: the identity may do all but ask for a key to sign with."""

    protocol_version = "HTTP/1.1"
    upstream = ""
    certificate = ""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "comp=userdelegationkey" in self.path:
            refused = {"x-ms-error-code": "AuthorizationPermissionMismatch", "x-ms-request-id": "0"}
            self.answer(403, refused, b"")
            return
        url, headers = f"{self.upstream}{self.path}", {**self.headers, "Accept-Encoding": "identity"}
        got = requests.request(self.command, url, data=body, headers=headers, verify=self.certificate)
        self.answer(got.status_code, dict(got.headers), got.content)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def without_delegation(accounts, tmp_path, monkeypatch) -> Iterator[None]:
    """A storage account over HTTPS, for an identity that has signed in and lacks one right."""
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr("tasks.azure.clients._entra_credential", Tokens)
    with (
        azurite.serve(cert=certificate, key=key, oauth=True) as storage,
        ThreadingHTTPServer(("127.0.0.1", 0), Restricted) as server,
    ):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        upstream = storage.blob_endpoint.removesuffix(f"/{storage.account_name}")
        monkeypatch.setattr(Restricted, "upstream", upstream)
        monkeypatch.setattr(Restricted, "certificate", str(certificate))
        url = f"https://127.0.0.1:{server.server_port}/{storage.account_name}"
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", url)
        monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.soak
def test_a_role_that_is_missing_is_told_by_its_name(without_delegation, tmp_path, run_key):
    """An identity that can write and can't delegate: the check finds that alone wrong, and a run ends before
    it has made anything."""
    with pytest.raises(PermanentError) as caught:
        check()
    first, *wrong = str(caught.value).splitlines()
    assert first.startswith("Wrong: 1 of ")
    assert wrong[0].startswith("signatures: Asking for a key to sign URLs with: Azure Storage refused")
    assert "Storage Blob Delegator" in wrong[0]
    inputs = write_files(tmp_path / "in", {"a.txt": "a"})
    with pytest.raises(AccessError, match="Asking for a key to sign URLs with"):
        fan_out(str(inputs), None, "cat {input}", str(tmp_path / "out"), run_key=run_key)
    assert remains_of(run_key) == set()
