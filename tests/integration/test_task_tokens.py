"""A task that uses its own token, on a running local service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

import batch_emulator
from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until

ADD_TASK = """
import json, os, sys, urllib.error, urllib.request

job, account = os.environ["AZ_BATCH_JOB_ID"], os.environ["AZ_BATCH_ACCOUNT_URL"]
headers = {
    "Authorization": "Bearer " + os.environ["AZ_BATCH_AUTHENTICATION_TOKEN"],
    "Content-Type": "application/json; odata=minimalmetadata",
}
body = json.dumps({"id": "child", "commandLine": "/bin/echo made by a task"}).encode()
version = "?api-version=2024-07-01.20.0"
urllib.request.urlopen(urllib.request.Request(f"{account}/jobs/{job}/tasks{version}", body, headers))
try:
    urllib.request.urlopen(urllib.request.Request(f"{account}/pools{version}", None, headers))
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[BatchClient]:
    """A client of an API version that still has the tokens, and a service with a pool of one node."""
    with batch_emulator.serve() as account:
        credential = AzureNamedKeyCredential(account.name, account.key)
        with BatchClient(account.endpoint, credential, api_version="2024-07-01.20.0") as client:
            client.create_pool(pool_parameters("pool"))
            yield client


def test_manager_adds_tasks_with_its_token(client, tmp_path):
    """A job manager adds a task to its job with the token that it was given, which opens nothing else."""
    script = tmp_path / "add_task.py"
    script.write_text(ADD_TASK)
    manager = {
        "id": "manager",
        "commandLine": f"{sys.executable} {script}",
        "killJobOnCompletion": False,
        "authenticationTokenSettings": {"access": ["job"]},
    }
    client.create_job({"id": "job", "poolInfo": {"poolId": "pool"}, "jobManagerTask": manager})
    wait_until(lambda: "child" in {task.id for task in client.list_tasks("job")}, 60, "task of the manager")
    wait_until(lambda: client.get_task("job", "child").state == "completed", 60, "end of the task")
    assert b"".join(client.download_task_file("job", "child", "stdout.txt")) == b"made by a task\n"
    wait_until(lambda: client.get_task("job", "manager").state == "completed", 60, "end of the manager")
    assert client.get_task("job", "manager").execution_info.exit_code == 0
    assert b"".join(client.download_task_file("job", "manager", "stdout.txt")) == b"403\n"
    assert isinstance(client.get_job("job"), models.BatchJob)
