"""What the check finds on the local services, and by what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from prefect import flow

from flows.check import check
from tasks.checks import check_accounts
from tasks.errors import AccessError, PermanentError
from tasks.images import choose_image
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import ImageSpec, PoolSpec
from tests.flows.services import blobs, write_files


def test_all_is_fine_and_nothing_stays(accounts, tmp_path):
    """Accounts, image, slots, names and room are found fine; the container that was written to is gone."""
    write_files(tmp_path / "in", {"a.txt": "a"})
    findings = check(str(tmp_path / "in"), command="wc {input}", output_dir=str(tmp_path / "out"))
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
    }
    assert {finding.about for finding in findings} == about | {"output folder"}
    assert not [one for one in blobs().list_containers() if one.name.startswith("check-")]


def test_all_that_is_wrong_is_told_at_once(accounts, tmp_path, monkeypatch):
    """A wrong key, too many slots, a command and a folder that can't be: each in the one message."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "d3Jvbmcga2V5")
    pool = PoolSpec(task_slots_per_node=64)
    with pytest.raises(PermanentError) as caught:
        check(str(tmp_path / "nowhere"), command="wc {inptu}", output_dir=str(tmp_path), pool=pool)
    message = str(caught.value)
    assert "AZURE_BATCH_ACCESS_KEY" in message
    assert "64 task slots are too many for STANDARD_D2S_V3: with 2 cores it takes 8" in message
    assert "There is no file or folder" in message
    assert "{inptu}" in message


@pytest.fixture
def server_of_another_time() -> Iterator[str]:
    """The endpoint of a service whose clock is 20 minutes ahead of ours, and which refuses every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(403)
            theirs = datetime.now(timezone.utc) + timedelta(minutes=20)
            self.send_header("Date", format_datetime(theirs, usegmt=True))
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
