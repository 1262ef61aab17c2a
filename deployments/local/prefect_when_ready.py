"""Prefect's command line for a server that is still starting.

Importing Prefect takes longer than what there is to do. So the processes that need the server are started
with it, and have everything imported when the supervisor makes the work pool, which is their sign to begin.
`python -m deployments.local.prefect_when_ready ARGUMENT ...` is `prefect ARGUMENT ...` in that way.
"""

import os
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import prefect.cli.deploy
import prefect.cli.worker
import prefect.workers.process  # noqa: F401
from prefect.cli import app

from deployments.local.prefect_api import PrefectApi, probe
from deployments.local.settings import WORK_POOL

POLL_SECONDS = 0.1


def run_prefect(arguments: Sequence[str]) -> int:
    """Run the command in this process, once the server is there; return its exit code."""
    _wait_for_work_pool()
    sys.argv = ["prefect", *arguments]
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _wait_for_work_pool() -> None:
    """Without a limit of time: whoever has started this process stops it if the server doesn't start."""
    port = urlsplit(os.environ["PREFECT_API_URL"]).port or 80
    api = PrefectApi(port, os.environ["PREFECT_API_AUTH_STRING"])
    while not probe(api, "GET", f"/api/work_pools/{WORK_POOL}"):
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(run_prefect(sys.argv[1:]))
