"""One run of `fan_out` as from a terminal, whose cost is then that of the driver and of no service.

`python -m bench.driving INPUTS OUTPUTS NODES SLOTS COMMAND [count]` with the accounts and Prefect's server
in the environment; what it took is the last line, in JSON. With `count` it also counts Prefect's task runs,
which whoever times the process leaves alone.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO
from urllib.parse import urlsplit

import requests

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")


def main(inputs: str, outputs: str, nodes: str, slots: str, command: str, count: str = "") -> None:
    # The nodes are the same for any number of files, and cost nothing.
    pool = [
        f"--pool.dedicated-nodes={nodes}",
        f"--pool.task-slots-per-node={slots}",
        "--pool.allow-idle-nodes",
    ]
    options = [f"--command={command} {{input}}", f"--output-dir={outputs}", *pool]
    # In a file: kept in memory, and read from there, what it prints would count as its own.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        cost = _run_measured([inputs, *options, "--json"], printed)
        printed.seek(0)
        result = json.load(printed)
    found = {"files": len(result["outputs"]), "unchanged": result["unchanged"], **cost}
    if count and result["pool_id"]:
        found["task_runs"] = _count_task_runs(result["run_key"])
    print(json.dumps(found), flush=True)


def _run_measured(arguments: list[str], printed: TextIO) -> dict[str, float]:
    """What the run took, from the import of the flows on. SystemExit if it fails."""
    started = time.perf_counter()
    from flows.command_line import main as run_in_terminal
    from flows.fan_out import fan_out

    imported = time.process_time()
    with _counting() as hosts, redirect_stdout(printed):
        code = run_in_terminal(fan_out, arguments)
    if code:
        raise SystemExit(code)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time(),
        "import_cpu_seconds": imported,
        # Linux counts in KiB.
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "batch_calls": hosts[urlsplit(os.environ["AZURE_BATCH_ENDPOINT"]).netloc],
    }


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    """How many requests the clients that are built on `requests` send, by host and port."""
    hosts, send = Counter[str](), requests.Session.send

    def count(self: requests.Session, request: requests.PreparedRequest, **kwargs) -> requests.Response:
        hosts[urlsplit(request.url or "").netloc] += 1
        return send(self, request, **kwargs)

    requests.Session.send = count
    try:
        yield hosts
    finally:
        requests.Session.send = send


def _count_task_runs(flow_run_id: str) -> int:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        body = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
        return client.request("POST", "/task_runs/count", json=body).json()


if __name__ == "__main__":
    main(*sys.argv[1:7])
