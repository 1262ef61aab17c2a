"""The Azure CLI (`az batch`), which has a client of its own.

It pins another version of azure-batch than ours, and so can be no extra of this project: have `az` on the
PATH, or name it in AZURE_CLI.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

CLI = os.environ.get("AZURE_CLI") or shutil.which("az")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CLI is None, reason="there is no az on the PATH, and AZURE_CLI names none"),
]

Az = Callable[..., Any]


@pytest.fixture
def az(target, tmp_path: Path) -> Az:
    """Runs `az batch` for the account; returns what it prints, which is JSON or nothing."""
    environment = os.environ | {
        "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
    }
    account = {"name": target.name, "key": target.key, "endpoint": target.endpoint}

    def run(command: str, *arguments: str, **options: object) -> Any:
        words = [CLI, "batch", *command.split(), *arguments]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        for name, value in account.items():
            words += [f"--account-{name}", value]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
        assert done.returncode == 0, f"az batch {command}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.fixture
def cli_pool(az: Az):
    """A pool of one node that the CLI has made."""
    name = f"cli-{uuid.uuid4().hex[:8]}"
    az(
        "pool create",
        id=name,
        vm_size="standard_d2s_v3",
        image="canonical:ubuntu-24_04-lts:server",
        node_agent_sku_id="batch.node.ubuntu 24.04",
        target_dedicated_nodes=1,
        start_task_command_line="/bin/true",
        metadata="made=by-the-cli",
    )
    yield name
    az("pool delete", "--yes", pool_id=name)


def test_pools_and_nodes_of_the_cli(az: Az, cli_pool: str, target) -> None:
    """`az batch pool` and `node` create, list, resize, show and count as on Azure."""
    listed = az("pool list", query=f"[?id=='{cli_pool}'].[state, targetDedicatedNodes]")
    assert listed == [["active", 1]]

    def idle(count: int) -> bool:
        return az("node list", pool_id=cli_pool, query="[].state") == ["idle"] * count

    wait_until(lambda: idle(1), target.node_seconds, "an idle node")
    az("pool resize", pool_id=cli_pool, target_dedicated_nodes=2)
    wait_until(lambda: idle(2), target.node_seconds, "two idle nodes")
    counts = az("pool node-counts list", query=f"[?poolId=='{cli_pool}'].dedicated.idle")
    assert counts == [2]
    az("pool set", pool_id=cli_pool, metadata="changed=yes")
    assert az("pool show", pool_id=cli_pool, query="metadata") == [{"name": "changed", "value": "yes"}]
    assert len(az("pool supported-images list", query="[?nodeAgentSkuId=='batch.node.ubuntu 24.04']")) > 0


def test_jobs_tasks_and_files_of_the_cli(az: Az, cli_pool: str, target, tmp_path: Path) -> None:
    """`az batch job` and `task` create, run, count, download and delete as on Azure."""
    job = f"cli-{uuid.uuid4().hex[:8]}"
    az("job create", id=job, pool_id=cli_pool, priority=7, job_max_task_retry_count=2, metadata="a=b")
    shown = az("job show", job_id=job, query="[priority, constraints.maxTaskRetryCount]")
    assert shown == [7, 2]
    az("task create", job_id=job, task_id="one", command_line="/bin/echo one", max_task_retry_count=1)
    tasks = tmp_path / "tasks.json"
    commands = {"two": "/bin/true", "three": "/bin/sh -c 'exit 3'"}
    body = [{"id": name, "commandLine": command} for name, command in commands.items()]
    tasks.write_text(json.dumps(body), encoding="utf-8")
    added = az("task create", job_id=job, json_file=tasks)
    assert sorted((each["taskId"], each["status"].lower()) for each in added) == [
        ("three", "success"),
        ("two", "success"),
    ]

    def counts() -> dict[str, int]:
        return az("job task-counts show", job_id=job)["taskCounts"]

    wait_until(lambda: counts()["completed"] == 3, target.node_seconds, "three completed tasks")
    assert (counts()["succeeded"], counts()["failed"]) == (2, 1)
    file = tmp_path / "downloaded.txt"
    az("task file download", job_id=job, task_id="one", file_path="stdout.txt", destination=file)
    assert file.read_text(encoding="utf-8") == "one\n"
    names = az("task file list", job_id=job, task_id="one", query="[].name")
    assert names == ["certs", "stderr.txt", "stdout.txt", "wd"]
    az("task delete", "--yes", job_id=job, task_id="two")
    assert az("task list", job_id=job, query="[].id") == ["one", "three"]
    az("job stop", job_id=job)
    az("job delete", "--yes", job_id=job)
